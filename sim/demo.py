"""What `magma-ros demo` does: the whole graph at work, some trials, two questions, a film and a contact sheet.

Starts `arm_node`, `motion_node` and `policy_node` as processes of their own and speaks to them over DDS as any client
would.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from magma_ros import exit_codes
from magma_ros.json_files import write_object
from magma_ros.ros.goal import Outcome
from magma_ros.ros.spin import StopFlag
from magma_ros.ros.trial_client import GraphError, InterruptedTrialError, Step, Trial, TrialClient
from magma_ros.sim.film import Shot, write_contact_sheet, write_film
from magma_ros.sim.processes import Child, enter_graph, parameter_arguments
from magma_ros.sim.provenance import provenance
from magma_ros.sim.report.summary import summarize
from magma_ros.sim.rollout import Outcome as Verdict
from magma_ros.sim.rollout import RolloutResult
from magma_ros.sim.suites import BRIDGE
from magma_ros.sim.sweep import plan
from magma_ros.sim.sweep.journal import SweepRecord
from magma_ros.sim.sweep.results import conclude, to_document
from magma_ros.sources import find
from magma_ros.wording import counted

_START_S = 60.0
_ANSWER_S = 30.0
_QUESTIONS = ("What is on the table?", "Is the carrot on the plate?")
_FILM_SPEED = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What is shown, and where it is kept.

    Attributes:
        trials: How many.
        seed: Initial state of the first; the others follow.
        checkpoint: A checkpoint folder, or a name in this project's `checkpoints`.
        real_time_factor: Simulated seconds per second; raise it only where inference stays below a control period.
        output: Folder for the film, the contact sheet and the nodes' logs.
        json: File for the outcome of every seed.
    """

    trials: int = 3
    seed: int = 24
    checkpoint: str = "magma-tiny-talking"
    real_time_factor: float = 1.0
    output: Path = Path("outputs")
    json: Path | None = None


@contextmanager
def running_graph(options: DemoOptions) -> Iterator[tuple[Child, ...]]:
    """The three nodes; they end in the reverse order, so that the arm is told to hold before it ends itself."""
    rate_hz = options.real_time_factor * BRIDGE.control_rate_hz
    nodes: dict[str, dict[str, object]] = {
        "magma_ros.sim.arm_node": {"real_time_factor": options.real_time_factor, "seed": options.seed},
        "magma_ros.ros.motion_node": {"arm": "sim", "autostart": True},
        "magma_ros.ros.policy_node": {
            "arm": "sim",
            "autostart": True,
            "checkpoint": find(options.checkpoint),
            "control_rate_hz": rate_hz,
        },
    }
    children: list[Child] = []
    try:
        for module, parameters in nodes.items():
            name = module.rpartition(".")[2]
            command = [sys.executable, "-m", module, "--ros-args", *parameter_arguments(parameters)]
            children.append(Child.start(name, command, log=options.output / "logs" / f"{name}.log"))
        yield tuple(children)
    finally:
        for child in reversed(children):
            child.stop()


def require_running(children: Sequence[Child], stop: StopFlag) -> None:
    """Nothing while the demo may go on.

    Raises:
        InterruptedTrialError: the person at the terminal pressed Ctrl-C.
        EnvError: a node ended by itself.
    """
    if stop.is_set:
        raise InterruptedTrialError("interrupted: the arm holds still")
    for child in children:
        child.require_alive()


