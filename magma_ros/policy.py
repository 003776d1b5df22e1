"""The `Policy` protocol, from observations to action chunks, and the one that a local model answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from magma_ros.contract import ActionContract
from magma_ros.pipeline import Pipeline
from magma_ros.types import ActionChunk, ModelInput, Observation


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

    def generate_actions(self, inputs: Sequence[ModelInput]) -> NDArray[np.int64]:
        """Seven token ids for each input, shape (len(inputs), 7)."""
        ...


class ModelPolicy:
    """A pipeline around a local model: encode, generate, decode."""

    def __init__(self, pipeline: Pipeline, model: ActionModel) -> None:
        self.pipeline = pipeline
        self._model = model

    @property
    def contract(self) -> ActionContract:
        """The contract that the pipeline decodes by."""
        return self.pipeline.contract

    def infer(self, observation: Observation) -> ActionChunk:
        """One action (action_horizon 1, as Magma predicts) for `observation`.

        Raises:
            InvalidInputError: the instruction or a picture cannot be used.
            ActionDecodeError: the model's answer is not an action.
        """
        tokens = self._model.generate_actions([self.pipeline.encode(observation)])
        return self.pipeline.decode(tokens, stamp_s=observation.stamp_s)

    def reset(self) -> None:
        """Nothing to forget: Magma acts on the current frame alone."""

    def close(self) -> None:
        """Nothing to release: the model belongs to whoever built it."""
