"""What `magma-ros train` does: options in, a curve and the checkpoint's path out."""

from __future__ import annotations

import logging
from typing import Annotated

import tyro

from magma_ros.finetune.train import TrainConfig, train

EXIT_OK = 0


def train_policy(config: Annotated[TrainConfig, tyro.conf.arg(name="")]) -> int:
    """Train magma-tiny on recorded episodes; goes on where a run in the same folder stopped.

    Returns:
        0.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    folder = train(config)
    print(f"checkpoint {folder}, steps {config.num_steps}, seed {config.seed}", flush=True)
    return EXIT_OK
