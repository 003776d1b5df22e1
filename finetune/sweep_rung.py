"""The rung `simulator`: what the files of sweeps, `magma-ros eval --output`, say about a checkpoint."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scipy.stats import binomtest

from magma_ros.errors import SweepError
from magma_ros.finetune.ladder import Rung
from magma_ros.json_files import read_object
from magma_ros.wording import counted

SPEC_NAME, TRIALS_NAME, FORMAT = "sweep.json", "trials.jsonl", 1
"""Of a sweep's folder (docs/adr/0013)."""

_OUTCOMES = ("success", "failure", "error")


def judge(folders: Sequence[Path], *, checkpoint: str, fingerprint: str, min_success: float) -> Rung:
    """Whether every task of every sweep was done often enough.

    Args:
        folders: Of the sweeps.
        checkpoint: SHA-256 of the checkpoint's manifest; a sweep of another one is refused.
        fingerprint: Of its pipeline.
        min_success: What the lower end of the 95 % interval of each task's success rate (Wilson) has to reach.

    Raises:
        SweepError: a folder holds no sweep, one of another checkpoint, a damaged one, or one that stopped by its own
            results, for which this interval is too narrow.
    """
    tasks: dict[str, dict[str, Any]] = {}
    faults: list[str] = []
    for folder in folders:
        spec = _read_spec(folder, checkpoint=checkpoint, fingerprint=fingerprint)
        outcomes = _read_outcomes(folder, spec)
        for task in spec["tasks"]:
            name = f"{spec['suite']}/{task}"
            if name in tasks:
                raise SweepError(f"{folder}: expected each task in one sweep, got {name} twice")
            tasks[name] = _rate(Counter(outcomes[task].values()))
            faults += _faults(name, tasks[name], num_asked=len(spec["seeds"]), min_success=min_success)
    worst = min(tasks, key=lambda name: float(tasks[name]["low"]))
    shown = f"lowest {worst}, {_show(tasks[worst])}"
    return Rung.judged(
        "simulator",
        holds=not faults,
        detail="; ".join(faults) or f"{counted(len(tasks), 'task')}, {shown}, wanted at least {min_success}",
        figures={"min_success": min_success, "tasks": tasks, "sweeps": [str(folder) for folder in folders]},
    )


def _read_spec(folder: Path, *, checkpoint: str, fingerprint: str) -> dict[str, Any]:
    spec = read_object(folder / SPEC_NAME, error=SweepError)
    if spec.get("format") != FORMAT or not {"suite", "tasks", "seeds", "fingerprint", "checkpoint"} <= spec.keys():
        raise SweepError(f"{folder / SPEC_NAME}: expected a sweep of format {FORMAT}")
    if (spec["checkpoint"], spec["fingerprint"]) != (checkpoint, fingerprint):
        raise SweepError(
            f"{folder}: expected a sweep of the checkpoint with the manifest {checkpoint[:12]}…, got one of "
            f"{spec['policy']!r} with {str(spec['checkpoint'])[:12]}…: the checkpoint has changed, or it is another"
        )
    if spec.get("width") is not None:
        raise SweepError(f"{folder}: expected a fixed number of trials, got a sweep that stopped early (--width)")
    return spec


def _read_outcomes(folder: Path, spec: dict[str, Any]) -> dict[str, dict[int, str]]:
    """Task → seed → outcome; a torn last line is a trial that did not finish."""
    path = folder / TRIALS_NAME
    text = path.read_bytes() if path.is_file() else b""
    found: dict[str, dict[int, str]] = {task: {} for task in spec["tasks"]}
    for number, line in enumerate(text[: text.rfind(b"\n") + 1].splitlines(), start=1):
        try:
            trial = json.loads(line)
            task, seed, outcome = trial["task"], trial["seed"], trial["outcome"]
        except (ValueError, TypeError, KeyError) as error:
            raise SweepError(f"{path}, line {number}: expected a finished trial: {error!r}") from error
        if task not in found or seed not in spec["seeds"] or seed in found[task] or outcome not in _OUTCOMES:
            raise SweepError(f"{path}, line {number}: expected each trial of the sweep once, with an outcome")
        found[task][seed] = outcome
    return found


def _rate(outcomes: Counter[str]) -> dict[str, Any]:
    successes, judged = outcomes["success"], outcomes["success"] + outcomes["failure"]
    low, high = 0.0, 1.0
    if judged:
        interval = binomtest(successes, judged).proportion_ci(confidence_level=0.95, method="wilson")
        low, high = float(interval.low), float(interval.high)
    return {"successes": successes, "judged": judged, "errors": outcomes["error"], "low": low, "high": high}


def _faults(name: str, rate: dict[str, Any], *, num_asked: int, min_success: float) -> list[str]:
    """Why this task keeps the rung from being passed; a trial that ended in an error is no failure, and no success."""
    missing = num_asked - rate["judged"] - rate["errors"]
    if missing or rate["errors"]:
        return [f"{name}: expected {num_asked} judged trials, got {missing} unfinished and {rate['errors']} errors"]
    if rate["low"] < min_success:
        return [f"{name}: {_show(rate)}, expected at least {min_success}"]
    return []


def _show(rate: dict[str, Any]) -> str:
    return f"{rate['successes']}/{rate['judged']}, 95 % interval {rate['low']:.2f} … {rate['high']:.2f}"
