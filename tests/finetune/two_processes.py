"""A program that is one of two processes of a run: `RANK=0 python two_processes.py RECIPE [RECIPE:STOP_AT …]`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from magma_ros.finetune.batches import TrainingBatch
from magma_ros.finetune.devices import leave
from magma_ros.finetune.loop import Run, Tally
from magma_ros.finetune.recipe import read_recipe
from magma_ros.finetune.train import finetune

_ADVANCE = Run.advance


class StopError(Exception):
    """Ends a run before its last step."""


def main(arguments: Sequence[str]) -> None:
    """Train each recipe; those with a step behind a colon end before it."""
    for argument in arguments:
        recipe, _, stop_at = argument.partition(":")

        def advance(run: Run, parts: Sequence[TrainingBatch], stop_at: str = stop_at) -> Tally:
            if stop_at and run.step == int(stop_at):
                raise StopError
            return _ADVANCE(run, parts)

        Run.advance = advance  # type: ignore[method-assign]
        try:
            finetune(read_recipe(recipe))
        except StopError:
            continue
    leave()


if __name__ == "__main__":
    main(sys.argv[1:])
