"""What benchmarks say of trials that they ran."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest

from magma_ros.finetune.plain_values import to_plain
from magma_ros.finetune.recipe import read_recipe

TASKS, SEEDS = ("carrot", "spoon"), (0, 1, 2)


@pytest.fixture
def claim_report(benchmark_module: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark_module("claim_report")


def trials(share: float, *, count: int = 50) -> dict[tuple[int, str, int], bool]:
    """The same share of successes for each training seed and task."""
    return {(seed, task, trial): trial < share * count for seed in SEEDS for task in TASKS for trial in range(count)}


def test_arms_are_compared_by_pairs_by_training_seeds_and_by_ratio(claim_report: ModuleType) -> None:
    """Twice the successes are a ratio of 2 and a difference that no interval takes for none."""
    found = claim_report.compared(trials(0.6), trials(0.3), SEEDS)
    assert (300, pytest.approx(0.3), pytest.approx(2.0)) == (found["pairs"], found["difference"], found["ratio"])
    low, high = found["ratio_interval"]
    assert 1.5 < low < 2.0 < high < 2.7
    assert found["interval"][0] > 0.2
    assert found["p_value"] < 1e-6
    assert pytest.approx([0.3, 0.3]) == found["seeds_interval"]  # every training seed says the same


def test_arms_that_are_alike_show_no_difference(claim_report: ModuleType) -> None:
    """Nor does one training seed alone have a spread."""
    found = claim_report.compared(trials(0.4), trials(0.4), SEEDS[:1])
    assert (0.0, 1.0, 1.0, None) == tuple(found[name] for name in ("difference", "ratio", "p_value", "seeds_interval"))


def test_a_ratio_to_nothing_is_none(claim_report: ModuleType) -> None:
    """Where the other arm never succeeds, or in some draws does not, there is no number to give."""
    found = claim_report.compared(trials(0.1), trials(0.0), SEEDS)
    assert (None, None) == (found["ratio"], found["ratio_interval"])


def test_each_ablation_changes_its_recipe(benchmark_module: Callable[[str], ModuleType]) -> None:
    """All rows are recipes; only the first is unchanged, and demonstrations alone change one."""
    ablations = benchmark_module("ablations")
    recipe = read_recipe("adapt_my_robot")
    changed = {name for name, row in ablations.VARIANTS.items() if to_plain(row.change(recipe)) != to_plain(recipe)}
    assert {"as it is", "demonstrations without perturbation"} == set(ablations.VARIANTS) - changed
