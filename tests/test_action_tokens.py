"""Bins and token ids; golden numbers are upstream's action tokenizer and a published generation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_ros.action_tokens import ActionTokenizer
from magma_ros.errors import ActionDecodeError, InvalidInputError

LLAMA = ActionTokenizer(128000)
GOLDEN_IDS = [127857, 127873, 127868, 127904, 127861, 127874, 127744]
GOLDEN_NUMBERS = [0.117647, -0.007843, 0.031373, -0.250980, 0.086275, -0.015686, 0.996078]
numbers_in_range = st.lists(st.floats(-1.0, 1.0), min_size=7, max_size=7)


@pytest.mark.parametrize(
    ("number", "token", "decoded"),
    [
        (-1.0, 127999, -0.996078),
        (0.0, 127872, 0.0),
        (0.9999, 127745, 0.996078),
        (1.0, 127744, 0.996078),
        (-7.0, 127999, -0.996078),
        (7.0, 127744, 0.996078),
    ],
)
def test_table_of_upstream(number: float, token: int, decoded: float) -> None:
    """Numbers, ids and decoded centres are those of upstream's tokenizer; beyond the range the outermost bin."""
    ids = LLAMA.encode([number] * 7)
    assert [token] * 7 == ids.tolist()
    assert [decoded] * 7 == LLAMA.decode(ids).round(6).tolist()


def test_golden_generation_decodes_to_the_last_digit() -> None:
    """The ids that Magma-8B once answered mean these numbers; their bins are 142, 126, 131, 95, 138, 125, 254."""
    assert GOLDEN_NUMBERS == LLAMA.decode(GOLDEN_IDS).round(6).tolist()
    assert [142, 126, 131, 95, 138, 125, 254] == np.minimum(127999 - np.array(GOLDEN_IDS), 254).tolist()


def test_rule_depends_on_the_vocabulary_only_by_an_offset() -> None:
    """A small vocabulary uses its own last 256 ids in the same way."""
    small = ActionTokenizer(4096)
    rows = np.linspace(-1, 1, 70).reshape(10, 7)
    np.testing.assert_array_equal(LLAMA.encode(rows) - 128000, small.encode(rows) - 4096)
    np.testing.assert_array_equal(LLAMA.decode(LLAMA.encode(rows)), small.decode(small.encode(rows)))


@given(numbers=numbers_in_range)
def test_round_trip_is_within_half_a_bin(numbers: list[float]) -> None:
    """Decoding what was encoded is off by at most half a bin's width, 1/255."""
    back = LLAMA.decode(LLAMA.encode(numbers))
    assert np.abs(back - numbers).max() <= 1 / 255 + 1e-12


@given(numbers=numbers_in_range)
def test_centres_are_fixed_points(numbers: list[float]) -> None:
    """Encoding a decoded action again changes nothing."""
    centres = LLAMA.decode(LLAMA.encode(numbers))
    np.testing.assert_array_equal(centres, LLAMA.decode(LLAMA.encode(centres)))


def test_encode_gives_int64_of_the_same_shape() -> None:
    """Ids are int64, one for each number."""
    assert LLAMA.encode(np.zeros((3, 7))).dtype == np.int64
    assert LLAMA.encode(np.zeros((3, 7))).shape == (3, 7)


@pytest.mark.parametrize(
    "ids",
    [
        GOLDEN_IDS[:6],
        [*GOLDEN_IDS, 127744],
        [*GOLDEN_IDS, 128009],
        [*GOLDEN_IDS[:6], 127743],
        [*GOLDEN_IDS[:6], 128000],
        [*GOLDEN_IDS[:6], -1],
        [*GOLDEN_IDS[:6], 128009],
        [float(token) for token in GOLDEN_IDS],
        [],
        np.empty((0, 7), dtype=np.int64),
        [True] * 7,
        "1234567",
    ],
)
def test_anything_but_seven_action_tokens_is_refused(ids: object) -> None:
    """Six or eight ids, an end token, an id just outside on either side, or no integers raise."""
    with pytest.raises(ActionDecodeError, match="expected"):
        LLAMA.decode(ids)


@pytest.mark.parametrize("numbers", [[0.0] * 6, [0.0] * 8, [0.0] * 6 + [np.nan], [np.inf] + [0.0] * 6, 0.0])
def test_unusable_numbers_are_refused(numbers: object) -> None:
    """Not seven, or not finite, raises."""
    with pytest.raises(InvalidInputError):
        LLAMA.encode(numbers)


@pytest.mark.parametrize(("base", "bins"), [(100, 256), (4096, 1)])
def test_impossible_vocabularies_are_refused(base: int, bins: int) -> None:
    """The bins must fit in the vocabulary and enclose something."""
    with pytest.raises(InvalidInputError):
        ActionTokenizer(base, bins)
