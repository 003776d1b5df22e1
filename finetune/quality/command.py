"""What `magma-ros data check` does: a dataset in; findings, a page, JSON and an exit status out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import tyro

from magma_ros import exit_codes
from magma_ros.episodes import EpisodeDataset
from magma_ros.errors import EpisodeError
from magma_ros.finetune.progress import progress_bar
from magma_ros.finetune.quality.findings import CODES, Finding
from magma_ros.finetune.quality.page import to_page
from magma_ros.finetune.quality.report import QualityReport, check_dataset
from magma_ros.finetune.quality.thresholds import Thresholds
from magma_ros.json_files import write_object
from magma_ros.wording import counted

_SHOWN = 5
"""Findings of a code that are printed; all are in the files."""


def check_data(
    folder: tyro.conf.Positional[Path],
    *,
    json: Path | None = None,
    html: Path | None = None,
    thresholds: Annotated[Thresholds, tyro.conf.arg(name="")] = Thresholds(),  # noqa: B008 - frozen
) -> int:
    """Look for what spoils a policy in recorded demonstrations, before it is trained on them.

    Args:
        folder: The dataset.
        json: Write everything that was found here, too, for programs.
        html: Write a page with pictures and curves here, for people.
        thresholds: From where on something is a finding.

    Returns:
        0 without an error among the findings, 1 with one.
    """
    with progress_bar(len(EpisodeDataset(folder))) as tell:
        report = check_dataset(folder, thresholds=thresholds, on_episode=tell)
    print("\n".join(_lines(report)), flush=True)
    if json is not None:
        write_object(json, report.to_document())
        print(f"wrote {json}", flush=True)
    if html is not None:
        _write(html, to_page(report))
    return exit_codes.FAILED if report.count("error") else exit_codes.OK


def _lines(report: QualityReport) -> Iterator[str]:
    num_steps = sum(episode.num_steps for episode in report.episodes)
    instructions = len({episode.instruction for episode in report.episodes})
    yield (
        f"{report.folder}: {len(report.episodes)} of {counted(report.num_episodes, 'episode')} readable, "
        f"{counted(num_steps, 'step')}, {counted(instructions, 'instruction')}"
    )
    for code, findings in report.by_code().items():
        yield ""
        yield f"{code}: {CODES[code].meaning}"
        yield from _shown(findings)
        yield f"  -> {CODES[code].fix}"
    yield ""
    yield ", ".join(f"{report.count(severity)} {severity}s" for severity in ("error", "warning", "note"))


def _shown(findings: Sequence[Finding]) -> Iterator[str]:
    for finding in findings[:_SHOWN]:
        where = "dataset" if finding.episode is None else f"episode {finding.episode}"
        if finding.steps is not None:
            where += f", steps {finding.steps[0]} to {finding.steps[1]}"
        yield f"  {finding.severity:<8}{where}: {finding.text}"
    if len(findings) > _SHOWN:
        episodes = sorted({str(f.episode) for f in findings[_SHOWN:] if f.episode is not None}, key=int)
        yield f"  and {len(findings) - _SHOWN} more: episodes {', '.join(episodes)}"


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise EpisodeError(f"{path}: cannot be written: {error}") from error
    print(f"wrote {path}", flush=True)
