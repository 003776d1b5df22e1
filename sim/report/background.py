"""The sections of a report beside its rates: films, errors, protocol, seeds, and what it was measured with."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from magma_ros.markup import Markup, element
from magma_ros.sim.report.contents import Film, Report, Sweep, command_of
from magma_ros.sim.report.figures import quantity, ranges
from magma_ros.sim.report.films import last_frame
from magma_ros.sim.report.summary import SweepSummary
from magma_ros.sim.report.tables import plain_table
from magma_ros.sim.sweep.plan import TrialRecord

_FILM_PX = 160


def films(report: Report) -> Markup | None:
    """Failures and successes of each task side by side; None without a film."""
    if not report.films:
        return None
    tasks = [task.name for task in report.sweep.summary.tasks]
    shown = [_films_of(task, [film for film in report.films if film.task == task]) for task in tasks]
    left = f" {report.num_films_left} more are in the folder films." if report.num_films_left else ""
    note = f"The first trials of each outcome, at twice the speed of the world.{left}"
    return element("section", element("h2", "Films"), element("p", note, class_="muted small"), shown)


def errors(summary: SweepSummary) -> Markup | None:
    """Every error with its traceback, equal ones together; None without an error."""
    if not summary.errors:
        return None
    together: dict[str, list[TrialRecord]] = {}
    for done in summary.errors:
        together.setdefault(done.result.detail, []).append(done)
    folded = [_error(detail, trials) for detail, trials in together.items()]
    return element("section", element("h2", "Errors"), folded)


def protocol(summary: SweepSummary) -> Markup:
    """What was asked, and when it counted as done."""
    spec = summary.spec
    asked = spec.protocol["tasks"]
    rows = [
        [
            name,
            asked[name]["instruction"],
            str(asked[name]["step_budget"]),
            str(asked[name]["settle_steps"]),
            asked[name]["success_rule"],
        ]
        for name in spec.tasks
    ]
    general = {
        "suite": spec.suite,
        **{name: spec.protocol[name] for name in spec.protocol if name != "tasks"},
        "execution_horizon": spec.execution_horizon,
        "latency": spec.latency or "none, the world waits for the policy",
    }
    headings = ["task", "instruction", "step budget", "settle steps", "counts as a success when"]
    return element("section", element("h2", "Protocol"), _definitions(general), plain_table(headings, rows))


def seeds(summary: SweepSummary) -> Markup:
    """Which seeds of each task ended how."""
    outcomes = ("success", "failure", "error", "missing")
    rows = [[task.name, *(ranges(task.seeds[outcome]) for outcome in outcomes)] for task in summary.tasks]
    table = plain_table(["task", "success", "failure", "error", "not run"], rows)
    title = f"Seeds {ranges(summary.spec.seeds)}, by outcome"
    return element("section", element("h2", "Seeds"), element("details", element("summary", title), table))


def provenance(sweep: Sweep) -> Markup:
    """Policy, source, versions and machine, and the command that repeats it all."""
    spec = sweep.record.spec
    known: dict[str, Any] = {
        "policy": spec.policy,
        "checkpoint": spec.checkpoint or "none",
        "fingerprint": spec.fingerprint or "none",
        **({"options": spec.options, "answers": "batched" if spec.batched else "one by one"} if spec.options else {}),
        **spec.provenance,
    }
    begun = sorted(done.started_at for done in sweep.record.trials)
    if begun:
        known["trials begun"] = begun[0] if begun[0] == begun[-1] else f"{begun[0]} to {begun[-1]}"
    return element(
        "section",
        element("h2", "Measured with"),
        _definitions(known),
        element("h3", "To repeat it"),
        element("pre", element("code", command_of(spec))),
    )


def _films_of(task: str, shown: Sequence[Film]) -> Markup | None:
    if not shown:
        return None
    columns = []
    for outcome, heading in (("failure", "Failures"), ("success", "Successes")):
        pictures = [_film(film) for film in shown if film.outcome == outcome]
        strip = element("div", pictures, class_="strip") if pictures else element("p", "none", class_="muted small")
        columns.append(element("div", element("h4", heading, class_=outcome), strip))
    return element("div", element("h3", task), element("div", columns, class_="films"))


def _film(film: Film) -> Markup:
    still = element("source", media="(prefers-reduced-motion: reduce)", srcset=_data(last_frame(film.path)))
    alt = f"{film.task}, seed {film.seed}: {film.outcome}"
    moving = element("img", src=_data(film.path.read_bytes()), alt=alt, width=_FILM_PX, loading="lazy")
    caption = element("figcaption", f"seed {film.seed}", class_="muted")
    return element("figure", element("picture", still, moving), caption)


def _data(webp: bytes) -> str:
    return f"data:image/webp;base64,{base64.b64encode(webp).decode()}"


def _error(detail: str, trials: Sequence[TrialRecord]) -> Markup:
    lines = detail.strip().splitlines() or ["no traceback"]
    places = [
        f"{task}, {'seed' if len(same) == 1 else 'seeds'} {ranges(same)}"
        for task, group in groupby(trials, key=lambda done: done.trial.task)
        for same in [[done.trial.seed for done in group]]
    ]
    title = element("summary", element("strong", "; ".join(places)), f": {lines[-1]}")
    return element("details", title, element("pre", detail))


def _definitions(values: Mapping[str, Any]) -> Markup:
    """Names and values; mappings within are written out."""
    return element(
        "dl", [(element("dt", _words(name)), element("dd", _plain(found))) for name, found in values.items()]
    )


def _plain(found: Any) -> str:
    if isinstance(found, Mapping):
        return " · ".join(f"{name} {_plain(inner)}" for name, inner in found.items())
    if isinstance(found, list | tuple):
        return ", ".join(map(_plain, found))
    if isinstance(found, float):
        return quantity(found)
    return "none" if found is None else str(found)


def _words(name: str) -> str:
    return name.replace("_", " ")
