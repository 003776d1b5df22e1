"""Samples per second of our loop and of `transformers.Trainer`: one network, one dataset, one batch, one run.

`python benchmarks/finetune.py --steps 20 --rounds 3`; on an idle machine. Both read the same recorded pictures, vary
them with the same augmentation, put them through the same pipeline and train magma-tiny with AdamW in one precision.
Ours also averages the weights. The Trainer is set up as its documentation does: a map-style dataset, a collator, a
model that gives its loss; with and without a worker process for the data. The loops take turns.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import Dataset
from transformers import Trainer, TrainerCallback, TrainingArguments

from magma_ros.contract import ActionContract, CameraSpec
from magma_ros.episodes import Episode, EpisodeWriter
from magma_ros.finetune.augmentation import Augmentation
from magma_ros.finetune.batches import collate
from magma_ros.finetune.devices import Devices
from magma_ros.finetune.loader import prepared
from magma_ros.finetune.loop import Run
from magma_ros.finetune.material import find_material, make_mixture
from magma_ros.finetune.mixture import Mixture, Sample
from magma_ros.finetune.recipe import DataItem, Recipe
from magma_ros.finetune.start import Start, find_start, make_pipeline
from magma_ros.model.network import MagmaNetwork
from magma_ros.model.processing import MagmaProcessor, ModelBatch
from magma_ros.model.tiny import TinySize

WARM_UP = 3
"""Steps of each turn that are not timed."""

IGNORED = -100


def main() -> None:
    """Print a line for each way to train, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20, help="that are timed in each turn")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="bf16")
    parser.add_argument("--episodes", type=Path, help="recorded ones; by default invented ones of 128 px")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), options)
        ways: dict[str, Callable[[int], list[float]]] = {
            "magma_ros": bench.ours,
            "transformers.Trainer": lambda steps: bench.trainer(steps, workers=0),
            "transformers.Trainer, a worker for data": lambda steps: bench.trainer(steps, workers=1),
        }
        times_s: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(options.rounds):
            for name, way in ways.items():
                times_s[name] += way(options.steps)
        print(f"{torch.get_num_threads()} threads, batch {options.batch_size}, {options.precision}")
        print(f"preparing a batch alone: {bench.preparing_s() * 1e3:.0f} ms")
        report(times_s, options.batch_size)


def report(times_s: dict[str, list[float]], batch_size: int) -> None:
    """One line for each, by the median step."""
    medians = {name: statistics.median(values) for name, values in times_s.items()}
    for name, values in times_s.items():
        low, high = np.quantile(values, [0.1, 0.9])
        print(
            f"{name:<42}{batch_size / medians[name]:>8.1f} samples/s   step {medians[name] * 1e3:.0f} ms "
            f"[{low * 1e3:.0f}, {high * 1e3:.0f}] (n = {len(values)})"
        )
    best = min(value for name, value in medians.items() if name != "magma_ros")
    print(f"magma_ros against the better Trainer: {best / medians['magma_ros']:.2f} times")


