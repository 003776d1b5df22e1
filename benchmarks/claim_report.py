"""What `som_tom_claim.py` says about its arms: success rates, paired differences and ratios, and learning curves."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from scipy.stats import t

from magma_ros.sim.comparison import compare_paired
from magma_ros.sim.statistics import suite_average
from magma_ros.sim.sweep.journal import read
from magma_ros.whole_files import replacing

ARMS = ("marks", "words", "none")
PAPER = "Magma's own on LIBERO, 10 demonstrations a task: 34.7 % with marks and traces, 28.7 % without, ratio 1.21"

Trials = dict[tuple[int, str, int], bool]
"""(training seed, task, trial's seed) → success."""


def report(folder: Path, seeds: Sequence[int]) -> None:
    """Write result.json, result.md and curves.png of the training seeds whose arms are all measured."""
    if not seeds:
        return
    trials, grasps = (read_trials(folder, seeds, fact=fact) for fact in (None, "grasped"))
    result: dict[str, Any] = {"seeds": list(seeds), "paper": PAPER, "arms": {}, "comparisons": {}}
    for arm in ARMS:
        tasks = sorted({task for _, task, _ in trials[arm]})
        of_tasks = {task: [won for key, won in trials[arm].items() if key[1] == task] for task in tasks}
        wins, counts = [sum(won) for won in of_tasks.values()], [len(won) for won in of_tasks.values()]
        average = suite_average(wins, counts, seed=0)
        result["arms"][arm] = {
            "rate": average.rate,
            "interval": list(average.interval),
            "tasks": dict(zip(tasks, zip(wins, counts, strict=True), strict=True)),
            "seeds": {seed: rate_of(trials[arm], seed) for seed in seeds},
            "grasped": float(np.mean(list(grasps[arm].values()))),
            "judged": {seed: judged(folder, seed, arm)[-1] for seed in seeds},
        }
    for other in ("words", "none"):
        result["comparisons"][f"marks - {other}"] = compared(trials["marks"], trials[other], seeds)
    text = as_markdown(result)
    for name, content in (("result.json", json.dumps(result, indent=1) + "\n"), ("result.md", text)):
        with replacing(folder / name) as partial:
            partial.write_text(content, encoding="utf-8")
    draw_curves(folder, seeds)
    print(text, flush=True)


def read_trials(folder: Path, seeds: Sequence[int], *, fact: str | None) -> dict[str, Trials]:
    """Of each arm, success of each judged trial, or whether a `fact` was true in it at any step."""
    found: dict[str, Trials] = {arm: {} for arm in ARMS}
    for arm in ARMS:
        for seed in seeds:
            for done in read(folder / f"seed_{seed}" / arm / "sweep").trials:
                if done.result.outcome != "error":
                    won = done.result.outcome == "success" if fact is None else bool(done.result.flags.get(fact))
                    found[arm][seed, done.trial.task, done.trial.seed] = won
    return found


def compared(first: Trials, second: Trials, seeds: Sequence[int]) -> dict[str, Any]:
    """Difference and ratio of two arms: over the trials of these networks, and over training seeds as a sample."""
    pairs = compare_paired(first, second)
    by_seed = np.array([rate_of(first, seed) - rate_of(second, seed) for seed in seeds])
    spread = None
    if len(seeds) > 1:
        half = float(t.ppf(0.975, len(seeds) - 1) * by_seed.std(ddof=1) / np.sqrt(len(seeds)))
        spread = [float(by_seed.mean()) - half, float(by_seed.mean()) + half]
    return {
        "difference": pairs.difference,
        "interval": list(pairs.interval),
        "p_value": pairs.p_value,
        "pairs": pairs.pairs,
        "seeds": by_seed.tolist(),
        "seeds_interval": spread,
        "ratio": pairs.first_rate / pairs.second_rate if pairs.second_rate else None,
        "ratio_interval": ratio_interval(first, second, seeds),
    }


def ratio_interval(first: Trials, second: Trials, seeds: Sequence[int], *, draws: int = 4000) -> list[float] | None:
    """95 % percentile bootstrap of the ratio of rates: training seeds are drawn anew, and trials within them."""
    generator = np.random.default_rng(0)
    shared = sorted(first.keys() & second.keys())
    rows = {seed: np.array([(first[key], second[key]) for key in shared if key[0] == seed]) for seed in seeds}
    ratios = []
    for _ in range(draws):
        drawn = [rows[seed] for seed in generator.choice(seeds, len(seeds))]
        one, other = np.concatenate([row[generator.integers(len(row), size=len(row))] for row in drawn]).sum(axis=0)
        ratios.append(one / other if other else np.inf)
    low, high = np.quantile(ratios, (0.025, 0.975), method="nearest")  # some may be infinite
    return [float(low), float(high)] if np.isfinite(high) else None


def rate_of(trials: Trials, seed: int) -> float:
    """Success rate of one training seed."""
    return float(np.mean([won for key, won in trials.items() if key[0] == seed]))


def as_markdown(result: Mapping[str, Any]) -> str:
    """Two tables and how to read them."""
    tasks = sorted(next(iter(result["arms"].values()))["tasks"])
    heads = ["arm", "success", "95 % interval", *tasks, "by training seed", "grasped", "loss on others", "bins off"]
    rows = []
    for arm, of in result["arms"].items():
        counts = [f"{won}/{count}" for won, count in (of["tasks"][task] for task in tasks)]
        by_seed = ", ".join(percent(rate) for rate in of["seeds"].values())
        figures = [
            f"{np.mean([one[name] for one in of['judged'].values()]):.3f}"
            for name in ("held_out_loss", "held_out_motion_error_bins")
        ]
        shown = [arm, percent(of["rate"]), percents(of["interval"]), *counts, by_seed, percent(of["grasped"])]
        rows.append([*shown, *figures])
    compared_heads = ["", "difference", "paired trials", "p (McNemar)", "over training seeds", "ratio", "95 % interval"]
    compared_rows = []
    for name, found in result["comparisons"].items():
        ratio = "—" if found["ratio"] is None else f"{found['ratio']:.2f}"
        bounds = "—" if found["ratio_interval"] is None else "{:.2f} … {:.2f}".format(*found["ratio_interval"])
        trials = f"{percents(found['interval'])}, n = {found['pairs']}"
        spread = percents(found["seeds_interval"])
        compared_rows.append(
            [name, percent(found["difference"]), trials, f"{found['p_value']:.3g}", spread, ratio, bounds]
        )
    note = f"Training seeds {result['seeds']}. {PAPER}."
    return "\n\n".join([note, as_table(heads, rows), as_table(compared_heads, compared_rows)]) + "\n"


def as_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def percent(share: float) -> str:
    """Of 1."""
    return f"{100 * share:.1f} %"


def percents(bounds: Sequence[float] | None) -> str:
    """From the lower bound to the upper one; a dash where there are none."""
    return "—" if bounds is None else f"{100 * bounds[0]:.1f} … {100 * bounds[1]:.1f}"


def judged(folder: Path, seed: int, arm: str) -> list[dict[str, float]]:
    """Lines of the curve of a network that have figures of the demonstrations that never train."""
    log = folder / f"seed_{seed}" / arm / "few" / "log.jsonl"
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if "held_out_loss" in line]


def draw_curves(folder: Path, seeds: Sequence[int]) -> None:
    """Loss on demonstrations that never train, over the steps on those that do: a line for each network."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the backend is chosen

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for arm, colour in zip(ARMS, ("#0072b2", "#c14f00", "#5c6169"), strict=True):
        for seed in seeds:
            curve = [(line["step"], line["held_out_loss"]) for line in judged(folder, seed, arm)]
            label = arm if seed == seeds[0] else None
            axes.plot(*zip(*curve, strict=True), color=colour, marker=".", label=label)
    axes.set(xlabel="steps on the demonstrations", ylabel="loss on other demonstrations [nats]")
    axes.legend(title="before them")
    with replacing(folder / "curves.png") as partial:
        figure.savefig(partial, format="png", dpi=150)
    plt.close(figure)
