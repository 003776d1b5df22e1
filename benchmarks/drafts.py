"""Runs of the language model per action for several drafts, on episodes that a checkpoint itself acted out.

The episodes are recorded first, in simulation; then each strategy answers the same pictures again and must give the
same tokens. Counts do not depend on the machine's speed. `python benchmarks/drafts.py --trials 10`
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from magma_ros.checkpoint import load_model
from magma_ros.controller import Controller
from magma_ros.model.adapter import MagmaModel
from magma_ros.model.decoding import NextGuess, guess_from_pass
from magma_ros.pipeline import Pipeline
from magma_ros.policy import ModelPolicy
from magma_ros.sampling import Sampling
from magma_ros.sim.envs import make_env
from magma_ros.sim.rollout import rollout
from magma_ros.sim.suites import BRIDGE
from magma_ros.types import ActionPrediction, ModelInput

CHECKPOINT = Path(__file__).parents[1] / "checkpoints" / "magma-tiny"
TASK = "carrot_on_plate"
HISTORY = 8

Tokens = NDArray[np.int64]


class Step(NamedTuple):
    """One recorded question and its answer, tokens of shape (1, 7)."""

    model_input: ModelInput
    tokens: Tokens


class Recorder:
    """A model that keeps what it was asked and what it answered."""

    def __init__(self, model: MagmaModel) -> None:
        self.model = model
        self.steps: list[Step] = []

    def generate_actions(
        self,
        inputs: Sequence[ModelInput],
        *,
        action_horizon: int = 1,
        draft: Tokens | None = None,
        sampling: Sampling | None = None,
    ) -> ActionPrediction:
        """The model's own answer."""
        prediction = self.model.generate_actions(inputs, action_horizon=action_horizon, draft=draft, sampling=sampling)
        self.steps.append(Step(inputs[0], prediction.tokens))
        return prediction

    def action_scores(self, inputs: Sequence[ModelInput]) -> NDArray[np.float32]:
        """The model's own scores."""
        return self.model.action_scores(inputs)


def keep_draft(_choices: Tensor, draft: Tensor) -> Tensor:
    """Behind a wrong token, propose the rest of the same draft again."""
    return draft


def nothing(_past: Sequence[Tokens]) -> Tokens | None:
    """No draft."""
    return None


def previous_action(past: Sequence[Tokens]) -> Tokens | None:
    """The last action."""
    return past[-1] if past else None


def per_axis_history(past: Sequence[Tokens]) -> Tokens | None:
    """On each axis the commonest token of the last actions, the latest one on a tie."""
    if not past:
        return None
    columns = np.concatenate(past[-HISTORY:])[::-1].T
    return np.array([[max(column.tolist(), key=column.tolist().count) for column in columns]])


STRATEGIES: dict[str, tuple[Callable[[Sequence[Tokens]], Tokens | None], NextGuess]] = {
    "no draft, no guess": (nothing, keep_draft),
    "previous action": (previous_action, keep_draft),
    "per-axis history": (per_axis_history, keep_draft),
    "the pass's own choices": (nothing, guess_from_pass),
    "previous action, then own choices": (previous_action, guess_from_pass),
    "per-axis history, then own choices": (per_axis_history, guess_from_pass),
}


def main() -> None:
    """Record, replay, print one line per strategy."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=5, help="episodes")
    parser.add_argument("--seed", type=int, default=100, help="of the first initial state; the others follow")
    options = parser.parse_args()
    model = load_model(CHECKPOINT)
    episodes = [record(model, seed) for seed in range(options.seed, options.seed + options.trials)]
    num_actions = sum(map(len, episodes))
    num_new = sum(int(differs(steps).sum()) for steps in episodes)
    print(
        f"{len(episodes)} episodes of {TASK}, {num_actions} actions, {num_new} of them unlike the one before, greedy\n"
    )
    print("| draft, then guess | passes per action | where the action is new | share of each number of passes |")
    print("|---|---|---|---|")
    for name, (draft, next_guess) in STRATEGIES.items():
        passes = [np.array(replay(model, steps, draft, next_guess)) for steps in episodes]
        everywhere, is_new = np.concatenate(passes), np.concatenate([differs(steps) for steps in episodes])
        shares = ", ".join(f"{n}: {(everywhere == n).mean():.0%}" for n in range(2, 8))
        print(f"| {name} | {everywhere.mean():.2f} | {everywhere[is_new].mean():.2f} | {shares} |")


def record(model: MagmaModel, seed: int) -> list[Step]:
    """The steps of one episode in which the model acts."""
    recorder = Recorder(model)
    task = BRIDGE.task(TASK)
    env = make_env(BRIDGE, task)
    controller = Controller(ModelPolicy(Pipeline.load(CHECKPOINT), recorder), limits=BRIDGE.limits)
    result = rollout(env, controller, seed=seed, step_budget=task.step_budget)
    env.close()
    print(f"  seed {seed}: {result.outcome}, {len(recorder.steps)} actions")
    return recorder.steps


def differs(steps: Sequence[Step]) -> NDArray[np.bool_]:
    """Where an action differs from the one before it."""
    tokens = np.concatenate([step.tokens for step in steps])
    return np.array([True, *(tokens[1:] != tokens[:-1]).any(axis=1)])


def replay(
    model: MagmaModel, steps: Sequence[Step], draft: Callable[[Sequence[Tokens]], Tokens | None], next_guess: NextGuess
) -> list[int]:
    """Runs that each step takes; the tokens must be those of the recording."""
    past: list[Tokens] = []
    passes = []
    for step in steps:
        batch = model.processor([step.model_input])
        prediction = model.decoder.actions(batch, draft=draft(past), next_guess=next_guess)
        if not np.array_equal(prediction.tokens, step.tokens):
            raise SystemExit(f"a draft changed an answer: {step.tokens} became {prediction.tokens}")
        past.append(step.tokens)
        passes.append(prediction.num_passes)
    return passes


if __name__ == "__main__":
    main()
