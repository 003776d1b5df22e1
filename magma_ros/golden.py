"""The golden output: a made-up question and what a checkpoint answered when it was saved, for asking again later."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from magma_ros.contract import ActionContract
from magma_ros.errors import CheckpointError, InvalidInputError
from magma_ros.pipeline import Pipeline
from magma_ros.policy import ActionModel
from magma_ros.types import ACTION_DIM, ActionPrediction, FloatArray, ImageArray, Observation, frozen_array

DEFAULT_INSTRUCTION = "put the carrot on the plate"
"""What is asked of a checkpoint that records no question of its own."""

BIN_WIDTH = 2.0 / 255.0
"""Of an action token, on the scale of [-1, 1]."""

NOISE_PATCHES = 8
"""Patches along each side of a noise picture."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far one and the same network may come from an answer that it gave elsewhere.

    Attributes:
        same_tokens: All seven tokens must be equal.
        expected: Largest difference of an expected value, on the scale of [-1, 1].
        entropy_nats: Largest difference of an entropy.
    """

    same_tokens: bool
    expected: float
    entropy_nats: float


EXACT = Tolerance(same_tokens=True, expected=1e-3, entropy_nats=1e-2)
HALF_PRECISION = Tolerance(same_tokens=False, expected=8 * BIN_WIDTH, entropy_nats=0.25)
EIGHT_BITS = Tolerance(same_tokens=False, expected=12 * BIN_WIDTH, entropy_nats=0.3)
FOUR_BITS = Tolerance(same_tokens=False, expected=48 * BIN_WIDTH, entropy_nats=1.0)


def tolerance_of(dtype: str, runtime: Mapping[str, str]) -> Tolerance:
    """How exactly an answer computed in `dtype` is met in `runtime`, by its `dtype` and `quantization`.

    Chosen by measurement (docs/adr/0007): twice the largest difference from float32 over 24 questions, or more.
    Four bits change an answer so much that little more than a wrong prompt is still noticed.
    """
    if runtime["quantization"] != "none":
        return EIGHT_BITS if "8" in runtime["quantization"] else FOUR_BITS
    return EXACT if dtype == runtime["dtype"] == "float32" else HALF_PRECISION


@dataclass(frozen=True, slots=True)
class Question:
    """A question that can be asked again on any machine.

    Attributes:
        instruction: The operator's sentence.
        seed: Of the noise pictures, see `noise_picture`.
    """

    instruction: str = DEFAULT_INSTRUCTION
    seed: int = 0

    def observation(self, contract: ActionContract) -> Observation:
        """The question as pictures of `contract`'s cameras, in the size that the model sees, at 0 s."""
        pictures = {
            name: noise_picture(seed=self.seed, camera=name, height_px=height, width_px=width)
            for name, (height, width) in picture_sizes(contract).items()
        }
        return Observation(pictures, self.instruction, stamp_s=0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Golden:
    """A question and the answer that the checkpoint gave.

    Attributes:
        question: What was asked.
        pictures_px: Camera name → (height, width) of the noise [px].
        dtype: Precision that the answer was computed in, without quantisation.
        tokens: Its action tokens, shape (7,).
        expected: Expected normalized value of each axis given the tokens before it, shape (7,), in [-1, 1].
        entropy_nats: Entropy of each axis over the action ids, shape (7,).
    """

    question: Question
    pictures_px: Mapping[str, tuple[int, int]]
    dtype: str
    tokens: NDArray[np.int64]
    expected: FloatArray
    entropy_nats: FloatArray

    def __post_init__(self) -> None:
        sizes = {name: (int(height), int(width)) for name, (height, width) in self.pictures_px.items()}
        object.__setattr__(self, "pictures_px", MappingProxyType(sizes))
        for name, dtype in (("tokens", np.int64), ("expected", np.float64), ("entropy_nats", np.float64)):
            value = frozen_array(getattr(self, name), shape=(ACTION_DIM,), dtype=dtype, name=name)
            object.__setattr__(self, name, value)
            if not np.isfinite(value).all():
                raise InvalidInputError(f"{name}: expected finite numbers, got {value}")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `from_dict` reads them back to the bit."""
        return {
            "instruction": self.question.instruction,
            "seed": self.question.seed,
            "pictures_px": {name: list(size) for name, size in self.pictures_px.items()},
            "dtype": self.dtype,
            **{name: getattr(self, name).tolist() for name in ("tokens", "expected", "entropy_nats")},
        }

    @classmethod
    def from_dict(cls, data: Any) -> Golden:
        """The golden output in `data`.

        Raises:
            CheckpointError: a field is missing or unknown, or its value cannot be used.
        """
        asked = {"instruction", "seed"}
        known = asked | {field.name for field in fields(cls)} - {"question"}
        if not isinstance(data, Mapping) or set(data) != known:
            got = sorted(data) if isinstance(data, Mapping) else type(data).__name__
            raise CheckpointError(f"golden output: expected the fields {sorted(known)}, got {got}")
        if not (isinstance(data["instruction"], str) and isinstance(data["dtype"], str)):
            raise CheckpointError("golden output: expected texts as instruction and dtype")
        try:
            if any(type(number) is not int or number < 0 for number in (data["seed"], *data["tokens"])):
                raise CheckpointError("golden output: expected whole numbers of at least 0 as seed and tokens")
            return cls(
                question=Question(data["instruction"], data["seed"]), **{name: data[name] for name in known - asked}
            )
        except (AttributeError, InvalidInputError, TypeError, ValueError) as error:
            raise CheckpointError(f"golden output: {error}") from error


def ask(pipeline: Pipeline, model: ActionModel, *, dtype: str, question: Question | None = None) -> Golden:
    """The golden output of a checkpoint: its answer to `question`, computed in `dtype`.

    Raises:
        MagmaRosError: the model gives no answer that can be decoded.
    """
    asked = question or Question()
    answer = model.generate_actions([pipeline.encode(asked.observation(pipeline.contract))])
    pipeline.decode(answer.tokens, stamp_s=0.0)
    return Golden(
        question=asked,
        pictures_px=picture_sizes(pipeline.contract),
        dtype=dtype,
        tokens=answer.tokens[0],
        expected=answer.expected[0],
        entropy_nats=answer.entropy_nats[0],
    )


@dataclass(frozen=True, slots=True)
class Deviation:
    """How an answer differs from the golden one.

    Attributes:
        num_axes: Axes that were compared: those with the same tokens before them.
        same_tokens: Their tokens are equal.
        expected, entropy_nats: Largest differences among them.
    """

    num_axes: int
    same_tokens: bool
    expected: float
    entropy_nats: float

    def within(self, tolerance: Tolerance) -> bool:
        """True when no difference is beyond `tolerance`."""
        tokens_agree = self.same_tokens or not tolerance.same_tokens
        return tokens_agree and self.expected <= tolerance.expected and self.entropy_nats <= tolerance.entropy_nats


def deviation(golden: Golden, answer: ActionPrediction) -> Deviation:
    """What the first row of `answer` differs in.

    An axis is predicted from the tokens before it, so the comparison ends with the first axis whose token differs: from
    there on the two answer different questions.
    """
    differing = np.flatnonzero(answer.tokens[0] != golden.tokens)
    count = int(differing[0]) + 1 if len(differing) else ACTION_DIM
    return Deviation(
        num_axes=count,
        same_tokens=len(differing) == 0,
        expected=float(np.abs(answer.expected[0] - golden.expected)[:count].max()),
        entropy_nats=float(np.abs(answer.entropy_nats[0] - golden.entropy_nats)[:count].max()),
    )


def noise_picture(*, seed: int, camera: str, height_px: int, width_px: int) -> ImageArray:
    """Noise of two scales, (height_px, width_px, 3) uint8: half patches of one colour, half every pixel for itself.

    The same bytes on every machine and with every version (SHAKE-256). Without the patches a picture looks much the
    same when it is turned or mirrored, or its colours change places.
    """
    num = NOISE_PATCHES * NOISE_PATCHES
    stream = hashlib.shake_256(f"magma_ros noise {seed} {camera}".encode()).digest(3 * (num + height_px * width_px))
    levels = np.frombuffer(stream, np.uint8) // 2
    patches = levels[: 3 * num].reshape(NOISE_PATCHES, NOISE_PATCHES, 3)
    rows, columns = (np.arange(side) * NOISE_PATCHES // side for side in (height_px, width_px))
    return patches[rows[:, None], columns] + levels[3 * num :].reshape(height_px, width_px, 3)


def picture_sizes(contract: ActionContract) -> dict[str, tuple[int, int]]:
    """Camera name → (height, width) that the pipeline shows the model [px]."""
    return {camera.name: (camera.height_px, camera.width_px) for camera in contract.cameras}