def run_trials(client: TrialClient, options: DemoOptions, console: Console) -> list[Trial]:
    """Every trial, with a bar for the one under way and a line for each that ended."""
    task = BRIDGE.task("carrot_on_plate")
    timeout_s = 20.0 + 3.0 * task.step_budget / BRIDGE.control_rate_hz / options.real_time_factor
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}"))
    trials: list[Trial] = []
    with Progress(
        *columns, TimeElapsedColumn(), console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        for seed in range(options.seed, options.seed + options.trials):
            bar = progress.add_task(f'seed {seed}: "{task.instruction}"', total=task.step_budget, note="")

            def on_step(step: Step, bar: Any = bar) -> None:
                note = f"inference {1000 * step.inference_s:3.0f} ms" if step.moved else f"holds: {step.stop_reason}"
                progress.update(bar, completed=step.number, note=note)

            trial = client.run_trial(
                seed, task.instruction, step_budget=task.step_budget, timeout_s=timeout_s, on_step=on_step
            )
            progress.remove_task(bar)
            console.print(describe(trial), highlight=False)
            trials.append(trial)
    return trials


def ask(client: TrialClient, console: Console) -> None:
    """A line for each question about what the camera sees now, with the answer or why there is none."""
    for question in _QUESTIONS:
        try:
            answer = client.ask(question, timeout_s=_ANSWER_S)
        except InterruptedTrialError:
            raise
        except GraphError as error:
            answer = f"({error})"
        console.print(f'asked "{question}": {answer}', highlight=False)


def describe(trial: Trial) -> str:
    """One line about a trial."""
    verdict = "success" if trial.success else "failure"
    ended = "" if trial.outcome is Outcome.BUDGET_SPENT else f", {trial.outcome.name}: {trial.message}"
    median_ms = 1000 * statistics.median([step.inference_s for step in trial.steps] or [0.0])
    length = f"{counted(trial.num_steps, 'step')} (inference {median_ms:.0f} ms median{ended})"
    return f"seed {trial.seed}: {verdict} after {length}"


def record_of(trials: Sequence[Trial], options: DemoOptions) -> SweepRecord:
    """The trials as the simulator's sweeps count them."""
    task = BRIDGE.task("carrot_on_plate").name
    records = []
    for trial in trials:
        stops = [step.stop_reason for step in trial.steps if not step.moved]
        reasons = {reason: stops.count(reason) for reason in sorted(set(stops))}
        outcome: Verdict = "success" if trial.success else "failure"
        result = RolloutResult(trial.seed, outcome, trial.num_steps, len(stops), 0, reasons, {}, "")
        records.append(plan.TrialRecord(plan.Trial(task, trial.seed), result, 0.0, "ROS graph", ""))
    spec = plan.SweepSpec(
        suite=BRIDGE.name,
        tasks=(task,),
        policy=options.checkpoint,
        seeds=tuple(trial.seed for trial in trials),
        execution_horizon=1,
        latency=None,
        fingerprint=None,
        protocol=plan.protocol_of(BRIDGE, [task]),
        provenance=provenance(device="cpu"),
    )
    return SweepRecord(spec, tuple(records))


def write_json(path: Path, trials: Sequence[Trial], options: DemoOptions) -> None:
    """Every trial's outcome and what it was measured with."""
    whole = to_document(record_of(trials, options))
    for row, trial in zip(whole["trials"], trials, strict=True):
        for unknown in ("num_limited", "success_step", "num_inferences"):
            del row[unknown]  # the graph does not say
        row["goal_outcome"] = trial.outcome.name.lower()
        row["inference_s"] = [round(step.inference_s, 4) for step in trial.steps]
    whole |= {"through": "ROS graph", "real_time_factor": options.real_time_factor}
    write_object(path, whole)


def write_pictures(trials: Sequence[Trial], options: DemoOptions, console: Console) -> None:
    """The film and the contact sheet, of the first trials only when there are many."""
    instruction = BRIDGE.task("carrot_on_plate").instruction
    shots = [
        Shot(f'"{instruction}", seed {t.seed}', "success" if t.success else "failure", t.success, t.frames)
        for t in trials[:6]
    ]
    film, sheet = options.output / "demo.mp4", options.output / "demo.png"
    write_film(film, shots, frames_per_s=_FILM_SPEED * BRIDGE.control_rate_hz)
    heading = f"{Path(options.checkpoint).name} on the simulated WidowX, through the ROS graph"
    write_contact_sheet(sheet, shots, heading=heading)
    console.print(f"wrote {film} and {sheet}", highlight=False)


def show_graph(
    *,
    options: Annotated[DemoOptions, tyro.conf.arg(name="")] = DemoOptions(),
) -> int:
    """Run trials of a checkpoint through the ROS graph: a camera topic moves the simulated arm. Then ask what it sees.

    Args:
        options: What is shown, and where it is kept.

    Returns:
        0, or 1 when less than two thirds of the trials succeeded.
    """
    console, stop = Console(soft_wrap=True), StopFlag()
    enter_graph()
    try:
        with running_graph(options) as children:
            client = TrialClient(check=partial(require_running, children, stop))
            try:
                status = client.wait_until_ready(timeout_s=_START_S)
                console.print(f"policy {status.checkpoint}, fingerprint {status.fingerprint[:12]}", highlight=False)
                trials = run_trials(client, options, console)
                ask(client, console)
            finally:
                client.close()
    except InterruptedTrialError as error:
        console.print(str(error), highlight=False)
        return exit_codes.INTERRUPTED
    write_pictures(trials, options, console)
    if options.json is not None:
        write_json(options.json, trials, options)
    console.print(conclude(summarize(record_of(trials, options))), highlight=False)
    num_successes = sum(trial.success for trial in trials)
    console.print(f"demo: {num_successes}/{len(trials)} trials successful", highlight=False)
    return exit_codes.OK if 3 * num_successes >= 2 * len(trials) else exit_codes.FAILED
