"""One action, stage by stage: ours against `transformers.generate` on the same weights, in one run.

The reference (`generate_reference.py`) does per step what upstream's robot scripts do: a PIL picture, the chat
template, normalisation in NumPy, `generate` with the scores of the whole vocabulary at each of seven steps, a slice of
the ids. Its choice is limited to action ids, so that both must give the same tokens. Pictures are an episode of the
expert in the Bridge environment, 256 px; the network is random, with Magma-8B's shapes where there is a GPU. Run on an
idle machine: `make bench`.
"""

import argparse
import os
import platform
import resource
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np
import torch
from generate_reference import Reference, now_s
from numpy.typing import NDArray

from magma_ros import normalization, prompts
from magma_ros.contract import CameraSpec
from magma_ros.model.adapter import MagmaModel
from magma_ros.model.config import ImageConfig, MagmaConfig
from magma_ros.model.network import MagmaNetwork
from magma_ros.model.processing import MagmaProcessor
from magma_ros.model.tiny import TinySize, build_tokenizer, tiny_config, tiny_preprocessor_config
from magma_ros.pipeline import Pipeline, PipelineConfig
from magma_ros.policy import ModelPolicy
from magma_ros.sim.bridge.env import BRIDGE_CONTRACT, BridgeEnv
from magma_ros.sim.bridge.experts import expert_for
from magma_ros.types import Observation

INSTRUCTION = "put carrot on plate"
NUM_WARM_UP = 3
STAGES = ("picture and prompt → tensors", "tower and projector", "prompt", "six later tokens", "tokens → metres")
NETWORK = slice(1, 4)
"""The stages in which the network runs; everything else is outside of it."""

SIZES = {
    "middle": TinySize(
        tower_depths=(3, 3, 9, 3),
        tower_dims=(96, 192, 384, 768),
        hidden_size=1024,
        num_layers=14,
        intermediate_size=4096,
        num_heads=16,
        num_kv_heads=4,
        base_img_size=512,
        num_text_tokens=31744,
    ),
    "magma-8b": TinySize(
        tower_depths=(3, 4, 30, 3),
        tower_dims=(384, 768, 1536, 3072),
        hidden_size=4096,
        num_layers=32,
        intermediate_size=14336,
        num_heads=32,
        num_kv_heads=8,
        base_img_size=512,
        num_text_tokens=127744,
    ),
}
"""Networks with Magma-8B's crops and numbers of image tokens; the second has all of its shapes."""


class Timed(NamedTuple):
    """One action: tokens (7,), numbers (7,), seconds in each of `STAGES`, runs of the language model."""

    tokens: NDArray[np.int64]
    numbers: NDArray[np.float64]
    stages_s: NDArray[np.float64]
    num_passes: int


def main() -> None:
    """Measure both in turn on each picture and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=40, help="actions that are measured")
    size, dtype = ("magma-8b", "bfloat16") if torch.cuda.is_available() else ("middle", "float32")
    parser.add_argument("--size", choices=sorted(SIZES), default=size, help=f"of the random network (here {size})")
    parser.add_argument(
        "--dtype", choices=["float32", "bfloat16"], default=dtype, help=f"of its weights (here {dtype})"
    )
    parser.add_argument("--compile", action="store_true", help="compile our runs over action tokens")
    options = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = random_model(SIZES[options.size], device, getattr(torch, options.dtype), compile_passes=options.compile)
    pipeline = made_up_pipeline(model)
    reference, ours = TimedReference(model, pipeline), TimedPolicy(model, pipeline)
    pairs = [(reference.act(seen), ours.act(seen)) for seen in recorded_episode(NUM_WARM_UP + options.steps)]
    exact = sum(np.array_equal(a.tokens, b.tokens) and np.allclose(a.numbers, b.numbers) for a, b in pairs)
    where = torch.cuda.get_device_name() if device == "cuda" else f"{len(os.sched_getaffinity(0))} CPU cores"
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "numpy", "opencv-python"))
    parameters = sum(p.numel() for p in model.network.parameters()) / 1e6
    print(f"{options.size}: {parameters:.0f} M parameters, {options.dtype}, {where}")
    print(f"compiled: {options.compile}; {platform.machine()}, Python {platform.python_version()}, {versions}")
    passes = np.mean([b.num_passes for _, b in pairs[NUM_WARM_UP:]])
    print(f"{exact} of {len(pairs)} actions token-exact; {passes:.2f} passes per action\n")
    print_table([a.stages_s for a, _ in pairs[NUM_WARM_UP:]], [b.stages_s for _, b in pairs[NUM_WARM_UP:]])
    print(f"\npeak memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


def random_model(size: TinySize, device: str, dtype: torch.dtype, *, compile_passes: bool) -> MagmaModel:
    """A network with random weights, its layer scales large enough for pictures to matter."""
    corpus = [prompts.robot_action_prompt(INSTRUCTION, use_image_start_end=True)]
    tokenizer = build_tokenizer(corpus, num_text_tokens=size.num_text_tokens)
    config = MagmaConfig.from_dict(tiny_config(tokenizer, size))
    torch.manual_seed(0)
    torch.set_default_dtype(dtype)
    with torch.device(device):
        network = MagmaNetwork(config).eval()
    torch.set_default_dtype(torch.float32)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("layer_scale_parameter"):
                parameter.fill_(0.2)
    processor = MagmaProcessor(tokenizer, ImageConfig.from_dict(tiny_preprocessor_config(size)), config)
    return MagmaModel(network, processor, compile_passes=compile_passes)


def made_up_pipeline(model: MagmaModel) -> Pipeline:
    """Bridge's contract with one 256-px picture, and statistics of random actions."""
    contract = replace(BRIDGE_CONTRACT, cameras=(CameraSpec(BRIDGE_CONTRACT.cameras[0].name, 256, 256),))
    rows = np.random.default_rng(0).uniform(-0.03, 0.03, (100, 7))
    stats = normalization.fit(rows, mask=[True] * 6 + [False])
    return Pipeline(PipelineConfig(contract, stats, model.network.config.base_vocab_size, use_image_start_end=True))


