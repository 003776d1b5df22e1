"""Does video with marks and traces help where demonstrations are few? Three ways to begin, the same demonstrations.

`python benchmarks/som_tom_claim.py --output outputs/som_tom_claim`: hours on two cores. It goes on where it stopped.

* `marks`: before the demonstrations, video without actions: what the robot does, then where marks are or go.
* `words`: the same clips, the same number of steps, the same batches; only what the robot does.
* `none`: no video.

All three begin with the checkpoint that the recipe of the stage on video starts from; where it names none, with one new
magma-tiny (weights by the training seed, one vocabulary that expresses everything). They end with the same
demonstrations and steps. Their checkpoints run the same trials in the simulator. The demonstrations that judge the loss
on the way, and those of the video, are of other seeds than those that train.

A robot that stands differently, watched by the shipped magma-tiny-talking:
`--suite bridge_shifted --stage watch_my_robot --few adapt_my_robot --window 6 --window-step 2 --stride 3`
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import torch
import yaml
from claim_report import ARMS, report

from magma_ros import checkpoint
from magma_ros.finetune.annotation.records import apart
from magma_ros.finetune.material import find_material
from magma_ros.finetune.plain_values import to_plain
from magma_ros.finetune.recipe import DataItem, Recipe, read_recipe
from magma_ros.finetune.start import find_start, make_pipeline
from magma_ros.model.network import MagmaNetwork
from magma_ros.model.tiny import TinySize
from magma_ros.pipeline import MANIFEST_NAME
from magma_ros.sim.collect import REPORT_NAME
from magma_ros.whole_files import replacing


def main() -> None:
    """Make what is missing, then say what came out of all that is there."""
    options = _options()
    study = Study(options)
    study.prepare()
    for seed in options.seeds:
        for arm in ARMS:
            study.train(seed, arm)
            study.measure(seed, arm)
        report(options.output, [seed for seed in options.seeds if study.is_measured(seed)])


class Study:
    """The folders of a study and the commands that fill them; each command goes on where it was killed."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._folder: Path = options.output
        self._demos, self._judges = (self._folder / name for name in ("demos", "judges"))
        self._video: Path = options.video or self._folder / "video"
        self._annotated = self._folder / "annotated"
        self._words = self._folder / "words.jsonl"

    def prepare(self) -> None:
        """Demonstrations, video, and what is said about it."""
        options = self._options
        for folder, count, first_seed in (
            (self._demos, options.demos, 2_000_000),
            (self._judges, options.judges, 3_000_000),
            *([] if options.video else [(self._video, options.videos, 4_000_000)]),
        ):
            if (folder / REPORT_NAME).is_file():
                continue  # a finished dataset would get a new report, and so be other data
            seeds = ["--episodes", str(count), "--seed", str(first_seed)]
            run("collect", "--output", folder, "--suite", options.suite, *seeds, "--workers", options.workers)
        film = ["--window", options.window, "--step", options.window_step, "--stride", options.stride]
        windows = [*film, "--set", *options.trace_parameters]
        run("annotate", self._video, "--output", self._annotated, "--workers", options.workers, *windows)
        with replacing(self._words) as partial, partial.open("w", encoding="utf-8") as file:
            for line in (self._annotated / "records.jsonl").open(encoding="utf-8"):
                file.write(json.dumps(apart(json.loads(line))[0]) + "\n")

    def train(self, seed: int, arm: str) -> None:
        """The stage on video, if the arm has one, and then the demonstrations."""
        stage = read_recipe(self._options.stage, assignments=self._options.stage_set)
        start = stage.start_from or str(self._begin(seed))
        if arm != "none":
            records = self._annotated / "records.jsonl" if arm == "marks" else self._words
            stage = replace(
                stage,
                data=tuple(
                    item
                    if item.conversations is None
                    else replace(item, conversations=records, pictures=self._annotated)
                    for item in stage.data
                ),
                tiny=None,
                embodiment=None,
                start_from=start,
                output=self._of(seed, arm) / "stage",
                seed=seed,
            )
            start = str(self._finetuned(stage))
        few = replace(
            read_recipe(self._options.few, assignments=self._options.few_set),
            data=(DataItem(episodes=self._demos),),
            held_out_share=0.0,
            judged_by=(self._judges,),
            start_from=start,
            output=self._of(seed, arm) / "few",
            seed=seed,
        )
        self._finetuned(few)

    def measure(self, seed: int, arm: str) -> None:
        """The trials of an arm."""
        options, folder = self._options, self._of(seed, arm)
        asked = ["--suite", options.suite, "--policy", folder / "few" / "checkpoint", "--trials", options.trials]
        run("eval", *asked, "--output", folder / "sweep", "--resume", "--workers", options.workers)

    def _finetuned(self, recipe: Recipe) -> Path:
        """The checkpoint of a recipe, which is written down and trained by the command."""
        recipe.output.mkdir(parents=True, exist_ok=True)
        path = recipe.output.with_name(f"{recipe.output.name}.yaml")
        path.write_text(yaml.safe_dump(to_plain(recipe)), encoding="utf-8")
        run("finetune", path, processes=self._options.processes)
        return recipe.output / "checkpoint"

    def is_measured(self, seed: int) -> bool:
        """Whether all arms of a training seed have a sweep."""
        return all((self._of(seed, arm) / "sweep" / "sweep.json").is_file() for arm in ARMS)

    def _of(self, seed: int, arm: str) -> Path:
        return self._folder / f"seed_{seed}" / arm

    def _begin(self, seed: int) -> Path:
        """A new checkpoint that all arms of a training seed begin with; nothing has trained it."""
        folder = self._folder / f"seed_{seed}" / "begin"
        if (folder / MANIFEST_NAME).is_file() and "golden" in json.loads((folder / MANIFEST_NAME).read_text()):
            return folder
        recipe = Recipe(
            data=(DataItem(episodes=self._demos), DataItem(conversations=self._annotated / "records.jsonl")),
            output=folder.with_name("new"),
            steps=1,
            tiny=TinySize(num_text_tokens=1024),
            held_out_share=0.0,
            seed=seed,
        )
        material = find_material(recipe)
        start = find_start(recipe, material, writes=True)
        checkpoint.copy_architecture(start.folder, folder)
        checkpoint.save_checkpoint(
            folder,
            network=_with_own_scales(start.network(torch.float32)),
            pipeline=make_pipeline(recipe, start, material),
            training={"step": 0, "recipe": to_plain(recipe)},
            dtype="float32",
        )
        return folder