class Bench:
    """The material that both train on."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        episodes = options.episodes or invented_episodes(folder / "episodes")
        self.recipe = Recipe(
            data=(DataItem(episodes=episodes),),
            output=folder / "run",
            steps=10**6,
            tiny=TinySize(),
            batch_size=options.batch_size,
            precision=options.precision,
            held_out_share=0.0,
            augmentation=Augmentation(crop_share=0.9, brightness=0.2, contrast=0.2, saturation=0.2, hue=0.05),
            trackers=(),
        )
        self.folder = folder
        material = find_material(self.recipe)
        self.start: Start = find_start(self.recipe, material, writes=True)
        self.processor: MagmaProcessor = self.start.processor()
        pipeline = make_pipeline(self.recipe, self.start, material)
        self.mixture: Mixture = make_mixture(self.recipe, material, pipeline, self.processor)

    def ours(self, steps: int) -> list[float]:
        """Seconds of each step of our loop, waiting for data included."""
        devices = Devices("ddp")
        run = Run(self.recipe, self.start.network(torch.float32), devices)
        size = self.recipe.batch_size

        def batch(step: int) -> list[Any]:
            return [collate(self.processor, self.mixture.batch(size, step=step))]

        stamps_s = [time.perf_counter()]
        for parts in prepared(batch, range(WARM_UP + steps), threads=0):
            run.advance(parts)
            stamps_s.append(time.perf_counter())
        devices.release()
        return [float(step_s) for step_s in np.diff(stamps_s)[WARM_UP:]]

    def trainer(self, steps: int, *, workers: int) -> list[float]:
        """The same of `transformers.Trainer`."""
        stamps = Stamps()
        arguments = TrainingArguments(
            output_dir=str(self.folder / "trainer"),
            max_steps=WARM_UP + steps,
            per_device_train_batch_size=self.recipe.batch_size,
            learning_rate=self.recipe.learning_rate,
            weight_decay=self.recipe.weight_decay,
            bf16=self.recipe.precision == "bf16",
            use_cpu=not torch.cuda.is_available(),
            dataloader_num_workers=workers,
            remove_unused_columns=False,
            report_to=[],
            logging_strategy="no",
            save_strategy="no",
            disable_tqdm=True,
        )
        model = WithLoss(self.start.network(torch.float32).train())
        data = Frames(self.mixture, WARM_UP + steps, self.recipe.batch_size)
        Trainer(model, arguments, train_dataset=data, data_collator=self.collate, callbacks=[stamps]).train()
        return [float(step_s) for step_s in np.diff(stamps.stamps_s)[WARM_UP:]]

    def collate(self, samples: Sequence[Sample]) -> dict[str, Tensor]:
        """A padded batch with labels, as the Trainer wants it."""
        answers = [sample.answer.tolist() for sample in samples]
        batch = self.processor([sample.model_input for sample in samples], answers=answers)
        labels = torch.full_like(batch.ids, IGNORED)
        labels[:, -len(answers[0]) :] = torch.tensor(answers)
        return {
            "ids": batch.ids,
            "attention_mask": batch.attention_mask,
            "pixels": batch.pixels,
            "image_sizes": batch.image_sizes,
            "labels": labels,
        }

    def preparing_s(self) -> float:
        """Median time that one thread takes for a batch when nothing else runs [s]."""
        taken_s = []
        for step in range(5):
            begun_s = time.perf_counter()
            collate(self.processor, self.mixture.batch(self.recipe.batch_size, step=step))
            taken_s.append(time.perf_counter() - begun_s)
        return statistics.median(taken_s)


class WithLoss(nn.Module):
    """A network that gives its loss over the labels, as models of transformers do."""

    def __init__(self, network: MagmaNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, ids: Tensor, attention_mask: Tensor, pixels: Tensor, image_sizes: Tensor, labels: Tensor
    ) -> dict[str, Tensor]:
        """Next-token loss over every label that is not ignored."""
        logits = self.network.language_model.lm_head(self.network(ModelBatch(ids, attention_mask, pixels, image_sizes)))
        loss = functional.cross_entropy(
            logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten(), ignore_index=IGNORED
        )
        return {"loss": loss}


class Frames(Dataset[Sample]):
    """The samples of the mixture, numbered."""

    def __init__(self, mixture: Mixture, num_batches: int, batch_size: int) -> None:
        self._mixture, self._size = mixture, batch_size
        self._count = num_batches * batch_size

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Sample:
        """One varied sample."""
        step, place = divmod(index, self._size)
        (sample,) = self._mixture.batch(self._size, step=step, places=slice(place, place + 1))
        return sample


class Stamps(TrainerCallback):
    """When training began and when each step ended [s]."""

    def __init__(self) -> None:
        self.stamps_s: list[float] = []

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """The first stamp."""
        self.stamps_s.append(time.perf_counter())

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """One stamp more."""
        self.stamps_s.append(time.perf_counter())


def invented_episodes(folder: Path, *, count: int = 8, num_steps: int = 40, side_px: int = 128) -> Path:
    """Episodes of noise with Bridge's contract."""
    generator = np.random.default_rng(0)
    contract = ActionContract(
        embodiment="bridge_widowx",
        frame="base_link",
        rotation_form="rpy",
        gripper_polarity="open_is_one",
        reference="target",
        control_rate_hz=5.0,
        max_translation_m=0.05,
        max_rotation_rad=0.5,
        cameras=(CameraSpec("image", side_px, side_px),),
    )
    writer = EpisodeWriter(folder, contract=contract, source={"env": "invented"})
    for seed in range(count):
        actions = generator.uniform(-0.01, 0.01, (num_steps, 7))
        actions[:, 6] = generator.random(num_steps) < 0.5
        writer.append(
            Episode(
                images={"image": generator.integers(0, 256, (num_steps, side_px, side_px, 3), dtype=np.uint8)},
                actions=actions,
                ee_position_m=np.zeros((num_steps, 3)),
                ee_quat_xyzw=np.tile([0.0, 0.0, 0.0, 1.0], (num_steps, 1)),
                gripper_opening=np.ones(num_steps),
                joint_positions_rad=np.zeros((num_steps, 0)),
                stamps_s=0.2 * np.arange(num_steps, dtype=np.float64),
                instruction="put the carrot on the plate",
                seed=seed,
                success=True,
            )
        )
    return folder


if __name__ == "__main__":
    main()
