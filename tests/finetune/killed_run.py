"""A program that trains a recipe and is killed in the middle of a step: `python killed_run.py RECIPE STEP`."""

from __future__ import annotations

import os
import signal
import sys

from magma_ros.finetune.loop import Run
from magma_ros.finetune.recipe import read_recipe
from magma_ros.finetune.train import finetune

_UPDATE = Run._update_average


def main(recipe: str, step: str) -> None:
    """Train until the weights of `step` have moved and their average has not."""

    def update_or_die(run: Run) -> None:
        if run.step == int(step):
            os.kill(os.getpid(), signal.SIGKILL)
        _UPDATE(run)

    Run._update_average = update_or_die  # type: ignore[method-assign]
    finetune(read_recipe(recipe))


if __name__ == "__main__":
    main(*sys.argv[1:])
