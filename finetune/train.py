"""Behaviour cloning: episodes in, a checkpoint folder out; stops and goes on without a trace."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from magma_ros import checkpoint, prompts
from magma_ros.contract import ActionContract
from magma_ros.errors import CheckpointError
from magma_ros.finetune.dataset import ChosenEpisodes, EpisodeSource, fit_norm_stats, open_datasets
from magma_ros.finetune.mixture import Mixture
from magma_ros.finetune.objective import StepFigures, batch_loss
from magma_ros.json_files import read_object
from magma_ros.model.adapter import MagmaModel
from magma_ros.model.config import MagmaConfig
from magma_ros.model.network import MagmaNetwork
from magma_ros.model.processing import MagmaProcessor
from magma_ros.model.tiny import TinySize, build_tokenizer, tiny_config, tiny_preprocessor_config, tokenizer_files
from magma_ros.pipeline import Pipeline, PipelineConfig

logger = logging.getLogger(__name__)

STATE_FILE = "train_state.json"
TENSORS_FILE = "train_state.safetensors"


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """One training run.

    Attributes:
        data: Episode folders.
        output: Run folder: `checkpoint/` is the result, `log.jsonl` the curve, the rest serves to go on.
        num_steps: Optimiser steps; the learning rate follows a cosine over them.
        batch_size: Frames per step.
        learning_rate: Its peak.
        warmup_steps: Steps over which it rises to the peak.
        weight_decay: Of AdamW.
        bin_sigma: Width of the target over neighbouring action bins [bins].
        ema_decay: Of the averaged weights, which are the ones that are saved.
        autocast: Compute in bfloat16; slower than single precision on processors without instructions for it.
        seed: Initial weights and order of the data.
        log_every, save_every: Steps between lines of the log and between saved states.
        start_from: Run folder whose averaged weights and statistics this run starts from; None starts from nothing.
    """

    data: tuple[Path, ...]
    output: Path
    num_steps: int = 4000
    batch_size: int = 64
    learning_rate: float = 1e-3
    warmup_steps: int = 200
    weight_decay: float = 0.02
    bin_sigma: float = 2.0
    ema_decay: float = 0.998
    autocast: bool = True
    seed: int = 0
    log_every: int = 20
    save_every: int = 200
    start_from: Path | None = None


def train(config: TrainConfig) -> Path:
    """Train magma-tiny and give the checkpoint folder; goes on where a run in the same folder stopped.

    Raises:
        EpisodeError: the data cannot be used.
        CheckpointError: the folder holds a run with another configuration.
    """
    folder = config.output / "checkpoint"
    _claim_folder(config)
    torch.manual_seed(config.seed)
    contract = open_datasets(config.data)[0].contract
    if not (folder / "config.json").exists():
        if config.start_from is None:
            write_tiny_architecture(folder, TinySize(), instructions=_instructions(config.data))
        else:
            checkpoint.copy_architecture(config.start_from / "checkpoint", folder)
    model = _new_model(folder)
    pipeline = _pipeline(config, contract, model.network.config)
    end = model.processor.end_of_turn_id
    sources = [EpisodeSource(pipeline, ChosenEpisodes(folder), end_of_turn_id=end) for folder in config.data]
    data = Mixture(sources, seed=config.seed)
    run = _Run(config, model)
    logger.info("%d frames, %d parameters", len(data), sum(p.numel() for p in model.network.parameters()))
    while run.step < config.num_steps:
        run.advance(data)
        if run.step % config.save_every == 0 or run.step == config.num_steps:
            run.save()
            _write_checkpoint(run, pipeline, folder, num_frames=len(data))
    return folder


def write_tiny_architecture(folder: Path, size: TinySize, *, instructions: Sequence[str]) -> None:
    """Write the configuration and tokenizer files of a new magma-tiny whose vocabulary fits `instructions`."""
    corpus = [prompts.robot_action_prompt(text, use_image_start_end=True) for text in instructions]
    tokenizer = build_tokenizer(corpus, num_text_tokens=size.num_text_tokens)
    documents = {
        "config.json": tiny_config(tokenizer, size),
        "preprocessor_config.json": tiny_preprocessor_config(size),
        **tokenizer_files(tokenizer),
    }
    checkpoint.write_architecture(folder, tokenizer, documents)


class _Run:
    """Optimiser, averaged weights and progress of one run."""

    def __init__(self, config: TrainConfig, model: MagmaModel) -> None:
        self.config = config
        self.model = model
        self.step = 0
        self.elapsed_s = 0.0
        network = model.network.train()
        network.language_model.set_attn_implementation("eager")  # its backward is the faster one on a CPU
        self.optimizer = torch.optim.AdamW(
            network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, betas=(0.9, 0.98)
        )
        if config.start_from is not None:
            tensors = load_file(config.start_from / TENSORS_FILE)
            network.load_state_dict({name: tensors[f"average/{name}"] for name in network.state_dict()})
        self.average = {name: value.detach().clone() for name, value in network.state_dict().items()}
        if (config.output / STATE_FILE).exists():
            self._restore()

    def advance(self, data: Mixture) -> None:
        """One optimiser step."""
        started_s = time.perf_counter()
        config = self.config
        rate = learning_rate_at(self.step, config)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        samples = data.batch(config.batch_size, step=self.step)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=config.autocast):
            figures = batch_loss(self.model, samples, bin_sigma=config.bin_sigma)
        figures.loss.backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
        norm = torch.nn.utils.clip_grad_norm_(self.model.network.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        decay = min(config.ema_decay, (self.step + 1) / (self.step + 10))
        for name, value in self.model.network.state_dict().items():
            self.average[name].lerp_(value, 1.0 - decay)
        self.step += 1
        self.elapsed_s += time.perf_counter() - started_s
        if self.step % config.log_every == 0:
            self._log(figures, rate=rate, gradient_norm=float(norm))

    def _log(self, figures: StepFigures, *, rate: float, gradient_norm: float) -> None:
        line = {
            "step": self.step,
            "loss": round(float(figures.loss.detach()), 4),
            "motion_error_bins": round(figures.motion_error_bins, 2),
            "gripper_accuracy": round(figures.gripper_accuracy, 3),
            "learning_rate": rate,
            "gradient_norm": round(gradient_norm, 2),
            "elapsed_s": round(self.elapsed_s, 1),
            "frames_per_s": round(self.step * self.config.batch_size / self.elapsed_s, 1),
        }
        with (self.config.output / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        logger.info("%s", line)

    def save(self) -> None:
        """Write all that is needed to go on; the state file is replaced last, so that a crash leaves the older pair."""
        tensors = {f"average/{name}": value for name, value in self.average.items()}
        for name, parameter in self.model.network.named_parameters():
            state = self.optimizer.state[parameter]
            tensors |= {f"weight/{name}": parameter.detach()}
            tensors |= {f"{key}/{name}": state[key] for key in ("exp_avg", "exp_avg_sq")}
        partial = self.config.output / (TENSORS_FILE + ".partial")
        save_file({name: value.contiguous() for name, value in tensors.items()}, partial)
        partial.replace(self.config.output / TENSORS_FILE)
        state_now = {"step": self.step, "elapsed_s": self.elapsed_s}
        _replace_json(self.config.output / STATE_FILE, state_now)

    def _restore(self) -> None:
        tensors = load_file(self.config.output / TENSORS_FILE)
        state = read_object(self.config.output / STATE_FILE)
        self.step, self.elapsed_s = int(state["step"]), float(state["elapsed_s"])
        network = self.model.network
        network.load_state_dict({name: tensors[f"weight/{name}"] for name in network.state_dict()})
        self.average = {name: tensors[f"average/{name}"] for name in self.average}
        for name, parameter in network.named_parameters():
            moments = {key: tensors[f"{key}/{name}"] for key in ("exp_avg", "exp_avg_sq")}
            self.optimizer.state[parameter] = {"step": torch.tensor(float(self.step)), **moments}
        logger.info("going on at step %d", self.step)


def learning_rate_at(step: int, config: TrainConfig) -> float:
    """The learning rate of `step`: linear warm-up, then a cosine from its peak to 2 % of it."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    progress = (step - config.warmup_steps) / max(1, config.num_steps - config.warmup_steps)
    return config.learning_rate * (0.02 + 0.98 * 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress))))


