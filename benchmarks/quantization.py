"""What quantised weights change in a checkpoint's actions, on recorded frames; a Markdown table.

Every form answers the same frames; the table says how far its actions are from those of float32 and of bfloat16.
Times are medians of whole actions (picture to tokens) on this machine. `python benchmarks/quantization.py --frames 200`
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import nn

from magma_ros.checkpoint import load_model
from magma_ros.episodes import EpisodeDataset
from magma_ros.model.adapter import MagmaModel
from magma_ros.model.quantization import Int8Linear
from magma_ros.pipeline import Pipeline
from magma_ros.types import FloatArray, ModelInput, Observation

ROOT = Path(__file__).parents[1]
FORMS = {
    "float32": ("float32", "none"),
    "bfloat16": ("bfloat16", "none"),
    "float32 + int8": ("float32", "int8"),
    "bfloat16 + int8": ("bfloat16", "int8"),
    "bfloat16 + int8, output head too": ("bfloat16", "int8"),
    "bfloat16 + int4": ("bfloat16", "int4"),
}
HEADINGS = (
    *("form", "weights [MB]", "per action [ms]", "tokens as in bf16", "in f32", "off bf16 [bins] mean / max"),
    *("off f32 [bins] mean / max", "off bf16 [mm] mean / max", "off bf16 [mrad] mean / max"),
)


class Answers(NamedTuple):
    """One form's answers to every frame, and what it took."""

    actions: FloatArray
    tokens: FloatArray
    num_bytes: int
    per_action_ms: float


def main() -> None:
    """Answer the frames in every form, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, default=ROOT / "checkpoints" / "magma-tiny")
    parser.add_argument("--episodes", type=Path, default=ROOT / "outputs" / "demos" / "expert")
    parser.add_argument("--frames", type=int, default=200, help="spread evenly over the episodes")
    options = parser.parse_args()
    pipeline = Pipeline.load(options.checkpoint)
    inputs = [pipeline.encode(observation) for observation in observations(options.episodes, options.frames)]
    answers = {name: answer(options.checkpoint, pipeline, inputs, name) for name in FORMS}
    print(f"{len(inputs)} frames\n\n| {' | '.join(HEADINGS)} |\n|{'---|' * len(HEADINGS)}")
    for name, found in answers.items():
        print(f"| {name} | " + " | ".join(compare(found, answers["bfloat16"], answers["float32"])) + " |")


def observations(folder: Path, count: int) -> Iterator[Observation]:
    """`count` frames of recorded episodes, spread evenly."""
    dataset = EpisodeDataset(folder)
    for number in np.linspace(0, len(dataset) - 1, count).round().astype(int):
        episode = dataset.read(int(number))
        step = int(np.random.default_rng(number).integers(len(episode.stamps_s)))
        images = {name: frames[step] for name, frames in episode.images.items()}
        yield Observation(images, episode.instruction, float(episode.stamps_s[step]))


def answer(folder: Path, pipeline: Pipeline, inputs: list[ModelInput], name: str) -> Answers:
    """The actions of one form."""
    dtype, quantization = FORMS[name]
    model = load_model(folder, dtype=dtype, quantization=quantization)
    if "head" in name:
        quantise_head(model)
    model.generate_actions(inputs[:1])
    tokens, times_s = [], []
    for item in inputs:
        started_s = time.perf_counter()
        tokens.append(model.generate_actions([item]).tokens)
        times_s.append(time.perf_counter() - started_s)
    num_bytes = sum(value.nbytes for value in model.network.state_dict().values())
    ids = np.concatenate(tokens)
    actions = pipeline.decode(ids, stamp_s=0.0).actions
    return Answers(actions, ids.astype(np.float64), num_bytes, 1e3 * float(np.median(times_s)))


def quantise_head(model: MagmaModel) -> None:
    """Give the output head the values that int8 would leave of it."""
    head: nn.Linear = model.network.language_model.lm_head
    light = Int8Linear(head)
    head.weight.data.copy_(light.quantized.float() * light.scale.float()[:, None])


def compare(found: Answers, narrow: Answers, wide: Answers) -> list[str]:
    """The cells of one row."""
    cells = [f"{found.num_bytes / 1e6:.2f}", f"{found.per_action_ms:.1f}"]
    cells += [f"{(found.tokens == other.tokens).mean():.1%}" for other in (narrow, wide)]
    cells += [spread(found.tokens - other.tokens, ".2f", ".0f") for other in (narrow, wide)]
    off = found.actions - narrow.actions
    lengths = (np.linalg.norm(off[:, :3], axis=1), np.linalg.norm(off[:, 3:6], axis=1))
    return cells + [spread(1e3 * length, ".2f", ".1f") for length in lengths]


def spread(values: FloatArray, mean: str, largest: str) -> str:
    """Mean and largest size of `values`."""
    return f"{np.abs(values).mean():{mean}} / {np.abs(values).max():{largest}}"


if __name__ == "__main__":
    main()
