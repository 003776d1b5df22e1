"""Magma-8B's shapes on a GPU: what each form takes to load, of the memory, and of the time for an action.

`python benchmarks/magma_8b.py --folder /tmp/magma_8b`. The weights are random (18 GB are written once, in the release's
layout) and loaded as a policy loads the release's: from the folder, by name of an embodiment. Pictures are an episode
of the expert in the Bridge environment, 256 px. How often a draft is right says nothing with random weights; the parts
say what an action of n runs takes: tower, prompt, n - 1 later runs, and what happens outside of the network.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from inference import NUM_WARM_UP, SIZES, TimedPolicy, random_model, recorded_episode
from numpy.typing import NDArray

from magma_ros import checkpoint
from magma_ros.inspection.facts import inspect
from magma_ros.model.tiny import tiny_config, tiny_preprocessor_config, tokenizer_files
from magma_ros.model.weights import save_weights
from magma_ros.types import Observation

EMBODIMENT = "bridge_widowx"
FORMS = ("none", "int8", "int4", "nf4")
_GIB = 2**30


class Found(NamedTuple):
    """What one form showed: tokens (steps, 7), milliseconds, gibibytes."""

    name: str
    tokens: NDArray[np.int64]
    load_s: float
    first_s: float
    weights_gib: float
    peak_gib: float
    stages_ms: NDArray[np.float64]
    later_run_ms: float
    num_passes: float


def main() -> None:
    """Measure every form that is asked for and print a line of Markdown for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--folder", type=Path, required=True, help="of the random checkpoint; written if it is not there"
    )
    parser.add_argument("--size", choices=sorted(SIZES), default="magma-8b", help="of the random network")
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=FORMS, help="of the weights")
    parser.add_argument("--steps", type=int, default=60, help="actions that are measured")
    parser.add_argument("--compile", action="store_true", help="compile the runs over action tokens")
    parser.add_argument("--device", default="cuda", help="where the network runs")
    options = parser.parse_args()
    if not (options.folder / "config.json").is_file():
        write_checkpoint(options.folder, options.size, options.device)
    planned = {need.form: need.weights_bytes for need in inspect(options.folder, embodiment=EMBODIMENT).memory}
    seen = recorded_episode(NUM_WARM_UP + options.steps)
    print(
        "| form | load [s] | weights [GiB], planned | peak [GiB] | first action [s] | action p50 / p95 [ms] "
        "| tower [ms] | prompt [ms] | later run [ms] | runs | tokens as in bf16 |\n" + "|---" * 11 + "|",
        flush=True,
    )
    whole: Found | None = None
    for form in options.forms:
        found = measure(options, form, seen)
        whole = whole or found
        print(line(found, planned[name_of(form)] / _GIB, whole), flush=True)


def write_checkpoint(folder: Path, size: str, device: str) -> None:
    """A random network's folder in the release's layout, without a manifest."""
    model = random_model(SIZES[size], device, torch.bfloat16, compile_passes=False)
    tokenizer = model.processor.tokenizer
    documents = {
        **tokenizer_files(tokenizer),
        "preprocessor_config.json": tiny_preprocessor_config(SIZES[size]),
        "config.json": tiny_config(tokenizer, SIZES[size]),
    }
    with torch.no_grad():
        for name, parameter in model.network.named_parameters():
            if name.endswith("layer_scale_parameter"):
                parameter.mul_(1 + 0.1 * torch.rand_like(parameter))  # equal ones are taken for weights never loaded
    checkpoint.write_architecture(folder, tokenizer, documents)
    save_weights(model.network, folder, dtype=torch.bfloat16)


def measure(options: argparse.Namespace, form: str, seen: Sequence[Observation]) -> Found:
    """One form from its load to its last action."""
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    begun_s = time.perf_counter()
    pipeline = checkpoint.load_pipeline(options.folder, embodiment=EMBODIMENT)
    model = checkpoint.load_model(
        options.folder, device=options.device, dtype="bfloat16", quantization=form, compile_passes=options.compile
    )
    torch.cuda.synchronize()
    load_s, weights = time.perf_counter() - begun_s, torch.cuda.memory_allocated()
    policy = TimedPolicy(model, pipeline)
    begun_s = time.perf_counter()
    policy.act(seen[0])
    first_s = time.perf_counter() - begun_s
    timed = [policy.act(observation) for observation in seen[1:]][NUM_WARM_UP - 1 :]
    stages_ms = 1e3 * np.stack([one.stages_s for one in timed])
    later_runs = np.array([one.num_passes - 1 for one in timed])
    return Found(
        name_of(form) + (", compiled" if options.compile else ""),
        np.stack([one.tokens for one in timed]),
        load_s,
        first_s,
        weights / _GIB,
        torch.cuda.max_memory_allocated() / _GIB,
        stages_ms,
        float(np.median(stages_ms[:, 3] / later_runs)),
        float(later_runs.mean() + 1),
    )


def name_of(form: str) -> str:
    """What a memory plan calls it."""
    return "bfloat16" if form == "none" else f"bfloat16 + {form}"


def line(found: Found, planned_gib: float, whole: Found) -> str:
    """A row of the table."""
    totals = found.stages_ms.sum(axis=1)
    tower, prompt = np.median(found.stages_ms[:, 1:3], axis=0)
    same = float((found.tokens == whole.tokens).mean())
    p50, p95 = np.percentile(totals, (50, 95))
    return (
        f"| {found.name} | {found.load_s:.1f} | {found.weights_gib:.2f}, {planned_gib:.2f} | {found.peak_gib:.2f} "
        f"| {found.first_s:.1f} | {p50:.1f} / {p95:.1f} | {tower:.1f} | {prompt:.1f} | {found.later_run_ms:.1f} "
        f"| {found.num_passes:.2f} | {same:.0%} |"
    )


if __name__ == "__main__":
    main()
