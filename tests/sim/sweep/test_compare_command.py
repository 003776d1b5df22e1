"""`magma-ros compare`, as a user calls it."""

from __future__ import annotations

import json

import pytest

from magma_ros.cli import main
from magma_ros.sim.comparison import compare_paired
from magma_ros.sim.sweep.compare_command import advise
from magma_ros.sim.sweep.journal import open_journal
from tests.sim.sweep import toys


def write(folder, successes, *, tasks=("reach",), **changes):
    """A sweep of forty trials of each task, of which these seeds succeed."""
    with open_journal(folder, toys.spec(tasks=tasks, trials=40, **changes)) as journal:
        for task in tasks:
            for seed in range(40):
                journal.append(toys.record(seed, "success" if seed in successes else "failure", task=task))
    return str(folder)


def test_two_policies_are_compared_pair_by_pair(tmp_path, capsys):
    """Rates, difference with interval, pairs that differ and McNemar's p; what else differs; and advice last."""
    first = write(tmp_path / "a", range(2, 40), policy="new")
    second = write(tmp_path / "b", range(20), policy="old")
    assert 0 == main(["compare", first, second])
    lines = capsys.readouterr().out.splitlines()
    assert f"first: new ({first}), second: old ({second})" == lines[0]
    assert "  policy: new | old" in lines
    assert ["all", "0.95", "0.50", "+0.45"] == lines[-2].split()[:4]
    assert ["20", "2", "40", "0.00012"] == lines[-2].split()[-4:]
    assert lines[-1].startswith("a difference of 0.10 is found with a probability of 0.80 from ")


def test_programs_get_the_comparison_as_json(tmp_path):
    """The counts of pairs and the interval that are printed, and which trials differ."""
    first, second = write(tmp_path / "a", range(2, 40)), write(tmp_path / "b", range(20))
    assert 0 == main(["compare", first, second, "--json", str(tmp_path / "compared.json")])
    found = json.loads((tmp_path / "compared.json").read_text())
    assert (40, 20, 2) == (found["num_pairs"], found["num_only_first"], found["num_only_second"])
    assert found["interval_95"][0] < found["difference"] < found["interval_95"][1]
    assert 22 == len(found["discordant"])


def test_several_tasks_have_a_line_each(tmp_path, capsys):
    """And one for all of them."""
    first = write(tmp_path / "a", range(30), tasks=("reach", "hurry"))
    second = write(tmp_path / "b", range(20), tasks=("reach", "hurry"))
    assert 0 == main(["compare", first, second])
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()[-4:-1]]
    assert ["reach", "hurry", "all"] == names


def test_advice_counts_pairs_for_the_difference_that_matters():
    """The rarer outcomes differ, the fewer pairs are needed; it says whether there are enough."""
    alike = compare_paired(dict.fromkeys(range(100), True), {seed: seed > 4 for seed in range(100)})
    unlike = compare_paired({seed: seed % 2 == 0 for seed in range(100)}, {seed: seed % 3 == 0 for seed in range(100)})
    numbers = [
        int(advise(result, difference=0.1, power=0.8).split(" pairs: ")[0].split()[-1]) for result in (alike, unlike)
    ]
    assert numbers[0] < 120 < numbers[1]
    assert "there are enough" in advise(alike, difference=0.4, power=0.8)
    assert f"{numbers[1] - 100} more than there are" in advise(unlike, difference=0.1, power=0.8)


def test_what_cannot_be_compared_is_refused(tmp_path, capsys):
    """No sweep, other seeds, or a difference that nobody could find."""
    first = write(tmp_path / "a", range(30))
    assert 2 == main(["compare", first, str(tmp_path / "nowhere")])
    with open_journal(tmp_path / "c", toys.spec(seeds=(77,), tasks=("reach",))) as journal:
        journal.append(toys.record(77))
    assert 2 == main(["compare", first, str(tmp_path / "c")])
    assert "none in common" in capsys.readouterr().err
    assert 2 == main(["compare", first, first, "--difference", "0.001"])
    assert "0.01 to 0.5" in capsys.readouterr().err


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_advice_works_at_the_ends(rate):
    """Policies that always or never succeed can still be asked about."""
    same = dict.fromkeys(range(50), bool(rate))
    assert "from " in advise(compare_paired(same, same), difference=0.1, power=0.8)


def test_trials_beyond_an_early_end_are_not_compared(tmp_path, capsys):
    """How far workers ran ahead changes nothing."""
    first = write(tmp_path / "a", range(40), width=0.25)
    second = write(tmp_path / "b", range(40), width=0.25)
    assert 0 == main(["compare", first, second])
    num_pairs = int(capsys.readouterr().out.splitlines()[-2].split()[-2])
    assert 0 < num_pairs < 40
