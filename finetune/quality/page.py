"""The page of a checked dataset: one HTML file that needs nothing else, in light and dark."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from magma_ros.episodes import Episode, EpisodeDataset
from magma_ros.errors import EpisodeError
from magma_ros.finetune.pages import page, table
from magma_ros.finetune.quality.drawing import bars, curves, strip
from magma_ros.finetune.quality.findings import CODES, SEVERITIES, Finding
from magma_ros.finetune.quality.report import EpisodeFacts, QualityReport
from magma_ros.finetune.quality.track import Track, track_of
from magma_ros.markup import Markup, breakable, element
from magma_ros.wording import counted

MAX_SHOWN = 40
"""Episodes with findings that are shown with pictures and curves."""
_NUM_CLEAN = 4
_NUM_BARS = 24
_LONGEST_LIST = 200


def to_page(report: QualityReport) -> str:
    """The whole file; the episodes that it shows are read once more.

    Raises:
        EpisodeError: the dataset is gone.
    """
    return page(f"Data check of {report.folder.name}", _sections(report))


def _sections(report: QualityReport) -> Iterator[Markup | None]:
    num_steps = sum(episode.num_steps for episode in report.episodes)
    minutes = sum(episode.duration_s for episode in report.episodes) / 60
    length = f"{counted(report.num_episodes, 'episode')}, {counted(num_steps, 'step')}, {minutes:.1f} min"
    facts = f"{length} · {report.contract.embodiment}"
    yield element("header", element("p", facts, class_="muted"), element("h1", str(report.folder)), _verdict(report))
    yield _codes(report)
    yield from _findings(report)
    yield _lags(report)
    yield _contents(report)
    yield _episodes(report)
    yield element("footer", "Rules and limits: docs/data_quality.md. `--json` writes it all for programs.")


def _verdict(report: QualityReport) -> Markup:
    if not report.findings:
        return element("p", "Nothing was found.", class_="banner clean", role="note")
    counts = ", ".join(f"{report.count(severity)} {severity}s" for severity in SEVERITIES)
    worst = report.findings[0].severity
    words = "Do not train on this yet" if worst == "error" else "Nothing that spoils training"
    return element("p", f"{words}: {counts}.", class_=f"banner {worst}", role="note")


def _codes(report: QualityReport) -> Markup | None:
    if not report.findings:
        return None
    rows = []
    for code, findings in report.by_code().items():
        worst = findings[0].severity
        episodes = {finding.episode for finding in findings}
        where = "dataset" if None in episodes else f"{len(episodes)} of {counted(report.num_episodes, 'episode')}"
        cells = [element("td", worst, class_=worst), element("td", where), element("td", CODES[code].meaning)]
        rows.append(element("tr", element("th", breakable(code), scope="row"), cells, element("td", CODES[code].fix)))
    return element(
        "section", element("h2", "What was found"), table(("code", "", "where", "meaning", "what to do"), rows)
    )


def _findings(report: QualityReport) -> Iterator[Markup]:
    for code, findings in report.by_code().items():
        items = [_item(finding) for finding in findings[:_LONGEST_LIST]]
        left = len(findings) - len(items)
        more = element("p", f"and {left} more", class_="muted") if left else None
        yield element("details", element("summary", f"{code} ({len(findings)})"), element("ul", items), more)


def _item(finding: Finding, *, with_episode: bool = True) -> Markup:
    where = f"episode {finding.episode}" if with_episode and finding.episode is not None else ""
    steps = "" if finding.steps is None else f"steps {finding.steps[0]} to {finding.steps[1]}"
    place = ", ".join(part for part in (where, steps) if part)
    severity = element("strong", finding.code.replace("_", " "), class_=finding.severity)
    return element("li", severity, f" {place}: " if place else ": ", finding.text)


def _lags(report: QualityReport) -> Markup | None:
    rows = [
        element(
            "tr",
            element("th", name, scope="row"),
            [element("td", cell) for cell in (
                f"{found.steps:+.2f} steps ({1000 * found.steps * report.contract.control_period_s:+.0f} ms)",
                f"{found.correlation:.2f}",
                str(found.num_series),
            )],
        )
        for name, found in report.lags.items()
        if found is not None
    ]  # fmt: skip
    if not rows:
        return None
    note = "By how much pictures follow the arm, and the measured motion its actions; over all episodes."
    listed = table(("", "lag", "correlation", "episodes"), rows)
    return element("section", element("h2", "Lags"), element("p", note, class_="muted small"), listed)


def _contents(report: QualityReport) -> Markup | None:
    if not report.episodes:
        return None
    steps = [episode.num_steps for episode in report.episodes]
    numbers, edges = np.histogram(steps, bins=min(_NUM_BARS, len(set(steps))))
    title = f"Episodes by length, {edges[0]:.0f} to {edges[-1]:.0f} steps"
    counts = Counter(episode.instruction for episode in report.episodes)
    done = Counter(episode.instruction for episode in report.episodes if episode.success)
    rows = [
        element("tr", element("th", text, scope="row"), element("td", number), element("td", done[text]))
        for text, number in counts.most_common(_LONGEST_LIST)
    ]
    listed = table(("instruction", "episodes", "successes"), rows)
    return element("section", element("h2", "What it holds"), bars(title, [float(n) for n in numbers]), listed)


def _episodes(report: QualityReport) -> Markup:
    facts = {episode.episode: episode for episode in report.episodes}
    flagged = list(dict.fromkeys(f.episode for f in report.findings if f.episode is not None))
    clean = [index for index in facts if index not in set(flagged)][:_NUM_CLEAN]
    dataset = EpisodeDataset(report.folder)
    cards = [_card(report, dataset, index, facts.get(index)) for index in [*flagged[:MAX_SHOWN], *clean]]
    left = len(flagged) - MAX_SHOWN
    note = "Those with findings, the worst first, then some without. Shaded: the steps of a finding."
    note += f" {left} more have findings." if left > 0 else ""
    return element("section", element("h2", "Episodes"), element("p", note, class_="muted small"), cards)


def _card(report: QualityReport, dataset: EpisodeDataset, index: int, facts: EpisodeFacts | None) -> Markup:
    findings = report.of(index)
    items = [_item(finding, with_episode=False) for finding in findings]
    said = element("ul", items) if items else None
    heading = element("h3", f"Episode {index}")
    if facts is None:
        return element("article", heading, said)
    words = f"{facts.instruction} · {counted(facts.num_steps, 'step')}, {facts.duration_s:.1f} s"
    words += " · success" if facts.success else " · no success"
    words += f" · {counted(facts.num_interventions, 'step')} of intervention" if facts.num_interventions else ""
    try:
        episode = dataset.read(index)
    except EpisodeError as error:
        return element("article", heading, said, element("p", f"cannot be read any more: {error}", class_="muted"))
    strips = [strip(camera, pictures) for camera, pictures in episode.images.items()]
    drawn = element("div", list(_curves(report, episode, index)), class_="curves")
    return element("article", heading, element("p", words, class_="muted small"), said, strips, drawn)


def _curves(report: QualityReport, episode: Episode, index: int) -> Iterator[Markup]:
    track: Track = track_of(episode, index=index, contract=report.contract, limits=report.thresholds)
    marked = [finding.steps for finding in report.of(index) if finding.steps is not None]
    asked = np.linalg.norm(track.actions[:, :3], axis=1)
    measured = np.linalg.norm(track.translation_m, axis=1)
    top = float(max(asked.max(), measured.max(initial=0.0)))
    lines = [(f"commanded, up to {1000 * top:.0f} mm per step", asked, top), ("measured", measured, top)]
    yield curves("Translation per step", lines, num_steps=len(track), marked=marked)
    lines = [("gripper commanded", track.actions[:, 6], 1.0), ("measured", track.gripper_opening, 1.0)]
    yield curves("Gripper opening", lines, num_steps=len(track), marked=marked)
    for name, camera in track.cameras.items():
        most, way = float(camera.change.max(initial=0.0)), float(track.way_m.max(initial=0.0))
        lines = [(f"{name}: picture change", camera.change, most), ("motion of the arm", track.way_m, way)]
        yield curves(f"{name} against motion", lines, num_steps=len(track), marked=marked)
