"""Statistics and scaling; golden numbers are upstream's published statistics and one published generation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_ros import normalization
from magma_ros.action_tokens import ActionTokenizer
from magma_ros.errors import InvalidInputError, NormalizationError
from magma_ros.normalization import NormStats
from tests.examples import MASK, make_stats

GOLDEN_IDS = [127857, 127873, 127868, 127904, 127861, 127874, 127744]
BRIDGE_Q01 = [
    -0.02872725307941437,
    -0.04170349963009357,
    -0.026093858778476715,
    -0.08092105075716972,
    -0.09288699507713317,
    -0.20718276381492615,
    0,
]
BRIDGE_Q99 = [
    0.028309678435325586,
    0.040855254605412394,
    0.040161586627364146,
    0.08192047759890528,
    0.07792850524187081,
    0.20382574498653397,
    1,
]
GOOGLE_Q01 = [
    -0.22453527510166169,
    -0.14820013284683228,
    -0.231589707583189,
    -0.3517994859814644,
    -0.4193011274933815,
    -0.43643461108207704,
    0,
]
GOOGLE_Q99 = [
    0.17824687153100965,
    0.14938379630446405,
    0.21842354819178575,
    0.5892666035890578,
    0.35272657424211445,
    0.44796681255102094,
    1,
]
rows = st.lists(st.floats(-0.99, 0.99), min_size=7, max_size=7)


def quantiles(low: list[float], high: list[float]) -> NormStats:
    return make_stats(q01=low, q99=high)


@pytest.mark.parametrize(
    ("stats", "expected"),
    [
        (quantiles(BRIDGE_Q01, BRIDGE_Q99), [0.003146, -0.000748, 0.008073, -0.019935, -0.000111, -0.004902, 0.996078]),
        (quantiles(GOOGLE_Q01, GOOGLE_Q99), [0.000549, -0.000575, 0.000476, 0.000639, 0.000016, -0.001170, 0.996078]),
    ],
    ids=["bridge_orig", "google_robot"],
)
def test_golden_generation_in_physical_units(stats: NormStats, expected: list[float]) -> None:
    """The ids that Magma-8B once answered are these motions under each of upstream's statistics."""
    numbers = ActionTokenizer(128000).decode(GOLDEN_IDS)
    assert expected == stats.unnormalize(numbers).round(6).tolist()


@given(row=rows)
def test_normalize_undoes_unnormalize(row: list[float]) -> None:
    """Inside the quantiles the two are inverse, up to the small constant in the formula."""
    stats = make_stats()
    np.testing.assert_allclose(row, stats.normalize(stats.unnormalize(row)), atol=1e-6)


def test_quantiles_become_the_ends_of_the_range_and_outliers_saturate() -> None:
    """q01 is -1, q99 is 1, and what lies beyond stays there; the gripper passes as it is."""
    stats = make_stats()
    np.testing.assert_allclose([-1] * 6 + [0], stats.normalize(stats.q01), atol=1e-6)
    np.testing.assert_allclose([1] * 6 + [1], stats.normalize(stats.q99), atol=1e-6)
    np.testing.assert_allclose([1] * 6 + [0.4], stats.normalize([9.0] * 6 + [0.4]))
    np.testing.assert_array_equal([-1] * 6 + [-9.0], stats.normalize([-9.0] * 7))


def test_constant_columns_are_zero_and_come_back_as_their_constant() -> None:
    """Where q01 equals q99 there is nothing to scale."""
    low, high = np.full(7, -0.1), np.full(7, 0.1)
    low[2] = high[2] = 0.05
    stats = make_stats(q01=low, q99=high)
    assert stats.normalize(np.full(7, 0.05))[2] == 0.0
    assert stats.normalize(np.full(7, -3.0))[2] == 0.0
    assert stats.unnormalize(np.full(7, 0.7))[2] == 0.05


def test_fit_finds_quantiles_of_each_column() -> None:
    """Of 0, 1, … 100 in every column, the 1 % and 99 % quantiles are 1 and 99."""
    stats = normalization.fit(np.tile(np.arange(101.0)[:, None], (1, 7)), mask=MASK)
    np.testing.assert_allclose([1.0] * 7, stats.q01)
    np.testing.assert_allclose([99.0] * 7, stats.q99)
    np.testing.assert_allclose([0.0] * 7, stats.minimum)
    np.testing.assert_allclose([100.0] * 7, stats.maximum)
    np.testing.assert_allclose([50.0] * 7, stats.mean)


