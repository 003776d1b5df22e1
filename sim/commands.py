"""What `magma-ros eval` and `magma-ros collect` do: options in, progress and a last line out."""

from __future__ import annotations

import json as json_format
import sys
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from magma_ros.errors import EnvError
from magma_ros.load_options import LoadOptions
from magma_ros.policies import fingerprint_of, open_policy
from magma_ros.policy import Policy
from magma_ros.sim.envs import make_env
from magma_ros.sim.evaluate import Evaluation, evaluate
from magma_ros.sim.policies import load_policy
from magma_ros.sim.provenance import provenance
from magma_ros.sim.rollout import RolloutResult
from magma_ros.sim.suites import find_suite
from magma_ros.sources import find

EXIT_OK = 0
EXIT_TRIAL_ERRORS = 1


def evaluate_policy(
    *,
    suite: str = "bridge",
    task: str = "carrot_on_plate",
    policy: str = "magma-tiny",
    trials: int = 50,
    seed: int = 0,
    execution_horizon: int = 1,
    json: Path | None = None,
    options: Annotated[LoadOptions, tyro.conf.arg(name="")] = LoadOptions(),  # noqa: B008 - frozen
) -> int:
    """Measure a policy's success rate in simulation; the last line of output holds the result.

    Args:
        suite: Set of tasks.
        task: Goal within the suite.
        policy: expert, random, noop, a checkpoint (its name, folder or hub id), or the address of a policy server
            (ws://host:port).
        trials: Number of seeded trials, at least 1.
        seed: First seed (trial i runs seed + i), and the seed of the random policy.
        execution_horizon: Actions of each chunk that are executed before the policy is asked again, at least 1.
        json: File for the statistics, every trial, commit, versions and device.
        options: How a checkpoint is brought up.

    Returns:
        0, or 1 when a trial ended in an error.
    """
    if trials < 1 or seed < 0:
        raise EnvError(f"expected at least 1 trial and a seed of at least 0, got {trials} and {seed}")
    protocol = find_suite(suite)
    goal = protocol.task(task)
    env = make_env(protocol, goal)
    try:
        player = load_policy(policy, env, seed=seed, options=options)
        started_s = time.perf_counter()
        with _progress() as progress:
            bar = progress.add_task(f"{policy} on {suite}/{task}", total=trials)

            def show(result: RolloutResult) -> None:
                progress.console.print(describe(result), highlight=False, markup=False, soft_wrap=True)
                progress.advance(bar)

            evaluation = evaluate(
                env,
                player,
                policy_name=policy,
                suite=protocol,
                task=goal,
                seeds=range(seed, seed + trials),
                execution_horizon=execution_horizon,
                on_result=show,
            )
        wall_s = time.perf_counter() - started_s
        if json is not None:
            _write_report(json, evaluation, player, options=options, wall_s=wall_s, horizon=execution_horizon)
        player.close()
    finally:
        env.close()
    print(evaluation.summary(), flush=True)
    return EXIT_TRIAL_ERRORS if evaluation.count("error") else EXIT_OK


def collect_demos(
    *,
    output: Path,
    episodes: int = 300,
    first_seed: int = 1_000_000,
    workers: int = 2,
    policy: str = "expert",
    expert_share: float = 0.0,
    options: Annotated[LoadOptions, tyro.conf.arg(name="")] = LoadOptions(),  # noqa: B008 - frozen
) -> int:
    """Record demonstrations of the carrot task, labelled by the expert in every state; goes on where it stopped.

    Args:
        output: Dataset folder, created when it is not there.
        episodes: Number of episodes that the dataset has at the end, at least 1.
        first_seed: Of the first initial state; seeds below 1000000 are for evaluation.
        workers: Processes.
        policy: Who acts: expert, or a checkpoint (its name or folder), whose mistakes the expert then corrects.
        expert_share: Chance per step that the expert acts in a checkpoint's place, 0 to 1.
        options: How a checkpoint is brought up.

    Returns:
        0.
    """
    if episodes < 1 or first_seed < 0 or workers < 1 or not 0.0 <= expert_share <= 1.0:
        raise EnvError("expected at least 1 episode and worker, a seed of at least 0 and an expert share of 0 to 1")
    from magma_ros.sim.collect import CollectConfig, collect  # noqa: PLC0415 - needs MuJoCo

    actor = None if policy == "expert" else partial(open_policy, find(policy), options)
    config = CollectConfig(actor=actor, expert_share=expert_share)
    report = collect(output, num_episodes=episodes, first_seed=first_seed, config=config, workers=workers)
    print(
        f"episodes {report.num_episodes} of {report.num_attempts} attempts, frames {report.num_frames}, "
        f"idle frames {report.num_idle_frames}, first_seed {first_seed}, dataset {output}",
        flush=True,
    )
    return EXIT_OK


def describe(result: RolloutResult) -> str:
    """One trial in a line; an error with its traceback below."""
    seen = ", ".join(name for name, value in result.flags.items() if value) or "nothing"
    stops = ", ".join(f"{reason} x{count}" for reason, count in result.stop_reasons.items())
    line = f"seed {result.seed}: {result.outcome} after {result.num_steps} steps (seen: {seen})"
    line += f", {result.num_stops} stops ({stops})" if result.num_stops else ""
    line += f", {result.num_limited} limited" if result.num_limited else ""
    return f"{line}\n{result.detail}" if result.detail else line


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(file=sys.stderr), transient=True)


def _write_report(
    path: Path, evaluation: Evaluation, policy: Policy, *, options: LoadOptions, wall_s: float, horizon: int
) -> None:
    document = {
        **evaluation.to_dict(),
        "execution_horizon": horizon,
        "fingerprint": fingerprint_of(policy) or None,
        "options": asdict(options),
        "wall_s": round(wall_s, 3),
        **provenance(device=options.device),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json_format.dumps(document, indent=2) + "\n", encoding="utf-8")
