"""A network and its processor as one model: readable inputs in, actions or text out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from tokenizers.decoders import DecodeStream

from magma_ros.errors import InvalidInputError
from magma_ros.model.decoding import Decoder
from magma_ros.model.network import MagmaNetwork
from magma_ros.model.processing import MagmaProcessor, ModelBatch
from magma_ros.prompts import asks_for_action
from magma_ros.sampling import Sampling
from magma_ros.types import ActionPrediction, ModelInput


class MagmaModel:
    """Everything that is a tensor lives behind this door; one thread at a time may use it.

    Talking has slots of its own, so that actions may be inferred between the words of an answer and neither changes.
    """

    def __init__(self, network: MagmaNetwork, processor: MagmaProcessor, *, compile_passes: bool = False) -> None:
        """Join the two; `compile_passes` as in `Decoder`."""
        self.network = network
        self.processor = processor
        self.decoder = Decoder(network, compile_passes=compile_passes)
        self._talking = Decoder(network)

    @property
    def predicts_traces(self) -> bool:
        """Whether `config.json` says that the network was trained on marks and traces (`mm_use_som_tom`)."""
        return self.network.config.raw.get("mm_use_som_tom") is True

    def generate_actions(
        self,
        inputs: Sequence[ModelInput],
        *,
        action_horizon: int = 1,
        draft: NDArray[np.int64] | None = None,
        sampling: Sampling | None = None,
    ) -> ActionPrediction:
        """The next actions for each input.

        Args:
            inputs: Each asks for a robot action.
            action_horizon: Actions for each input; a network that was not trained for so many makes up the rest.
            draft: Likely tokens, such as those of the previous answer, shape (len(inputs) * action_horizon, 7); saves
                time and never changes a token.
            sampling: Draw the tokens; by default each is the best one.

        Raises:
            InvalidInputError: no inputs, placeholders that do not match the pictures, a prompt that asks for
                something else, or a draft that is not made of action ids.
            PolicyError: the network's scores are not finite.
        """
        batch = self._action_batch(inputs)
        return self.decoder.actions(batch, action_horizon=action_horizon, draft=draft, sampling=sampling)

    def action_scores(self, inputs: Sequence[ModelInput]) -> NDArray[np.float32]:
        """Scores of each action id as the first token, lowest id first, shape (len(inputs), 256).

        Raises:
            InvalidInputError: as `generate_actions`.
        """
        return self.decoder.action_scores(self._action_batch(inputs))

    def generate_text(
        self, model_input: ModelInput, *, max_new_tokens: int = 500, sampling: Sampling | None = None
    ) -> Iterator[str]:
        """The spoken answer as it is found, never an action id: a piece per token, empty where that adds no letter.

        Raises:
            InvalidInputError: the prompt asks for a robot action, is too long, or does not match its pictures.
            PolicyError: the network's scores are not finite, or it wants to act instead of talking.
        """
        if asks_for_action(model_input.prompt):
            raise InvalidInputError("prompt: asks for a robot action, which generate_actions answers, not text")
        batch = self._batch([model_input])
        end_id = self.processor.end_of_turn_id
        pieces = DecodeStream(skip_special_tokens=True)
        for token in self._talking.text(batch, max_new_tokens=max_new_tokens, end_id=end_id, sampling=sampling):
            yield pieces.step(self.processor.tokenizer, token) or ""

    def _action_batch(self, inputs: Sequence[ModelInput]) -> ModelBatch:
        for item in inputs:
            if not asks_for_action(item.prompt):
                raise InvalidInputError(
                    f"prompt: expected one that asks for a robot action (see prompts.robot_action_prompt), "
                    f"got {item.prompt[-200:]!r}"
                )
        return self._batch(inputs)

    def _batch(self, inputs: Sequence[ModelInput]) -> ModelBatch:
        like = self.network.embeddings
        return self.processor(inputs).to(like.device, like.dtype)
