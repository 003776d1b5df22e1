"""Many rollouts of one policy, and what can honestly be said about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from magma_ros.controller import Controller
from magma_ros.errors import EnvError
from magma_ros.policy import Policy
from magma_ros.sim.env import Env
from magma_ros.sim.rollout import RolloutResult, rollout
from magma_ros.sim.statistics import Interval, wilson_interval
from magma_ros.sim.suites import Suite, Task


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Trials of one policy on one task.

    Attributes:
        policy: Name it was asked for by.
        suite, task: The protocol's names.
        step_budget, settle_steps: Of the protocol.
        results: In the order of their seeds.
    """

    policy: str
    suite: str
    task: str
    step_budget: int
    settle_steps: int
    results: tuple[RolloutResult, ...]

    def count(self, outcome: str) -> int:
        """Trials that ended so."""
        return sum(result.outcome == outcome for result in self.results)

    @property
    def num_judged(self) -> int:
        """Trials that the environment judged: all but the errors."""
        return len(self.results) - self.count("error")

    @property
    def success_rate(self) -> float | None:
        """Successes among the judged trials, 0 … 1; None when there are none."""
        return self.count("success") / self.num_judged if self.num_judged else None

    @property
    def wilson_interval(self) -> Interval:
        """95 % Wilson score interval of the success rate; (0, 1) when no trial was judged."""
        return wilson_interval(self.count("success"), self.num_judged)

    def summary(self) -> str:
        """One line with everything that belongs beside a success rate."""
        rate = "n/a" if self.success_rate is None else f"{self.success_rate:.2f}"
        low, high = self.wilson_interval
        seeds = [result.seed for result in self.results]
        return (
            f"success_rate {rate} ({self.count('success')}/{self.num_judged}), 95% Wilson [{low:.2f}, {high:.2f}], "
            f"errors {self.count('error')}, step_budget {self.step_budget}, settle_steps {self.settle_steps}, "
            f"seeds {seeds[0]}..{seeds[-1]}, policy {self.policy}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: the protocol, the statistics and every trial."""
        stops = sum((Counter(result.stop_reasons) for result in self.results), Counter[str]())
        return {
            "policy": self.policy,
            "suite": self.suite,
            "task": self.task,
            "step_budget": self.step_budget,
            "settle_steps": self.settle_steps,
            "num_trials": len(self.results),
            "num_successes": self.count("success"),
            "num_failures": self.count("failure"),
            "num_errors": self.count("error"),
            "success_rate": self.success_rate,
            "wilson_95": list(self.wilson_interval),
            "stop_reasons": dict(stops),
            "trials": [asdict(result) for result in self.results],
        }


def evaluate(
    env: Env,
    policy: Policy,
    *,
    policy_name: str,
    suite: Suite,
    task: Task,
    seeds: Sequence[int],
    execution_horizon: int = 1,
    on_result: Callable[[RolloutResult], None] | None = None,
) -> Evaluation:
    """Run `task` once per seed, in one process and in simulated time; neither `env` nor `policy` is closed.

    Raises:
        ContractError: the policy's actions would mean another motion in `env`, or its limits do not fit.
        EnvError: no seed at all.
    """
    if not seeds:
        raise EnvError("seeds: expected at least one trial")
    env.contract.require_same_motion(policy.contract, who=f"policy {policy_name}")
    controller = Controller(policy, limits=suite.limits, execution_horizon=execution_horizon)
    results = []
    for seed in seeds:
        result = rollout(
            env,
            controller,
            seed=seed,
            step_budget=task.step_budget,
            settle_steps=task.settle_steps,
        )
        results.append(result)
        if on_result is not None:
            on_result(result)
    return Evaluation(policy_name, suite.name, task.name, task.step_budget, task.settle_steps, tuple(results))
