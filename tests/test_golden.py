"""A golden output is asked the same way on every machine and compared as exactly as the precision allows."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from magma_ros.errors import CheckpointError
from magma_ros.golden import (
    EIGHT_BITS,
    EXACT,
    FOUR_BITS,
    HALF_PRECISION,
    Golden,
    Question,
    deviation,
    noise_picture,
    tolerance_of,
)
from magma_ros.types import ActionPrediction
from tests import examples

TOKENS = np.arange(4000, 4007)
GOLDEN = Golden(Question(), {"image": (32, 48)}, "float32", TOKENS, np.linspace(-1, 1, 7), np.linspace(0, 5, 7))


def answer(*, tokens=TOKENS, expected=GOLDEN.expected, entropy_nats=GOLDEN.entropy_nats) -> ActionPrediction:
    return ActionPrediction(tokens[None], np.asarray(expected)[None], np.asarray(entropy_nats)[None], 7)


def changed(values, **at):
    """A copy of `values` with `at`'s numbers added, as axis_3=0.5."""
    copy = np.array(values)
    for axis, difference in at.items():
        copy[int(axis.removeprefix("axis_"))] += difference
    return copy


def test_noise_is_the_same_bytes_everywhere() -> None:
    """A picture is made of nothing but a seed, a camera's name and a size; its hash is pinned."""
    picture = noise_picture(seed=0, camera="image", height_px=30, width_px=50)
    assert (30, 50, 3) == picture.shape
    assert (
        "6c1888d0fe3767a80ca0fdde2cc724a8252a33c6efd5fdf7d60ce0b5d4a6492f"
        == hashlib.sha256(picture.tobytes()).hexdigest()
    )
    for other in ({"seed": 1}, {"camera": "wrist"}):
        assert (
            picture != noise_picture(**{"seed": 0, "camera": "image", "height_px": 30, "width_px": 50, **other})
        ).any()


def test_noise_has_patches_and_pixels() -> None:
    """Neighbours within a patch differ by half the range at most, and whole patches differ in their mean."""
    picture = noise_picture(seed=3, camera="image", height_px=64, width_px=64).astype(int)
    patches = picture.reshape(8, 8, 8, 8, 3)
    assert np.ptp(patches, axis=(1, 3)).max() <= 127
    assert patches.mean(axis=(1, 3)).std() > 30


def test_a_question_shows_every_camera_in_its_size() -> None:
    """The pictures are those that the pipeline would make, so that no resampling stands between them and the model."""
    observation = Question("open the drawer", seed=4).observation(examples.CONTRACT)
    assert {"image": (32, 48, 3)} == {name: image.shape for name, image in observation.images.items()}
    assert "open the drawer" == observation.instruction


def test_json_keeps_every_bit() -> None:
    """A golden output comes back from its JSON values as it was."""
    back = Golden.from_dict(GOLDEN.to_dict())
    assert GOLDEN.to_dict() == back.to_dict()
    assert Question() == back.question


@pytest.mark.parametrize(
    "change",
    [
        {"tokens": [1, 2]},
        {"tokens": [1.5] * 7},
        {"expected": ["a"] * 7},
        {"expected": [float("nan")] * 7},
        {"pictures_px": {"image": 3}},
        {"pictures_px": []},
        {"seed": -1},
        {"seed": True},
        {"instruction": 3},
        {"extra": 1},
    ],
    ids=str,
)
def test_a_malformed_golden_output_is_refused(change) -> None:
    """Whatever is wrong with the manifest's entry, it is a CheckpointError."""
    with pytest.raises(CheckpointError, match="golden output"):
        Golden.from_dict({**GOLDEN.to_dict(), **change})
    with pytest.raises(CheckpointError, match="golden output"):
        Golden.from_dict([])


def test_axes_are_compared_up_to_the_first_other_token() -> None:
    """Behind another token an axis answers another question; up to it each axis counts, that one included."""
    found = deviation(
        GOLDEN,
        answer(
            tokens=changed(TOKENS, axis_2=9),
            expected=changed(GOLDEN.expected, axis_1=0.01, axis_2=0.02, axis_3=0.9),
            entropy_nats=changed(GOLDEN.entropy_nats, axis_0=0.1, axis_6=3),
        ),
    )
    assert 3 == found.num_axes
    assert not found.same_tokens
    assert pytest.approx(0.02) == found.expected
    assert pytest.approx(0.1) == found.entropy_nats


def test_float32_allows_no_other_token_and_half_precision_a_tie() -> None:
    """The same small difference passes in half precision and not in float32; a large one passes in neither."""
    near = deviation(GOLDEN, answer(tokens=changed(TOKENS, axis_6=1)))
    assert not near.within(EXACT)
    assert near.within(HALF_PRECISION)
    far = deviation(GOLDEN, answer(expected=changed(GOLDEN.expected, axis_4=0.1)))
    assert not far.within(HALF_PRECISION)
    unsure = deviation(GOLDEN, answer(entropy_nats=changed(GOLDEN.entropy_nats, axis_4=0.4)))
    assert not unsure.within(HALF_PRECISION)


@pytest.mark.parametrize(
    ("made_in", "dtype", "quantization", "tolerance"),
    [
        ("float32", "float32", "none", EXACT),
        ("float32", "bfloat16", "none", HALF_PRECISION),
        ("bfloat16", "float32", "none", HALF_PRECISION),
        ("float32", "float16", "none", HALF_PRECISION),
        ("float32", "float32", "int8", EIGHT_BITS),
        ("float32", "bfloat16", "int4", FOUR_BITS),
        ("float32", "bfloat16", "nf4", FOUR_BITS),
    ],
)
def test_the_coarser_side_sets_the_tolerance(made_in, dtype, quantization, tolerance) -> None:
    """Precision at the making, precision now, and quantisation: each can only loosen."""
    assert tolerance == tolerance_of(made_in, {"dtype": dtype, "quantization": quantization})


def test_a_golden_output_is_read_only() -> None:
    """Nobody changes what was recorded."""
    with pytest.raises(ValueError, match="read-only"):
        replace(GOLDEN).tokens[0] = 1
