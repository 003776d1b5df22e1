"""Which grasp is chosen, in rooms that are made up: prices worked out by hand from `GraspTuning`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magma_ros.sim.libero.grasps import HOME_YAW_RAD, GraspTuning, Thing, best_grasp
from magma_ros.sim.libero.surroundings import GripPose
from magma_ros.types import FloatArray

TUNING = GraspTuning()
X_M = 0.45
"""Where things stand, straight in front of the robot and well within its reach."""


def wide(_pose: GripPose) -> float:
    return 0.02


@dataclass
class Room:
    """Gaps and rays as functions of the pose that is asked about; remembers what was asked."""

    gap: Callable[[GripPose], float] = wide
    source_gap: Callable[[GripPose], float] = wide
    rays: Callable[[GripPose], int] = lambda _pose: 3
    gaps_asked: list[GripPose] = field(default_factory=list)
    rays_asked: list[GripPose] = field(default_factory=list)

    def clearance_m(self, pose: GripPose) -> tuple[float, float]:
        self.gaps_asked.append(pose)
        return self.source_gap(pose), self.gap(pose)

    def rays_through_source(self, pose: GripPose) -> int:
        self.rays_asked.append(pose)
        return self.rays(pose)


def corners(size_m: tuple[float, float, float], turned_rad: float = 0.0, x_m: float = X_M) -> FloatArray:
    """Of a box that stands at the height 0, turned about the vertical."""
    signs = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (0.0, 1.0)])
    return signs * size_m @ axes(turned_rad).T + [x_m, 0.0, 0.0]


def axes(turned_rad: float) -> FloatArray:
    cos, sin = np.cos(turned_rad), np.sin(turned_rad)
    return np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])


def box(*size_m: float, turned_rad: float = 0.0, x_m: float = X_M) -> Thing:
    return Thing(corners(size_m, turned_rad, x_m), axes(turned_rad), is_bowl=False)


def bowl(width_x_m: float = 0.1, width_y_m: float = 0.1) -> Thing:
    """5 cm high."""
    return Thing(corners((width_x_m, width_y_m, 0.05)), np.eye(3), is_bowl=True)


def hand(x_m: float = X_M, y_m: float = 0.0, yaw_rad: float = HOME_YAW_RAD) -> GripPose:
    return GripPose(np.array([x_m, y_m, 0.3]), yaw_rad)


def grasp(thing: Thing, room: Room | None = None, at: GripPose | None = None) -> GripPose:
    return best_grasp(thing, at or hand(), room or Room(), TUNING)


def expect(found: GripPose, position_m: tuple[float, float, float], yaw_rad: float = HOME_YAW_RAD) -> None:
    np.testing.assert_allclose(found.position_m, position_m, atol=1e-9)
    assert found.yaw_rad == pytest.approx(yaw_rad, abs=1e-9)


def test_a_box_is_gripped_in_its_middle_across_its_narrow_side() -> None:
    """6 by 4 by 4 cm: in the middle, 2.2 cm below the top, closing along y, which is home; one look is enough."""
    room = Room()
    expect(grasp(box(0.06, 0.04, 0.04), room), (X_M, 0.0, 0.018))
    assert len(room.gaps_asked) == len(room.rays_asked) == 1


@pytest.mark.parametrize(
    ("height_m", "z_m"), [(0.04, 0.018), (0.034, 0.012), (0.03, 0.01), (0.01, 0.0)], ids=["4", "3.4", "3", "1"]
)
def test_a_low_box_is_gripped_half_a_centimetre_below_its_middle(height_m: float, z_m: float) -> None:
    """2.2 cm below the top, from 3.4 cm of height on; the tips go never deeper than 0.5 cm below the middle."""
    expect(grasp(box(0.06, 0.04, height_m)), (X_M, 0.0, z_m))


@pytest.mark.parametrize(("more_m", "yaw_rad"), [(0.0155, HOME_YAW_RAD), (0.0159, 0.0)])
def test_a_quarter_turn_is_worth_a_centimetre_and_a_half_of_width(more_m: float, yaw_rad: float) -> None:
    """It costs 0.6 times a quarter turn, 0.942, from home at home; 60 a metre of width are as much at 15.7 mm."""
    expect(grasp(box(0.04, 0.04 + more_m, 0.04)), (X_M, 0.0, 0.018), yaw_rad)


def test_a_hand_that_has_turned_does_not_turn_back_for_as_little() -> None:
    """Already across the other side, it pays to be away from home and saves the way: 0.471 either way, plus width."""
    expect(grasp(box(0.04, 0.041, 0.04), at=hand(yaw_rad=0.0)), (X_M, 0.0, 0.018), 0.0)
    expect(grasp(box(0.041, 0.04, 0.04), at=hand(yaw_rad=0.0)), (X_M, 0.0, 0.018))


@pytest.mark.parametrize(("width_m", "yaw_rad"), [(0.0755, HOME_YAW_RAD), (0.0765, 0.0)])
def test_what_hardly_fits_between_the_fingers_is_gripped_another_way(width_m: float, yaw_rad: float) -> None:
    """The fingers open to 8 cm; of more than 7.6 cm the other side is taken, though its price were higher."""
    expect(grasp(box(0.07, width_m, 0.04)), (X_M, 0.0, 0.018), yaw_rad)


@pytest.mark.parametrize(("turned_deg", "yaw_deg"), [(20.0, 110.0), (-20.0, 70.0), (200.0, 110.0)])
def test_a_turned_box_is_gripped_across_its_faces(turned_deg: float, yaw_deg: float) -> None:
    """The hand turns with it, the short way from home, in whichever direction its axes are counted."""
    thing = box(0.06, 0.04, 0.04, turned_rad=np.radians(turned_deg))
    expect(grasp(thing), (X_M, 0.0, 0.018), np.radians(yaw_deg))


def test_what_is_round_is_gripped_as_the_hand_is_at_rest() -> None:
    """A disc of 5 cm is as wide everywhere: its axes, 30 degrees off, are no reason to turn."""
    angles = np.linspace(0.0, 2 * np.pi, 360, endpoint=False)
    rim = np.column_stack([X_M + 0.025 * np.cos(angles), 0.025 * np.sin(angles), np.where(angles < 3.0, 0.0, 0.04)])
    expect(grasp(Thing(rim, axes(np.radians(30.0)), is_bowl=False)), (X_M, 0.0, 0.018))


def test_gaps_are_measured_above_the_grasp_and_rays_at_it() -> None:
    """The hand comes down beside things: 4 mm above, the same yaw."""
    room = Room()
    found = grasp(box(0.06, 0.04, 0.04), room)
    expect(room.gaps_asked[0], (X_M, 0.0, 0.022))
    expect(room.rays_asked[0], tuple(found.position_m))


@pytest.mark.parametrize(("which", "wanted_m"), [("gap", 0.005), ("source_gap", 0.001)])
@pytest.mark.parametrize(
    ("missing_m", "up_to_m", "rise_m"),
    [
        (-0.0001, 0.025, 0.0),
        (0.00025, 0.025, 0.0),
        (0.00035, 0.025, 0.006),
        (0.00055, 0.033, 0.0),
        (0.00065, 0.033, 0.012),
    ],
)
def test_a_missing_gap_is_weighed_against_a_shallower_grasp(which, wanted_m, missing_m, up_to_m, rise_m) -> None:
    """Wanted are 5 mm to the world and 1 mm to the thing; 0.3 mm less cost as much as to grip 6 mm higher: 0.09."""
    room = Room(**{which: lambda pose: wanted_m - missing_m if pose.position_m[2] < up_to_m else 0.02})
    expect(grasp(box(0.06, 0.04, 0.04), room), (X_M, 0.0, 0.018 + rise_m))


def test_gaps_that_are_missing_add_up() -> None:
    """0.2 mm to the world and 0.2 mm to the thing are 0.12, too much."""
    deep = Room(
        gap=lambda pose: 0.0048 if pose.position_m[2] < 0.025 else 0.02,
        source_gap=lambda pose: 0.0008 if pose.position_m[2] < 0.025 else 0.02,
    )
    expect(grasp(box(0.06, 0.04, 0.04), deep), (X_M, 0.0, 0.024))


@pytest.mark.parametrize(("num_rays", "z_m"), [(3, 0.018), (2, 0.018), (1, 0.024), (0, 0.024)])
def test_two_of_three_lines_must_meet_a_box(num_rays: int, z_m: float) -> None:
    """With one line, or none, the hand grips higher, where there are two; a third line is worth nothing."""
    room = Room(rays=lambda pose: num_rays if pose.position_m[2] < 0.02 else 2)
    expect(grasp(box(0.06, 0.04, 0.04), room), (X_M, 0.0, z_m))


@pytest.mark.parametrize(("hand_x_m", "x_m"), [(X_M - 0.02, X_M - 0.01), (X_M + 0.02, X_M + 0.01)])
def test_of_two_equal_grasps_the_nearer_one_is_taken(hand_x_m: float, x_m: float) -> None:
    """Where the middle is blocked, 1 cm to the side of the hand, so that a hand on its way stays with it."""
    room = Room(gap=lambda pose: 0.0 if abs(pose.position_m[0] - X_M) < 0.005 else 0.02)
    expect(grasp(box(0.06, 0.04, 0.04), room, at=hand(hand_x_m)), (x_m, 0.0, 0.018))


@pytest.mark.parametrize(("length_m", "shift_m"), [(0.063, 0.0), (0.065, 0.02)])
def test_pads_stay_on_the_box(length_m: float, shift_m: float) -> None:
    """A grasp off the middle leaves 1.2 cm to the end: 2 cm off it only on what is 6.4 cm long."""
    room = Room(gap=lambda pose: 0.0 if abs(pose.position_m[0] - X_M) < 0.015 else 0.02)
    found = grasp(box(length_m, 0.04, 0.04), room, at=hand(X_M + 0.001))
    expect(found, (X_M + shift_m, 0.0, 0.018))


@pytest.mark.parametrize(("x_m", "shift_m"), [(0.70, 0.0), (0.75, -0.02)])
def test_beyond_its_reach_the_arm_grips_the_nearer_end(x_m: float, shift_m: float) -> None:
    """The wrist of a hand at 0.75 m is 67 cm from the shoulder, 2 cm too far, and at 0.70 m 62 cm."""
    expect(grasp(box(0.1, 0.04, 0.04, x_m=x_m), at=hand(x_m)), (x_m + shift_m, 0.0, 0.018))


@pytest.mark.parametrize("side", [-1, 1])
def test_a_bowl_is_gripped_by_the_nearer_rim_on_the_line_of_home(side: int) -> None:
    """8 mm inside a radius of 5 cm, 2.2 cm below the top; no line from pad to pad is asked for."""
    room = Room(rays=lambda _pose: 0)
    expect(grasp(bowl(), room, at=hand(y_m=0.01 * side)), (X_M, 0.042 * side, 0.028))
    assert not room.rays_asked


def test_the_radius_of_a_bowl_is_the_mean_of_its_widths() -> None:
    """10 by 12 cm: 5.5 cm, less 8 mm."""
    expect(grasp(bowl(0.10, 0.12), at=hand(y_m=0.01)), (X_M, 0.047, 0.028))


def test_a_blocked_rim_is_gripped_elsewhere() -> None:
    """Where the rims on the line of home are blocked, within 1 cm of it, one of 32 beside them, the fingers across."""
    found = grasp(bowl(), Room(gap=lambda pose: -0.02 if abs(pose.position_m[0] - X_M) < 0.01 else 0.02))
    away = found.position_m - [X_M, 0.0, 0.028]
    assert np.linalg.norm(away) == pytest.approx(0.042)
    assert abs(away[0]) == pytest.approx(0.042 * np.sin(2 * np.pi / 16))
    assert abs(found.yaw_rad - HOME_YAW_RAD) == pytest.approx(2 * np.pi / 16)
    assert abs(np.sin(np.arctan2(away[1], away[0]) - found.yaw_rad)) < 1e-9


@pytest.mark.parametrize(
    ("missing_m", "up_to_m", "y_m", "z_m"),
    [
        (0.0003, 0.034, 0.042, 0.028),
        (0.0004, 0.034, 0.036, 0.032),
        (0.00055, 0.037, 0.042, 0.028),
        (0.00065, 0.037, 0.030, 0.034),
    ],
)
def test_a_tight_rim_is_gripped_further_inside_and_higher(missing_m, up_to_m, y_m, z_m) -> None:
    """6 mm further in and 4 mm up cost 0.105, as much as 0.35 mm of a gap; 12 mm in and 6 mm up 0.18, as 0.6 mm."""
    room = Room(gap=lambda pose: 0.005 - missing_m if pose.position_m[2] < up_to_m else 0.02)
    expect(grasp(bowl(), room, at=hand(y_m=0.01)), (X_M, y_m, z_m))


@settings(max_examples=40, deadline=None)
@given(
    turned_rad=st.floats(-7.0, 7.0),
    size_m=st.tuples(*[st.floats(0.02, 0.1)] * 3),
    order=st.permutations([0, 1, 2]),
    signs=st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3),
)
def test_how_the_axes_of_a_box_are_counted_is_of_no_account(turned_rad, size_m, order, signs) -> None:
    """Neither their order nor their signs; the grasp is in the middle and within a quarter turn of home."""
    thing = box(*size_m, turned_rad=turned_rad)
    found = grasp(thing)
    again = grasp(Thing(thing.points_m, (thing.axes * signs)[:, order], is_bowl=False))
    assert abs(found.yaw_rad - HOME_YAW_RAD) <= np.pi / 2 + 1e-9
    np.testing.assert_allclose(found.position_m[:2], [X_M, 0.0], atol=1e-9)
    np.testing.assert_allclose(again.position_m, found.position_m, atol=1e-9)
    assert abs(np.sin(again.yaw_rad - found.yaw_rad)) < 1e-6
