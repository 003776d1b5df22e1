"""What `magma-ros eval` does: options in, a sweep with its progress, a report and a last line out."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from functools import partial
from typing import Annotated

import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from magma_ros import exit_codes
from magma_ros.json_files import write_object
from magma_ros.load_options import LoadOptions
from magma_ros.policies import fingerprint_of, is_address, open_policy
from magma_ros.policy import Policy
from magma_ros.sim import report
from magma_ros.sim.env import Env
from magma_ros.sim.envs import check_simulator, make_env
from magma_ros.sim.latency import parse as parse_latency
from magma_ros.sim.policies import SCRIPTED
from magma_ros.sim.provenance import checkpoint_digest, provenance
from magma_ros.sim.report.summary import summarize
from magma_ros.sim.sweep.filming import film, trials_to_film
from magma_ros.sim.sweep.journal import SweepRecord
from magma_ros.sim.sweep.options import Keeping, Question, Workplace, check
from magma_ros.sim.sweep.plan import SweepSpec, TrialRecord, protocol_of
from magma_ros.sim.sweep.pool import InProcessPool, Pool
from magma_ros.sim.sweep.process_pool import ProcessPool
from magma_ros.sim.sweep.results import conclude, describe, tell_passes, to_document
from magma_ros.sim.sweep.sweep import TrialWatcher, run_sweep
from magma_ros.sim.sweep.worker import TrialSetup, policy_of_trial

_RATE_PERIOD_S = 600.0


def evaluate_policy(
    *,
    question: Annotated[Question, tyro.conf.arg(name="")] = Question(),  # noqa: B008 - frozen
    workplace: Annotated[Workplace, tyro.conf.arg(name="")] = Workplace(),  # noqa: B008 - frozen
    keeping: Annotated[Keeping, tyro.conf.arg(name="")] = Keeping(),  # noqa: B008 - frozen
    options: Annotated[LoadOptions, tyro.conf.arg(name="")] = LoadOptions(),  # noqa: B008 - frozen
) -> int:
    """Measure a policy's success rate in simulation; the last line of output holds the result.

    Args:
        question: What is measured.
        workplace: Where the trials run.
        keeping: What is kept of them.
        options: How a checkpoint is brought up.

    Returns:
        0, or 1 when a trial ended in an error: the result is then incomplete.
    """
    check(question, workplace, keeping)
    suite, tasks = question.choose_tasks()
    render = question.policy not in SCRIPTED
    check_simulator(suite, render=render)
    latency = None if question.latency is None else parse_latency(question.latency)
    site = _Site(question.policy, options, workplace)
    setup = TrialSetup(
        suite=suite,
        make_env=partial(make_env, suite, render=render),
        make_policy=site.make_policy,
        execution_horizon=question.execution_horizon,
        latency=latency,
    )
    started_s = time.perf_counter()
    with closing(site):
        with closing(site.open_pool(setup)) as pool:
            spec = _spec(question, setup, tasks, options)
            spec = replace(spec, fingerprint=site.fingerprint(pool), batched=site.is_batched)
            record = _run(spec, pool, keeping)
        _film(record, setup, site, keeping)
    return _tell(record, keeping, wall_s=time.perf_counter() - started_s)


class _Site:
    """Where the trials of one command run: brings up the network once, if it is to live in this process."""

    def __init__(self, policy: str, options: LoadOptions, workplace: Workplace) -> None:
        self._policy, self._options, self._workplace = policy, options, workplace
        self._lives_in_worker = policy in SCRIPTED or is_address(policy)
        is_here = not self._lives_in_worker and workplace.ray_address is None
        self._player = open_policy(policy, options) if is_here else None

    @property
    def make_policy(self) -> Callable[[Env, int], Policy] | None:
        """What workers make their policy with; None when they ask one that lives elsewhere."""
        return partial(policy_of_trial, self._policy, self._options) if self._lives_in_worker else None

    @property
    def is_batched(self) -> bool:
        """Whether a network here answers several environments in one run; a single one is always answered alone."""
        return not self._lives_in_worker and self._workplace.batch and self._workplace.workers > 1

    def open_pool(self, setup: TrialSetup) -> Pool:
        """Somebody to run the trials of `setup`."""
        workplace = self._workplace
        if workplace.ray_address is not None:
            from magma_ros.sim.sweep.ray_pool import RayPool  # noqa: PLC0415 - only who uses Ray needs it

            return RayPool(
                setup,
                None if self._lives_in_worker else partial(open_policy, self._policy, self._options),
                address=workplace.ray_address,
                workers=workplace.workers,
                gpus_per_policy=workplace.gpus_per_policy,
                batched=self.is_batched,
            )
        if workplace.workers == 1:
            return InProcessPool(setup, self._player)
        return ProcessPool(setup, self._player, workers=workplace.workers, batched=self.is_batched)

    def fingerprint(self, pool: Pool) -> str | None:
        """Of the pipeline behind the policy; None for one without."""
        if is_address(self._policy):
            with closing(open_policy(self._policy, self._options)) as server:
                return fingerprint_of(server) or None
        return pool.fingerprint or None

    def close(self) -> None:
        """Release the network."""
        if self._player is not None:
            self._player.close()


def _spec(question: Question, setup: TrialSetup, tasks: tuple[str, ...], options: LoadOptions) -> SweepSpec:
    """What is asked, without what the site alone knows."""
    return SweepSpec(
        suite=setup.suite.name,
        tasks=tasks,
        policy=question.policy,
        seeds=tuple(range(question.seed, question.seed + question.trials)),
        execution_horizon=question.execution_horizon,
        latency=None if setup.latency is None else setup.latency.to_dict(),
        fingerprint=None,
        protocol=protocol_of(setup.suite, tasks),
        provenance=provenance(device=options.device),
        options={} if setup.make_policy is not None else asdict(options),
        width=question.width,
        checkpoint=None if setup.make_policy is not None else checkpoint_digest(question.policy),
    )


def _run(spec: SweepSpec, pool: Pool, keeping: Keeping) -> SweepRecord:
    with _watched(spec) as watch:
        return run_sweep(
            spec,
            pool,
            folder=keeping.output,
            resume=keeping.resume,
            retry_errors=keeping.retry_errors,
            on_trial=watch,
        )


@contextmanager
def _watched(spec: SweepSpec) -> Iterator[TrialWatcher]:
    """A bar with rate and time left on stderr, and a line for each trial above it."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
    console = Console(file=sys.stderr)
    started_s, num_done = time.perf_counter(), 0
    with Progress(
        *columns, TimeRemainingColumn(), console=console, transient=True, speed_estimate_period=_RATE_PERIOD_S
    ) as progress:
        bar = progress.add_task(f"{spec.policy} on {spec.suite}", total=None, rate="")

        def watch(done: TrialRecord, num_left: int) -> None:
            nonlocal num_done
            num_done += 1
            per_min = 60 * num_done / (time.perf_counter() - started_s)
            progress.console.print(_line(done, spec), highlight=False, markup=False, soft_wrap=True)
            progress.update(bar, advance=1, total=num_done + num_left, rate=f"{per_min:.1f} trials/min")

        yield watch


