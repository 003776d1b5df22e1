"""What `magma-ros compare` does: the folders of two sweeps in, which policy is better and how sure that is out."""

from __future__ import annotations

from pathlib import Path

import tyro

from magma_ros.errors import SweepError
from magma_ros.json_files import write_object
from magma_ros.sim.comparison import PairedComparison, pairs_for_difference
from magma_ros.sim.report.document import comparison_document
from magma_ros.sim.report.pairs import Comparison, compare
from magma_ros.sim.sweep.journal import read


def compare_sweeps(
    folders: tyro.conf.Positional[tuple[Path, Path]],
    *,
    difference: float = 0.1,
    power: float = 0.8,
    json: Path | None = None,
) -> None:
    """Compare two policies on the initial states that both were judged on; the last line says how many show more.

    Args:
        folders: Of the two sweeps, of one suite.
        difference: Of success rates, 0.01 to 0.5: the smallest one that would matter.
        power: Wanted probability of finding it, within (0, 1).
        json: Write the comparison here, too, for programs.
    """
    if not 0.01 <= difference <= 0.5:
        raise SweepError(f"difference: expected 0.01 to 0.5, got {difference}")
    first, second = folders
    comparison = compare(read(first), read(second))
    print(f"first: {comparison.first.policy} ({first}), second: {comparison.second.policy} ({second})")
    for name, one, two in comparison.differences:
        print(f"  {name}: {one} | {two}")
    if json is not None:
        write_object(json, comparison_document(comparison))
    print(_table(comparison))
    print(advise(comparison.result, difference=difference, power=power), flush=True)


def advise(result: PairedComparison, *, difference: float, power: float) -> str:
    """How many pairs find a difference, if as many outcomes differ as here.

    Raises:
        InvalidInputError: a number out of its range.
    """
    second = result.second_rate
    first = second + difference if second + difference <= 1 else second - difference
    seen = (result.only_first + result.only_second) / result.pairs
    differing = min(max(seen, difference), first + second, 2 - first - second)
    pairs = pairs_for_difference(first, second, differing=differing, power=power)
    enough = "there are enough" if result.pairs >= pairs else f"{pairs - result.pairs} more than there are"
    return f"a difference of {difference:.2f} is found with a probability of {power:.2f} from {pairs} pairs: {enough}"


def _table(comparison: Comparison) -> str:
    rows = [*comparison.by_task.items(), ("all", comparison.result)][-1 if len(comparison.by_task) == 1 else 0 :]
    width = max(len(name) for name, _ in rows)
    heading = f"{'':<{width}}  first  second  difference, 95%      only first  only second  pairs  McNemar p"
    return "\n".join([heading, *(f"{name:<{width}}  {_row(result)}" for name, result in rows)])


def _row(result: PairedComparison) -> str:
    low, high = result.interval
    difference = f"{result.difference:+.2f} [{low:+.2f}, {high:+.2f}]"
    return (
        f"{result.first_rate:>5.2f}  {result.second_rate:>6.2f}  {difference:<19}  {result.only_first:>10}  "
        f"{result.only_second:>11}  {result.pairs:>5}  {result.p_value:>9.2g}"
    )
