"""What the activation gate asks a model, and what it makes of the scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from magma_ros.errors import MagmaRosError
from magma_ros.golden import DEFAULT_INSTRUCTION, Question
from magma_ros.pipeline import Pipeline
from magma_ros.policy import ActionModel
from magma_ros.types import ActionPrediction, FloatArray, ImageArray, Observation

BLACK, WHITE, NOISE, OTHER, AGAIN = "black", "white", "noise", "other instruction", "black again"
"""The questions, by name. A checkpoint of several cameras is also asked about noise with one camera black."""

OTHER_INSTRUCTION = "open the drawer"
"""What is asked instead, to see whether the instruction matters."""


@dataclass(slots=True)
class Answers:
    """What a model said.

    Attributes:
        scores: Question → scores of the first action token [nats], shape (num_bins,), finite.
        faults: Question → why it has no scores.
        action: A whole action for noise, or why there is none.
        num_calls: Calls of the model.
    """

    scores: dict[str, FloatArray] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    action: ActionPrediction | str = "not asked"
    num_calls: int = 0

    def spread(self, question: str) -> float | None:
        """Standard deviation of a question's scores [nats]; None without an answer."""
        return float(self.scores[question].std()) if question in self.scores else None

    def change(self, one: str, other: str) -> float | None:
        """Root mean square difference of two questions' scores relative to their spread; None where there is none.

        A shift of all scores by the same amount changes no probability and does not count.
        """
        if one not in self.scores or other not in self.scores:
            return None
        a, b = (self.scores[name] - self.scores[name].mean() for name in (one, other))
        spread = np.sqrt((a.var() + b.var()) / 2.0)
        return float(np.sqrt(((a - b) ** 2).mean()) / spread) if spread > 0 else None


def inquire(pipeline: Pipeline, model: ActionModel, question: Question) -> Answers:
    """Ask everything, one observation at a time: in a batch an answer's last bits depend on its neighbours.

    Black is asked first and last, with everything else between: a model that keeps something from one question to
    the next answers differently.
    """
    noise = question.observation(pipeline.contract)
    black = {name: np.zeros_like(image) for name, image in noise.images.items()}
    white = {name: np.full_like(image, 255) for name, image in noise.images.items()}
    same = question.instruction == OTHER_INSTRUCTION
    asked: dict[str, tuple[Mapping[str, ImageArray], str]] = {
        BLACK: (black, question.instruction),
        WHITE: (white, question.instruction),
        NOISE: (noise.images, question.instruction),
        OTHER: (noise.images, DEFAULT_INSTRUCTION if same else OTHER_INSTRUCTION),
    }
    for name in several_cameras(pipeline):
        asked[without(name)] = ({**noise.images, name: black[name]}, question.instruction)
    answers = Answers()
    for name, (images, instruction) in asked.items():
        _ask_scores(answers, name, pipeline, model, Observation(images, instruction, stamp_s=0.0))
    _ask_action(answers, pipeline, model, noise)
    _ask_scores(answers, AGAIN, pipeline, model, Observation(black, question.instruction, stamp_s=0.0))
    return answers


def several_cameras(pipeline: Pipeline) -> tuple[str, ...]:
    """The cameras when there are several: each is then asked about by itself."""
    names = tuple(camera.name for camera in pipeline.contract.cameras)
    return names if len(names) > 1 else ()


def without(camera: str) -> str:
    """The question that shows noise in every camera but this one, which is black."""
    return f"{BLACK} {camera}"


def first_expected(scores: FloatArray, centres: FloatArray) -> float:
    """Mean of the numbers that the ids mean, `centres`, shape (num_bins,), under the softmax of `scores`."""
    weights = np.exp(scores - scores.max())
    return float(weights @ centres / weights.sum())


def _ask_scores(answers: Answers, name: str, pipeline: Pipeline, model: ActionModel, observation: Observation) -> None:
    answers.num_calls += 1
    try:
        got = model.action_scores([pipeline.encode(observation)])
    except MagmaRosError as error:
        answers.faults[name] = str(error)
        return
    scores, wanted = np.asarray(got, dtype=np.float64), (1, pipeline.tokenizer.num_bins)
    if scores.shape != wanted:
        answers.faults[name] = f"expected scores of shape {wanted}, got {scores.shape}"
    elif not np.isfinite(scores).all():
        answers.faults[name] = f"{np.count_nonzero(~np.isfinite(scores))} of {scores.size} scores are not finite"
    else:
        answers.scores[name] = scores[0]


def _ask_action(answers: Answers, pipeline: Pipeline, model: ActionModel, observation: Observation) -> None:
    answers.num_calls += 1
    try:
        action = model.generate_actions([pipeline.encode(observation)])
        pipeline.decode(action.tokens, stamp_s=observation.stamp_s)
    except MagmaRosError as error:
        answers.action = str(error)
        return
    finite = np.isfinite(action.expected).all() and np.isfinite(action.entropy_nats).all()
    if len(action) != 1:
        answers.action = f"expected one action, got {len(action)}"
    else:
        answers.action = action if finite else "expected finite values and entropies, got others"
