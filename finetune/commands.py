"""What `magma-ros finetune` does: a recipe in, a plan, curves and the checkpoint's path out."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Annotated

import tyro

from magma_ros import exit_codes
from magma_ros.finetune.planning import plan_recipe
from magma_ros.finetune.recipe import read_recipe

_GB = 1e9


def finetune_policy(
    recipe: Annotated[str, tyro.conf.Positional],
    *,
    output: Path | None = None,
    assignments: Annotated[tuple[str, ...], tyro.conf.arg(name="set", metavar="KEY=VALUE")] = (),
    plan: bool = False,
    device_memory_gb: float | None = None,
    devices: int = 1,
) -> int:
    """Train a policy as a recipe says; goes on where a run in the same folder stopped, to the bit.

    Args:
        recipe: A YAML file, or the name of a recipe that comes with this project.
        output: Run folder, in place of the recipe's.
        assignments: Values in place of the recipe's, such as steps=500 parts.lora_rank=8 data.0.limit=20.
        plan: Only say what memory it would take of each device; neither data nor weights have to be here.
        device_memory_gb: For the plan, memory of a GPU that is not in this machine [GB].
        devices: For the plan, how many share the work.

    Returns:
        0, or 1 for a plan that does not fit.
    """
    if output is not None:
        assignments = (*assignments, f"output={output}")
    chosen = read_recipe(recipe, assignments=assignments)
    memory = None if device_memory_gb is None else int(device_memory_gb * _GB)
    name = None if memory is None else "cuda:0"
    count = int(os.environ.get("WORLD_SIZE", devices))  # set by whoever started several processes
    if plan or int(os.environ.get("RANK", "0")) == 0:
        found, assumed = plan_recipe(chosen, num_devices=count, device=name, device_bytes=memory)
        print("\n".join([found.table(), *(f"assumed: {line}" for line in assumed)]), flush=True)
        if plan:
            return exit_codes.OK if found.fits else exit_codes.FAILED
    from magma_ros.finetune.devices import leave  # noqa: PLC0415 - a plan joins no other process
    from magma_ros.finetune.train import finetune  # noqa: PLC0415 - same

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        folder = finetune(chosen)
    finally:
        leave()
    print(f"checkpoint {folder}, steps {chosen.steps}, seed {chosen.seed}", flush=True)
    return exit_codes.OK
