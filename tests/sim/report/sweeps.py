"""Small sweep folders, as `magma-ros eval` would leave them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from magma_ros.sim.report.films import FilmRecorder
from magma_ros.sim.rollout import RolloutResult
from magma_ros.sim.sweep.journal import SweepRecord, open_journal
from magma_ros.sim.sweep.plan import SweepSpec, Trial, TrialRecord
from magma_ros.types import Observation, SafeAction
from tests.examples import CONTRACT, make_action, make_proprio

TASKS = ("carrot_on_plate", "stack_cube")
OUTCOMES = {"s": "success", "f": "failure", "e": "error"}
TRACEBACK = "Traceback (most recent call last):\n  ...\nRuntimeError: the physics exploded\n"


def make_spec(tasks: Sequence[str] = TASKS, **changes: object) -> SweepSpec:
    """Ten trials of each of two tasks."""
    protocol = {
        "control_rate_hz": 5.0,
        "limits": {"max_translation_step_m": 0.05, "workspace_min_m": [0.1, -0.3, 0.0]},
        "tasks": {
            task: {"instruction": f"do {task}", "step_budget": 60, "settle_steps": 0, "success_rule": "it is done"}
            for task in tasks
        },
    }
    values = {
        "suite": "bridge",
        "tasks": tuple(tasks),
        "policy": "magma-tiny",
        "seeds": tuple(range(10)),
        "execution_horizon": 1,
        "latency": None,
        "fingerprint": "0123abcd",
        "checkpoint": "feedbeef",
        "protocol": protocol,
        "provenance": {"commit": "c0ffee", "versions": {"numpy": "2.3"}, "device": "cpu", "machine": "a machine"},
    }
    return SweepSpec(**{**values, **changes})


def make_trial(task: str, seed: int, letter: str, **changes: object) -> TrialRecord:
    """A finished trial: s, f or e; a success holds from step 20 + seed on."""
    outcome = OUTCOMES[letter]
    values = {
        "seed": seed,
        "outcome": outcome,
        "num_steps": 60,
        "num_stops": 3 if letter == "f" else 0,
        "num_limited": 0,
        "stop_reasons": {"high_entropy": 3} if letter == "f" else {},
        "flags": {"grasped": letter == "s"},
        "detail": TRACEBACK if letter == "e" else "",
        "success_step": 20 + seed if letter == "s" else None,
        "num_inferences": 60,
    }
    result = RolloutResult(**{**values, **changes})
    return TrialRecord(Trial(task, seed), result, 1.5, "worker 0", f"2026-11-22T10:00:{seed:02d}.000+00:00", 30.0)


def make_record(outcomes: Mapping[str, str], spec: SweepSpec | None = None, **changes: object) -> SweepRecord:
    """A sweep whose task has these letters for its first seeds; a blank is a trial that was not run."""
    spec = spec or make_spec(tuple(outcomes))
    trials = [
        make_trial(task, seed, letter, **changes)
        for task, letters in outcomes.items()
        for seed, letter in zip(spec.seeds, letters, strict=False)
        if letter != " "
    ]
    return SweepRecord(spec, tuple(trials))


def write_folder(folder: Path, record: SweepRecord) -> Path:
    """The journal of `record`."""
    with open_journal(folder, record.spec) as journal:
        for trial in record.trials:
            journal.append(trial)
    return folder


def write_film(path: Path, *, outcome: str = "success", num_steps: int = 12) -> Path:
    """A real film of a square that moves over noise."""
    recorder = FilmRecorder(CONTRACT.cameras)
    generator = np.random.default_rng(0)
    for step in range(num_steps):
        picture = generator.integers(0, 60, (120, 160, 3), dtype=np.uint8)
        picture[50:70, 10 * step : 10 * step + 20] = (200, 120, 30)
        observation = Observation({"image": picture}, "push", 0.2 * step, make_proprio([0.3, 0.0, 0.2]))
        recorder(observation, SafeAction(make_action()))
    assert recorder.save(path, outcome=outcome, caption=path.stem)
    return path
