"""A network and its processor as one model: readable inputs in, action tokens out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from magma_ros.model.decoding import decode_actions
from magma_ros.model.network import MagmaNetwork
from magma_ros.model.processing import MagmaProcessor
from magma_ros.types import ModelInput


class MagmaModel:
    """Everything that is a tensor lives behind this door."""

    def __init__(self, network: MagmaNetwork, processor: MagmaProcessor) -> None:
        self.network = network
        self.processor = processor

    def generate_actions(self, inputs: Sequence[ModelInput]) -> NDArray[np.int64]:
        """Seven action token ids for each input, shape (len(inputs), 7), by greedy decoding.

        Raises:
            InvalidInputError: no inputs, or placeholders that do not match the pictures.
            PolicyError: the network's scores are not finite.
        """
        weight = self.network.language_model.lm_head.weight
        return decode_actions(self.network, self.processor(inputs).to(weight.device, weight.dtype))
