"""The `Policy` protocol, from observations to action chunks, and the one that a local model answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from magma_ros import prompts
from magma_ros.contract import ActionContract
from magma_ros.entropy_bounds import EntropyBounds
from magma_ros.errors import PolicyError
from magma_ros.pipeline import Pipeline
from magma_ros.sampling import Sampling
from magma_ros.talking import Question
from magma_ros.types import ActionChunk, ActionPrediction, ModelInput, Observation


class Policy(Protocol):
    """Anything that can decide what the arm does next."""

    @property
    def contract(self) -> ActionContract:
        """What this policy's actions mean."""
        ...

    def infer(self, observation: Observation) -> ActionChunk:
        """The actions for `observation`, the first of them due at once.

        Raises:
            MagmaRosError: no honest action can be given; the caller stops the arm.
        """
        ...

    def reset(self) -> None:
        """Forget the episode so far."""
        ...

    def close(self) -> None:
        """Release what the policy holds; it is not used again."""
        ...


class ActionModel(Protocol):
    """A network that answers model inputs with action tokens."""

    def generate_actions(
        self,
        inputs: Sequence[ModelInput],
        *,
        action_horizon: int = 1,
        draft: NDArray[np.int64] | None = None,
        sampling: Sampling | None = None,
    ) -> ActionPrediction:
        """So many actions for each input, the likeliest or drawn ones; `draft`, the tokens' shape, only saves time."""
        ...

    def action_scores(self, inputs: Sequence[ModelInput]) -> NDArray[np.float32]:
        """Scores of each action id as the first token, lowest id first, shape (len(inputs), 256)."""
        ...


@runtime_checkable
class TextModel(Protocol):
    """A network that also answers model inputs with text."""

    @property
    def predicts_traces(self) -> bool:
        """As `Talker.predicts_traces`."""
        ...

    def generate_text(self, model_input: ModelInput, *, max_new_tokens: int) -> Iterator[str]:
        """The likeliest answer, piece by piece."""
        ...


class ModelPolicy:
    """A pipeline around a local model: encode, generate, decode; it talks if the model does."""

    def __init__(
        self,
        pipeline: Pipeline,
        model: ActionModel,
        *,
        sampling: Sampling | None = None,
        entropy_bounds: EntropyBounds | None = None,
    ) -> None:
        """Act with `model`, greedily unless a `sampling` is given; the bounds are for whoever drives an arm with it."""
        self.pipeline = pipeline
        self.entropy_bounds = entropy_bounds
        self._model = model
        self._sampling = sampling
        self._last_tokens: NDArray[np.int64] | None = None

    @property
    def contract(self) -> ActionContract:
        """The contract that the pipeline decodes by."""
        return self.pipeline.contract

    @property
    def fingerprint(self) -> str:
        """Of the pipeline."""
        return self.pipeline.fingerprint()

    @property
    def model(self) -> ActionModel:
        """The network that answers."""
        return self._model

    def infer(self, observation: Observation) -> ActionChunk:
        """The actions for `observation`: as many as the pipeline says, one as Magma predicts.

        Raises:
            InvalidInputError: the instruction or a picture cannot be used.
            ActionDecodeError: the model's answer is not an action.
        """
        model_input = self.pipeline.encode(observation)
        prediction = self._generate([model_input], draft=self._last_tokens)
        self._last_tokens = prediction.tokens
        return self._decode(prediction, 0, stamp_s=observation.stamp_s)

    def infer_batch(self, observations: Sequence[Observation]) -> list[ActionChunk]:
        """One chunk for each of several observations that have nothing to do with each other.

        Raises:
            InvalidInputError, ActionDecodeError: as `infer`; one bad observation refuses the batch.
        """
        inputs = [self.pipeline.encode(one) for one in observations]
        prediction = self._generate(inputs)
        return [self._decode(prediction, index, stamp_s=one.stamp_s) for index, one in enumerate(observations)]

    @property
    def talks(self) -> bool:
        """Whether the model does."""
        return isinstance(self._model, TextModel)

    @property
    def predicts_traces(self) -> bool:
        """Whether the model was trained to."""
        return isinstance(self._model, TextModel) and self._model.predicts_traces

    def talk(self, question: Question) -> Iterator[str]:
        """As `Talker.talk`.

        Raises:
            PolicyError: the model does not talk, wants to act instead, or was asked something else meanwhile.
            InvalidInputError: the text asks for an action, is too long, or does not match its pictures.
        """
        if not isinstance(self._model, TextModel):
            raise PolicyError(f"{type(self._model).__name__} gives actions only, no text")
        marked = prompts.with_picture_tokens(
            question.text, use_image_start_end=self.pipeline.config.use_image_start_end
        )
        asked = ModelInput(question.images, prompts.spoken_prompt(marked))
        yield from self._model.generate_text(asked, max_new_tokens=question.max_new_tokens)

    def reset(self) -> None:
        """Forget the last answer, which is the draft of the next; Magma itself acts on the current frame alone."""
        self._last_tokens = None

    def close(self) -> None:
        """Nothing to release: the model belongs to whoever built it."""

    def _generate(self, inputs: Sequence[ModelInput], *, draft: NDArray[np.int64] | None = None) -> ActionPrediction:
        horizon = self.pipeline.action_horizon
        return self._model.generate_actions(inputs, action_horizon=horizon, draft=draft, sampling=self._sampling)

    def _decode(self, prediction: ActionPrediction, index: int, *, stamp_s: float) -> ActionChunk:
        """The answer to input `index`."""
        horizon = self.pipeline.action_horizon
        rows = slice(index * horizon, (index + 1) * horizon)
        entropy_nats = prediction.entropy_nats[rows]
        return self.pipeline.decode(prediction.tokens[rows], stamp_s=stamp_s, entropy_nats=entropy_nats)
