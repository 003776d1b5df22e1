"""A dataset, checked: what was found in it and what it holds, as values and as plain JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from magma_ros.contract import ActionContract
from magma_ros.episodes import EpisodeDataset
from magma_ros.errors import EpisodeError, NotFiniteError
from magma_ros.finetune.quality import collection, lag, motion, pictures
from magma_ros.finetune.quality.findings import SEVERITIES, Finding, Severity, without_consequences
from magma_ros.finetune.quality.registry import DATASET_CHECKS, EPISODE_CHECKS
from magma_ros.finetune.quality.thresholds import Thresholds
from magma_ros.finetune.quality.track import Track, track_of

FORMAT = 1


@dataclass(frozen=True, slots=True)
class EpisodeFacts:
    """What a readable episode is, in a line."""

    episode: int
    num_steps: int
    duration_s: float
    instruction: str
    success: bool
    operator: str
    num_interventions: int


@dataclass(frozen=True, slots=True)
class QualityReport:
    """What the check of one dataset gave.

    Attributes:
        folder: Of the dataset.
        contract: Its action contract.
        num_episodes: Readable or not.
        episodes: The readable ones.
        findings: Errors first, then by episode.
        lags: "camera NAME" and "measured motion" → by how many steps each follows the arm and the actions, over all
            episodes; None where too little moves.
        thresholds: The limits that were applied.
    """

    folder: Path
    contract: ActionContract
    num_episodes: int
    episodes: tuple[EpisodeFacts, ...]
    findings: tuple[Finding, ...]
    lags: Mapping[str, lag.Lag | None]
    thresholds: Thresholds

    def count(self, severity: Severity) -> int:
        """Findings of one severity."""
        return sum(finding.severity == severity for finding in self.findings)

    def of(self, episode: int | None) -> tuple[Finding, ...]:
        """Findings of one episode, or with None of the dataset."""
        return tuple(finding for finding in self.findings if finding.episode == episode)

    def by_code(self) -> dict[str, tuple[Finding, ...]]:
        """Code → its findings, in the order of the findings."""
        codes = dict.fromkeys(finding.code for finding in self.findings)
        return {code: tuple(finding for finding in self.findings if finding.code == code) for code in codes}

    def to_document(self) -> dict[str, Any]:
        """Plain JSON values; `docs/data_quality.md` says what the keys are."""
        return {
            "format": FORMAT,
            "folder": str(self.folder),
            "contract": self.contract.to_dict(),
            "num_episodes": self.num_episodes,
            "num_readable": len(self.episodes),
            "num_steps": sum(episode.num_steps for episode in self.episodes),
            "counts": {severity: self.count(severity) for severity in SEVERITIES},
            "findings": [{**asdict(finding), "fix": finding.fix} for finding in self.findings],
            "instructions": dict(Counter(episode.instruction for episode in self.episodes)),
            "lags": {name: None if found is None else asdict(found) for name, found in self.lags.items()},
            "episodes": [asdict(episode) for episode in self.episodes],
            "thresholds": asdict(self.thresholds),
        }


def check_dataset(
    folder: Path, *, thresholds: Thresholds | None = None, on_episode: Callable[[int], None] | None = None
) -> QualityReport:
    """Read every episode in `folder` once, one at a time, and check it; those that cannot be read are findings.

    Args:
        folder: The dataset.
        thresholds: From where on something is a finding.
        on_episode: Told after each episode how many were read.

    Raises:
        EpisodeError: the folder is no dataset, or has no episode.
    """
    limits = thresholds or Thresholds()
    dataset = EpisodeDataset(folder)
    if len(dataset) == 0:
        raise EpisodeError(f"{folder}: expected at least one episode, got none")
    tracks: list[Track] = []
    findings: list[Finding] = list(collection.unused_instructions(dataset.instructions))
    for index in range(len(dataset)):
        read = _read(dataset, index, limits)
        if isinstance(read, Finding):
            findings.append(read)
        else:
            tracks.append(read)
        if on_episode is not None:
            on_episode(index + 1)
    return QualityReport(
        folder=folder,
        contract=dataset.contract,
        num_episodes=len(dataset),
        episodes=tuple(_facts(track) for track in tracks),
        findings=tuple(sorted([*findings, *judge(tracks, limits)], key=_order)),
        lags=dict(_lags(tracks, limits)),
        thresholds=limits,
    )


def judge(tracks: Sequence[Track], limits: Thresholds) -> list[Finding]:
    """What all checks find in readable episodes, without what is a mere consequence of something else."""
    findings = [finding for track in tracks for check in EPISODE_CHECKS for finding in check(track, limits)]
    if tracks:
        findings += [finding for check in DATASET_CHECKS for finding in check(tracks, limits)]
    return without_consequences(findings, num_episodes=len(tracks))


def _read(dataset: EpisodeDataset, index: int, limits: Thresholds) -> Track | Finding:
    try:
        return track_of(dataset.read(index), index=index, contract=dataset.contract, limits=limits)
    except EpisodeError as error:
        code = "not_finite" if isinstance(error, NotFiniteError) else "unreadable"
        return Finding(code=code, severity="error", episode=index, text=str(error))


def _lags(tracks: list[Track], limits: Thresholds) -> Iterator[tuple[str, lag.Lag | None]]:
    for name in dict.fromkeys(name for track in tracks for name in track.cameras):
        seen = [curve for track in tracks if (curve := pictures.sight(track, name, limits)) is not None]
        yield f"camera {name}", lag.estimate(seen)
    yield "measured motion", lag.estimate([curve for track in tracks if (curve := motion.response(track)) is not None])


def _facts(track: Track) -> EpisodeFacts:
    return EpisodeFacts(
        episode=track.index,
        num_steps=len(track),
        duration_s=track.duration_s,
        instruction=track.instruction,
        success=track.success,
        operator=track.operator,
        num_interventions=track.num_interventions,
    )


def _order(finding: Finding) -> tuple[int, int, str]:
    episode = -1 if finding.episode is None else finding.episode
    return SEVERITIES.index(finding.severity), episode, finding.code