def _claim_folder(config: TrainConfig) -> None:
    """Record the configuration in the run folder, or refuse a folder that holds another run."""
    config.output.mkdir(parents=True, exist_ok=True)
    path = config.output / "train_config.json"
    document = json.loads(json.dumps(asdict(config), default=str))
    if path.exists() and read_object(path) != document:
        raise CheckpointError(f"{config.output}: holds a run with another configuration, {read_object(path)}")
    _replace_json(path, document)


def _new_model(folder: Path) -> MagmaModel:
    config = MagmaConfig.from_dict(read_object(folder / "config.json"))
    return MagmaModel(MagmaNetwork(config), MagmaProcessor.load(folder, config))


def _pipeline(config: TrainConfig, contract: ActionContract, magma: MagmaConfig) -> Pipeline:
    if config.start_from is not None:
        return Pipeline.load(config.start_from / "checkpoint")
    return Pipeline(
        PipelineConfig(
            contract=contract,
            norm_stats=fit_norm_stats([ChosenEpisodes(folder) for folder in config.data], contract),
            base_vocab_size=magma.base_vocab_size,
            use_image_start_end=bool(magma.raw["mm_use_image_start_end"]),
        )
    )


def _instructions(folders: Sequence[Path]) -> list[str]:
    return sorted({text for dataset in open_datasets(folders) for text in dataset.instructions})


def _write_checkpoint(run: _Run, pipeline: Pipeline, folder: Path, *, num_frames: int) -> None:
    network = MagmaNetwork(run.model.network.config)
    network.load_state_dict(run.average)
    training: dict[str, Any] = {
        "step": run.step,
        "num_frames": num_frames,
        "elapsed_s": round(run.elapsed_s, 1),
        "config": json.loads(json.dumps(asdict(run.config), default=str)),
    }
    checkpoint.save_checkpoint(folder, network=network, pipeline=pipeline, training=training)


def _replace_json(path: Path, content: dict[str, Any]) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    partial.replace(path)
