"""Whether numbers mean what is declared: the quality checks on a sample before anything is written, and two of our own.

A doubt names the key or option that settles it: the declaration is corrected, or the doubt is accepted by its code.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from magma_ros.episodes import Episode
from magma_ros.errors import ImportDataError
from magma_ros.finetune.importers.mapped import Demonstrations
from magma_ros.finetune.quality import lag
from magma_ros.finetune.quality.findings import Finding
from magma_ros.finetune.quality.report import judge
from magma_ros.finetune.quality.thresholds import Thresholds
from magma_ros.finetune.quality.track import Track, track_of
from magma_ros.geometry import relative_ee_delta

SAMPLE_SIZE = 24
"""Episodes that are looked at, spread evenly over the source."""
_COMMON = 1.0 / 3.0
"""Share of the looked-at episodes from which on a finding is about the declaration, not about an episode."""
_RATE_SHARE = 0.1
_CLEARLY_BETTER = 0.25
"""By so much more another form must correlate with what was asked to put the declared one in doubt."""
_TELLING = 0.6
_MUCH_MORE = 2.0
_EXACT = 0.2
"""A form that leaves less unexplained is the one that was used, where the declared one leaves twice as much."""

SETTLED_BY: Mapping[str, str] = MappingProxyType(
    {
        "units_suspect": "`metres` or `radians` of that number in the mapping",
        "out_of_contract": "`metres` or `radians` of the action in the mapping, or the contract's longest step",
        "irregular_rate": "`control_rate_hz` of the contract",
        "camera_lag": "`camera_lag_rows` in the mapping, or option --camera-lag-rows (of bags: --camera-lag-s)",
        "sync_error": "only the recording: leave the late camera out of the contract",
        "action_state_offset": "`action_rows_late` in the mapping, or option --action-rows-late",
        "gripper_inverted": "`closed` and `open` of `action.gripper` or `gripper_opening` in the mapping",
        "gripper_out_of_range": "`closed` and `open` of `action.gripper` or `gripper_opening` in the mapping",
        "rotation_form": "that key in the mapping",
    }
)
"""Code of a doubt → what settles it, beside --accept CODE; the codes of `quality.findings`, and `rotation_form`."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """A convention that the numbers speak against."""

    code: str
    text: str

    def __str__(self) -> str:
        return (
            f"{self.code}: {self.text}; settled by {SETTLED_BY[self.code]}, or by --accept {self.code} if it is right"
        )


def require_settled(source: Demonstrations, *, accept: Collection[str] = ()) -> None:
    """Look at a sample of `source` before it is imported.

    Args:
        source: What is to be imported.
        accept: Codes of doubts that are right as they are.

    Raises:
        ImportDataError: names every doubt with what settles it; or an unknown code in `accept`.
    """
    unknown = sorted(set(accept) - set(SETTLED_BY))
    if unknown:
        raise ImportDataError(f"accept: expected some of {sorted(SETTLED_BY)}, got {unknown}")
    found = [doubt for doubt in doubts(source) if doubt.code not in accept]
    if found:
        raise ImportDataError("\n  ".join(["the conventions of the data are in doubt", *map(str, found)]))


def doubts(source: Demonstrations) -> Iterator[Doubt]:
    """What in a sample of `source` speaks against its declared conventions.

    Raises:
        ImportDataError: an episode cannot be read.
    """
    yield from _rate(source)
    limits, tracks = Thresholds(), []
    forms: dict[str, list[lag.Correlogram]] = {}
    for index in dict.fromkeys(
        np.linspace(0, len(source) - 1, min(len(source), SAMPLE_SIZE)).round().astype(int).tolist()
    ):
        episode = source.read(index)
        if isinstance(episode, Episode):
            tracks.append(track_of(episode, index=index, contract=source.contract, limits=limits))
            for form, reading in {"": episode, **source.other_readings(index)}.items():
                curve = _turning(reading, source.contract.control_rate_hz)
                forms.setdefault(form, []).extend([curve] if curve is not None else [])
    if tracks:
        found = [*_found(tracks, limits), *_rotation_form(forms)]
        known = {doubt.code for doubt in found}
        yield from [*found, *(doubt for doubt in _farther_than_told(tracks, limits) if doubt.code not in known)]


def _rate(source: Demonstrations) -> Iterator[Doubt]:
    declared, said = source.contract.control_rate_hz, source.rate_hz
    if said is not None and abs(said / declared - 1.0) > _RATE_SHARE:
        yield Doubt("irregular_rate", f"the source says {said:g} Hz, the contract {declared:g} Hz")


def _found(tracks: Sequence[Track], limits: Thresholds) -> Iterator[Doubt]:
    """Findings about conventions that concern the whole sample or a good part of it, once for each code."""
    relevant = [f for f in judge(tracks, limits) if f.code in SETTLED_BY and _is_serious(f)]
    counts = Counter({code: len({f.episode for f in relevant if f.code == code}) for code in SETTLED_BY})
    told = set()
    for finding in relevant:
        is_common = finding.episode is None or counts[finding.code] >= _COMMON * len(tracks)
        if is_common and finding.code not in told:
            told.add(finding.code)
            where = (
                ""
                if finding.episode is None
                else f" (episode {finding.episode}, {counts[finding.code]} of {len(tracks)})"
            )
            yield Doubt(finding.code, finding.text + where)


def _is_serious(finding: Finding) -> bool:
    return finding.severity == "error" or (finding.code == "gripper_inverted" and finding.episode is None)


def _farther_than_told(tracks: Sequence[Track], limits: Thresholds) -> Iterator[Doubt]:
    """An arm may do less than it is told, and later; one that does much more is told in another unit."""
    told_and_done = {
        "translation": [(track.actions[:-1, :3], track.translation_m) for track in tracks],
        "rotation": [(track.actions[:-1, 3:6], track.rotation_rad) for track in tracks],
    }
    reach = lag.reach_for(tracks[0].contract.control_rate_hz)
    for name, pairs in told_and_done.items():
        curves = [lag.correlogram(done, told, reach=reach) for told, done in pairs]
        known = [curve for curve in curves if curve is not None]
        told_size, done_size = (float(np.sqrt(sum((part[side] ** 2).sum() for part in pairs))) for side in (0, 1))
        if known and _explained(known) > limits.lag_correlation and done_size > _MUCH_MORE * told_size:
            yield Doubt("units_suspect", f"the arm makes {done_size / told_size:.1f} times the {name} that it is told")


def _turning(episode: Episode, rate_hz: float) -> lag.Correlogram | None:
    """How the measured rotation follows the one that was asked for; None where one of them hardly turns."""
    if len(episode) < 3:
        return None
    quats, places = episode.ee_quat_xyzw, episode.ee_position_m
    _, turned = relative_ee_delta(places[:-1], quats[:-1], places[1:], quats[1:])
    return lag.correlogram(turned, episode.actions[:-1, 3:6], reach=lag.reach_for(rate_hz))


def _rotation_form(forms: Mapping[str, Sequence[lag.Correlogram]]) -> Iterator[Doubt]:
    """Another form under which the arm does what it was asked, where under the declared one it doesn't."""
    explained = {form: _explained(curves) for form, curves in forms.items() if curves}
    declared = explained.pop("", None)
    if declared is None or not explained:
        return
    best = max(explained, key=lambda form: explained[form])
    much_better = explained[best] > _TELLING and explained[best] > declared + _CLEARLY_BETTER
    rest, declared_rest = (np.sqrt(max(0.0, 1.0 - value**2)) for value in (explained[best], declared))
    if much_better or (rest < _EXACT and declared_rest > 2.0 * rest + 1e-6):
        shown = (
            f"measured and commanded rotation correlate by {declared:.3f} as declared, "
            f"by {explained[best]:.3f} with `{best}`"
        )
        yield Doubt("rotation_form", shown)


def _explained(curves: Sequence[lag.Correlogram]) -> float:
    """Mean correlation over the episodes at the lag, none or later, where it is highest."""
    values = np.mean([curve.values for curve in curves], axis=0)
    return float(values[curves[0].reach :].max())