def _line(done: TrialRecord, spec: SweepSpec) -> str:
    task = f"{done.trial.task}, " if len(spec.tasks) > 1 else ""
    return f"{task}{describe(done.result)}"


def _film(record: SweepRecord, setup: TrialSetup, site: _Site, keeping: Keeping) -> None:
    if keeping.output is None:
        return
    trials = trials_to_film(record, keeping.output, count=keeping.films)
    if not trials:
        return
    filming = replace(setup, films=keeping.output, make_env=partial(make_env, setup.suite, render=True))
    with closing(site.open_pool(filming)) as pool:
        for trial in film(record, trials, pool, keeping.output):
            print(f"no film of {trial.task}, seed {trial.seed}: it ended otherwise when run again", file=sys.stderr)


def _tell(record: SweepRecord, keeping: Keeping, *, wall_s: float) -> int:
    summary = summarize(record)
    if keeping.output is not None:
        print(f"report {report.write(keeping.output)}", file=sys.stderr)
    if keeping.json is not None:
        document = {**to_document(record), "wall_s": round(wall_s, 3)}
        write_object(keeping.json, document)
    if passes := tell_passes(summary):
        print(passes)
    print(conclude(summary), flush=True)
    return exit_codes.OK if summary.is_complete else exit_codes.FAILED
