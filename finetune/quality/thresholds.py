"""From where on something is a finding, each with its reason; `docs/data_quality.md` shows what clean data gives."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Limits of the checks.

    Attributes:
        still_speed_m_s: Slower is standing still [m/s]: a millimetre per step at 5 Hz, above the noise of encoders and
            below every motion that a person demonstrates.
        still_turn_rad_s: Same of a turn [rad/s]: half a degree per step at 5 Hz.
        lever_m: A turn counts as the way of a point so far from the end effector [m]: what a camera sees of a hand.
        gap_periods: Steps so many control periods apart have a frame missing between them; jitter stays below.
        long_gap_periods: From here on an error: the action no longer tells what happened until the next frame.
        rate_share: Median period beside the contract's by so much scales every displacement by as much.
        jitter_share: Typical (80th percentile) departure from the median period, as a share of it, that blurs speeds.
        idle_s: Standing still so long is a pause [s]; closing a gripper takes about one second.
        stuck_s: Commanded motion without any for so long is no start-up lag [s].
        stuck_share: Measured of commanded motion below which nothing moves; a slow controller still makes half.
        frozen_share: A picture change below this share of the episode's median during motion is a repeated picture.
        frozen_levels: Same in grey levels, for what compression leaves of two equal pictures.
        key_frame_share: Between two repeats, what the key frame of a video may change of an equal picture: usually
            0.1 to 0.25.
        frozen_steps: So many repeats in a row are an error; single ones come from a camera out of phase.
        frozen_way_m: The arm must have moved so far meanwhile [m], so that the picture had to change.
        repeat_share: So many single repeats among moving steps mean a camera slower than the control rate.
        dark_level, bright_level: Mean grey level (0 … 255) of a picture in which nothing can be seen.
        flat_levels: Standard deviation of the grey levels of a picture of one colour.
        flat_share: Share of such pictures that is worth a word; at most of all, an error.
        lag_steps: A camera that is late by so much shows another step's scene: an error.
        lag_s: And at least so late [s]: a good camera takes 20 to 30 ms.
        lag_correlation: Of picture change and arm motion at the best lag; less is no evidence.
        lag_score: The best lag of all episodes together is better than none by so many standard deviations: one in 200
            unrelated series gets there, and six late demonstrations do.
        lag_score_hint: From here on a warning: two or three late demonstrations get no further.
        lag_score_alone: Same of one episode, by itself or against the others: none of 200 clean demonstrations does.
        offset_early_steps: Measured motion so long before its action means that actions are written too late.
        offset_late_steps: Measured motion so long after its action; an arm that follows a target lags by about one.
        offset_late_s: And at least so long [s].
        unit_gain: Commanded motion so many times the measured one, or the inverse, is another unit: degrees make 57.
        unit_score: And the two agree by so many standard deviations more than unrelated motions do, of which one in a
            hundred gets there by the best of many lags.
        joint_range_rad: No joint turns so far: two turns, and more than LIBERO's and WidowX' limits by far [rad].
        reach_m: No end effector is so far from its base [m].
        quat_norm: A quaternion's norm may be off by this.
        gripper_range: An opening may be outside 0 … 1 by this, for calibrations that overshoot.
        gripper_correlation: Command and measured opening correlate below minus this: inverted.
        gripper_travel: Openings that vary by less say nothing about polarity.
        saturated_share: So many of the moving steps at the contract's limit were probably clipped.
        outlier_spans: Actions so many spans (1 % to 99 % quantile) beyond the quantiles; normal ones reach 0.2.
        jump_ratio: A measured step so many times the contract's longest is no motion.
        duplicate_m: Mean difference of two end-effector paths below which they are the same motion [m].
        duplicate_levels: Mean grey difference of first and last pictures that show the same; codecs make 1 to 3.
        rare_share: Instructions with fewer episodes than this share are rarely learnt.
    """

    still_speed_m_s: float = 5e-3
    still_turn_rad_s: float = 0.05
    lever_m: float = 0.1
    gap_periods: float = 1.75
    long_gap_periods: float = 5.0
    rate_share: float = 0.1
    jitter_share: float = 0.25
    idle_s: float = 2.0
    stuck_s: float = 1.0
    stuck_share: float = 0.1
    frozen_share: float = 0.05
    frozen_levels: float = 0.02
    key_frame_share: float = 0.35
    frozen_steps: int = 3
    frozen_way_m: float = 0.01
    repeat_share: float = 0.25
    dark_level: float = 12.0
    bright_level: float = 245.0
    flat_levels: float = 3.0
    flat_share: float = 0.05
    lag_steps: float = 0.75
    lag_s: float = 0.03
    lag_correlation: float = 0.3
    lag_score: float = 3.0
    lag_score_hint: float = 2.0
    lag_score_alone: float = 3.5
    offset_early_steps: float = 0.75
    offset_late_steps: float = 2.0
    offset_late_s: float = 0.25
    unit_gain: float = 20.0
    unit_score: float = 3.5
    joint_range_rad: float = 12.6
    reach_m: float = 5.0
    quat_norm: float = 0.01
    gripper_range: float = 0.1
    gripper_correlation: float = 0.4
    gripper_travel: float = 0.2
    saturated_share: float = 0.3
    outlier_spans: float = 3.0
    jump_ratio: float = 4.0
    duplicate_m: float = 5e-4
    duplicate_levels: float = 4.0
    rare_share: float = 0.02
