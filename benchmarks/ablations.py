"""What each choice of a recipe is worth: one changed at a time, the same demonstrations, steps and trials.

`python benchmarks/ablations.py --output outputs/ablations`: 54 minutes on two cores. It goes on where
it stopped. The recipe is `adapt_my_robot`, magma-tiny to a robot that stands differently, for one task; every row is
trained once for each training seed, and differences to the first row are paired by trial and training seed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import yaml
from claim_report import Trials, as_table, percent, percents
from som_tom_claim import run

from magma_ros.finetune.augmentation import Augmentation
from magma_ros.finetune.plain_values import to_plain
from magma_ros.finetune.recipe import DataItem, Recipe, read_recipe
from magma_ros.sim.bridge.perturbation import PERTURBATIONS
from magma_ros.sim.collect import REPORT_NAME, CollectConfig, collect
from magma_ros.sim.comparison import compare_paired
from magma_ros.sim.statistics import wilson_interval
from magma_ros.sim.suites import find_suite
from magma_ros.sim.sweep.journal import read
from magma_ros.whole_files import replacing

SUITE, TASK = "bridge_shifted", "carrot_on_plate"
DEMOS, MOST_DEMOS = 20, 40


class Variant(NamedTuple):
    """One change of the recipe, and of the trials.

    Attributes:
        change: Of the recipe.
        executed: Actions of each answer that are executed; a network is tried once with each.
        perturbed: Whether the demonstrations were led astray on purpose.
    """

    change: Callable[[Recipe], Recipe] = lambda recipe: recipe
    executed: tuple[int, ...] = (1,)
    perturbed: bool = True


def with_demos(count: int) -> Variant:
    """The first `count` demonstrations."""
    return Variant(lambda recipe: replace(recipe, data=(replace(recipe.data[0], limit=count),)))


VARIANTS = {
    "as it is": Variant(),
    "5 demonstrations": with_demos(5),
    "10 demonstrations": with_demos(10),
    "40 demonstrations": with_demos(40),
    "demonstrations without perturbation": Variant(perturbed=False),
    "no augmentation": Variant(lambda recipe: replace(recipe, augmentation=Augmentation())),
    "one right bin": Variant(lambda recipe: replace(recipe, bin_sigma=0.0)),
    "last weights, not their average": Variant(lambda recipe: replace(recipe, ema_decay=0.0)),
    "answers of four actions": Variant(lambda recipe: replace(recipe, action_horizon=4), executed=(1, 4)),
}


def main() -> None:
    """Make what is missing, then say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="folder of everything; the same one goes on")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1], help="training seeds")
    parser.add_argument("--trials", type=int, default=50, help="of each row and training seed")
    options = parser.parse_args()
    for perturbed in (True, False):
        collect_demos(demos_of(options.output, perturbed=perturbed), perturbed=perturbed)
    for seed in options.seeds:
        for name, variant in VARIANTS.items():
            train_and_try(options.output, name, variant, seed=seed, trials=options.trials)
    text = report(options.output, options.seeds)
    with replacing(options.output / "result.md") as partial:
        partial.write_text(text, encoding="utf-8")
    print(text)


def collect_demos(folder: Path, *, perturbed: bool) -> None:
    """Demonstrations of the expert, of the same seeds whether it is led astray or not."""
    if (folder / REPORT_NAME).is_file():
        return
    perturbation = PERTURBATIONS[TASK] if perturbed else replace(PERTURBATIONS[TASK], clean_share=1.0)
    config = CollectConfig(perturbation=perturbation)
    collect(folder, suite=find_suite(SUITE), tasks=[TASK], num_episodes=MOST_DEMOS, first_seed=5_000_000, config=config)


def train_and_try(output: Path, name: str, variant: Variant, *, seed: int, trials: int) -> None:
    """The checkpoint of a row and its trials."""
    folder = folder_of(output, name, seed)
    recipe = replace(
        read_recipe("adapt_my_robot"),
        data=(DataItem(episodes=demos_of(output, perturbed=variant.perturbed), limit=DEMOS),),
        held_out_share=0.0,
        evaluate_every=0,
        output=folder / "run",
        seed=seed,
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(to_plain(variant.change(recipe))), encoding="utf-8")
    run("finetune", path, processes=2)
    asked = ["--suite", SUITE, "--task", TASK, "--policy", folder / "run" / "checkpoint", "--trials", trials]
    for executed in variant.executed:
        sweep = ["--execution-horizon", executed, "--output", folder / f"sweep_{executed}"]
        run("eval", *asked, *sweep, "--resume", "--workers", 2)


def report(output: Path, seeds: list[int]) -> str:
    """A row for each variant and way to execute it."""
    rows, whole = [], {}
    for name, variant in VARIANTS.items():
        for executed in variant.executed:
            found = trials_of(output, name, executed, seeds)
            row = name if len(variant.executed) == 1 else f"{name}, {executed} executed"
            whole[row] = found
            wins = sum(found.values())
            pairs = compare_paired(found, whole["as it is"])
            difference = "" if row == "as it is" else f"{percent(pairs.difference)} [{percents(pairs.interval)}]"
            by_seed = ", ".join(str(sum(won for key, won in found.items() if key[0] == seed)) for seed in seeds)
            bounds = percents(wilson_interval(wins, len(found)))
            rows.append([row, f"{wins}/{len(found)}", by_seed, bounds, difference])
    heads = ["changed", "success", "by training seed", "95 % Wilson", "paired difference"]
    return as_table(heads, rows) + "\n"


def trials_of(output: Path, name: str, executed: int, seeds: list[int]) -> Trials:
    """Success of each trial that was judged."""
    return {
        (seed, done.trial.task, done.trial.seed): done.result.outcome == "success"
        for seed in seeds
        for done in read(folder_of(output, name, seed) / f"sweep_{executed}").trials
        if done.result.outcome != "error"
    }


def demos_of(output: Path, *, perturbed: bool) -> Path:
    """The folder of demonstrations."""
    return output / ("demos" if perturbed else "demos_without_perturbation")


def folder_of(output: Path, name: str, seed: int) -> Path:
    """Of a row's checkpoint and sweeps."""
    return output / name.replace(",", "").replace(" ", "_") / f"seed_{seed}"


if __name__ == "__main__":
    main()