@pytest.mark.parametrize("actions", [np.empty((0, 7)), np.zeros(7), np.zeros((2, 3, 7))])
def test_fitting_no_rows_is_refused(actions: np.ndarray) -> None:
    """Statistics need at least one row, and rows of rows are none."""
    with pytest.raises(NormalizationError):
        normalization.fit(actions, mask=MASK)


def test_fitting_what_is_not_finite_is_refused() -> None:
    """One NaN among the actions raises."""
    actions = np.zeros((5, 7))
    actions[3, 2] = np.nan
    with pytest.raises(InvalidInputError):
        normalization.fit(actions, mask=MASK)


def test_file_round_trip_is_exact(tmp_path: Path) -> None:
    """Statistics that are written and read are the same to the bit, in upstream's layout."""
    stats = normalization.fit(np.random.default_rng(0).normal(size=(50, 7)), mask=MASK)
    normalization.save(tmp_path / "s.json", {"toy": stats})
    assert stats == normalization.load(tmp_path / "s.json", embodiment="toy")
    written = json.loads((tmp_path / "s.json").read_text())
    assert {"mask", "mean", "std", "max", "min", "q01", "q99"} == set(written["toy"]["action"])


def test_missing_embodiment_names_the_available_ones(tmp_path: Path) -> None:
    """An error about statistics says which there are."""
    normalization.save(tmp_path / "s.json", {"bridge_orig": make_stats()})
    with pytest.raises(NormalizationError, match=r"'toy'.*bridge_orig"):
        normalization.load(tmp_path / "s.json", embodiment="toy")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"toy": 3}', '{"toy": {"action": {"q01": [0]}}}', '{"toy": {}}'])
def test_damaged_files_are_refused(tmp_path: Path, text: str) -> None:
    """A file that holds no statistics raises, and so does one that is not there."""
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(NormalizationError):
        normalization.load(tmp_path / "s.json", embodiment="toy")
    with pytest.raises(NormalizationError):
        normalization.load(tmp_path / "absent.json", embodiment="toy")


@pytest.mark.parametrize(
    "changes",
    [
        {"q01": [1.0] * 7, "q99": [0.0] * 7},
        {"q01": [np.nan] * 7},
        {"q99": [np.inf] * 7},
        {"q01": [0.0] * 6},
        {"mask": [True] * 6},
        {"mask": [1, 1, 1, 1, 1, 1, 0]},
        {"mask": ["yes"] * 7},
        {"std": [-1.0] * 7},
        {"minimum": [1.0] * 7, "maximum": [0.0] * 7},
        {"q01": None},
        {"q01": [[0.0] * 7]},
        {"q01": ["a"] * 7},
    ],
)
def test_impossible_statistics_are_refused(changes: dict[str, object]) -> None:
    """Crossed quantiles, numbers that are not finite, another length or a mask of numbers raise."""
    with pytest.raises(NormalizationError):
        make_stats(**changes)


@pytest.mark.parametrize("row", [0.0, [0.0] * 6, [0.0] * 8, [np.nan] + [0.0] * 6])
def test_unusable_actions_are_refused(row: list[float]) -> None:
    """Not seven numbers, or not finite, raises both ways."""
    with pytest.raises(InvalidInputError):
        make_stats().normalize(row)
    with pytest.raises(InvalidInputError):
        make_stats().unnormalize(row)


def test_statistics_are_read_only() -> None:
    """What is handed out cannot be written to, and later changes of the source have no effect."""
    source = np.full(7, -1.0)
    stats = make_stats(q01=source)
    source[:] = 5.0
    assert (stats.q01 == -1.0).all()
    with pytest.raises(ValueError, match="read-only"):
        stats.q01[0] = 0.0
    with pytest.raises(ValueError, match="read-only"):
        stats.mask[0] = False


def test_statistics_are_equal_when_their_numbers_are() -> None:
    """Copies are equal and have one hash; another number or something else is not equal. No spread is a spread."""
    stats = make_stats(std=np.zeros(7))
    assert make_stats(std=np.zeros(7)) == stats
    assert hash(make_stats(std=np.zeros(7))) == hash(stats)
    assert make_stats(std=np.ones(7)) != stats
    assert stats.to_dict() != stats