def _with_own_scales(network: MagmaNetwork) -> MagmaNetwork:
    """`network`, whose layer scales differ by a hundredth: equal ones are taken for weights that were not loaded."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("layer_scale_parameter"):
                parameter.mul_(1.0 + 0.01 * torch.randn_like(parameter))
    return network


def run(*words: object, processes: int = 1) -> None:
    """One of the project's commands, in so many processes that share its work."""
    several = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    shared = several if processes > 1 else []
    command = [sys.executable, *shared, "-m", "magma_ros.cli", *map(str, words)]
    print("$ magma-ros", *words, flush=True)
    subprocess.run(command, check=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="folder of everything; the same one goes on")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="training seeds")
    parser.add_argument("--demos", type=int, default=10, help="demonstrations of each task that train")
    parser.add_argument("--judges", type=int, default=5, help="demonstrations of each task that judge the loss")
    parser.add_argument("--videos", type=int, default=100, help="episodes of each task whose actions nobody looks at")
    parser.add_argument("--video", type=Path, help="a dataset to take as video instead, of other seeds than the others")
    parser.add_argument("--window", type=int, default=16, help="pictures that a trace goes through")
    parser.add_argument("--window-step", type=int, default=8, help="pictures from one window to the next")
    parser.add_argument("--stride", type=int, default=1, help="take one picture of the video in so many")
    parser.add_argument(
        "--trace-parameters", nargs="+", default=["foreground_step_px=1.0"], help="KEY=VALUE of `annotate --set`"
    )
    parser.add_argument("--suite", default="bridge", help="whose tasks are demonstrated, shown and tried")
    parser.add_argument("--stage", default="magma_tiny_som_tom", help="recipe of the stage on video")
    parser.add_argument("--stage-set", nargs="*", default=[], help="KEY=VALUE of that recipe")
    parser.add_argument("--few", default="magma_tiny_few_demos", help="recipe of the few demonstrations")
    parser.add_argument("--few-set", nargs="*", default=[], help="KEY=VALUE of that recipe")
    parser.add_argument("--trials", type=int, default=50, help="of each task, arm and training seed")
    parser.add_argument("--processes", type=int, default=2, help="that train together")
    parser.add_argument("--workers", type=int, default=4, help="of collection, annotation and trials")
    return parser.parse_args()


if __name__ == "__main__":
    main()