def recorded_episode(num_steps: int) -> list[Observation]:
    """What the camera sees while the expert puts the carrot on the plate."""
    env = BridgeEnv("carrot_on_plate", image_size_px=256)
    expert, seen = expert_for(env), []
    observation, _ = env.reset(seed=0)
    for _ in range(num_steps):
        seen.append(Observation(observation.images, INSTRUCTION, observation.stamp_s))
        observation, *_ = env.step(expert.act())
    env.close()
    return seen


class TimedReference:
    """Upstream's way."""

    def __init__(self, model: MagmaModel, pipeline: Pipeline) -> None:
        stats = pipeline.config.norm_stats
        self._reference = Reference(model, q01=stats.q01, q99=stats.q99)
        self._camera = pipeline.contract.cameras[0].name

    def act(self, seen: Observation) -> Timed:
        """One action and its times."""
        start_s = now_s()
        tokens, numbers = self._reference.act(seen.images[self._camera], seen.instruction)
        return Timed(tokens, numbers, np.diff([start_s, *self._reference.marks_s]), 7)


class TimedPolicy:
    """The policy as it is served, its parts timed from outside."""

    def __init__(self, model: MagmaModel, pipeline: Pipeline) -> None:
        self._policy, self._pipeline = ModelPolicy(pipeline, model), pipeline
        self._spent_s: dict[str, float] = {}
        self._results: dict[str, Any] = {}
        for owner, name in (
            (model.decoder, "actions"),
            (model.decoder, "_image_features"),
            (model.decoder, "_scores_of_answer"),
            (pipeline, "decode"),
        ):
            setattr(owner, name, self._timed(name, getattr(owner, name)))

    def _timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **options: Any) -> Any:
            start_s = now_s()
            self._results[name] = result = function(*arguments, **options)
            self._spent_s[name] = self._spent_s.get(name, 0.0) + now_s() - start_s
            return result

        return timed

    def act(self, seen: Observation) -> Timed:
        """One action and its times."""
        self._spent_s = {}
        start_s = now_s()
        chunk = self._policy.infer(seen)
        total_s, spent = now_s() - start_s, self._spent_s
        tower, later, decode = spent["_image_features"], spent.get("_scores_of_answer", 0.0), spent["decode"]
        stages = (
            total_s - spent["actions"] - decode,
            tower,
            spent["actions"] - tower - later,
            later,
            decode,
        )
        numbers = self._pipeline.explain(seen, chunk.tokens)["model_numbers"][0]
        return Timed(chunk.tokens[0], numbers, np.array(stages), self._results["actions"].num_passes)


def print_table(reference: Sequence[NDArray[np.float64]], ours: Sequence[NDArray[np.float64]]) -> None:
    """Milliseconds of each stage, at the median, the 95th and the 99th percentile."""
    a, b = 1e3 * np.stack(reference), 1e3 * np.stack(ours)
    print("| stage | reference p50 / p95 / p99 [ms] | ours p50 / p95 / p99 [ms] | ratio of medians |")
    print("|---|---|---|---|")
    rows = [(name, a[:, i], b[:, i]) for i, name in enumerate(STAGES)]
    rows.append(("outside the network", a.sum(1) - a[:, NETWORK].sum(1), b.sum(1) - b[:, NETWORK].sum(1)))
    rows.append(("the whole action", a.sum(1), b.sum(1)))
    for name, one, other in rows:
        cells = [" / ".join(f"{value:.1f}" for value in np.percentile(x, (50, 95, 99))) for x in (one, other)]
        print(f"| {name} | {cells[0]} | {cells[1]} | {np.median(one) / np.median(other):.2f} |")


if __name__ == "__main__":
    main()
