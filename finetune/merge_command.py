"""What `magma-ros merge` does: an adapter and its base in, one checkpoint out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console

from magma_ros import sources
from magma_ros.finetune.lora import merge_adapter


def merge(
    adapter: Annotated[str, tyro.conf.Positional],
    *,
    output: Path,
    dtype: Literal["float32", "bfloat16", "float16"] = "bfloat16",
) -> None:
    """Make one checkpoint of an adapter and the base that it belongs to.

    Args:
        adapter: The adapter's folder, or its name among this project's checkpoints.
        output: A new folder for the checkpoint.
        dtype: Number type that the weights are stored in.
    """
    with Console(stderr=True).status("reading, adding and writing weights"):
        merge_adapter(sources.find(adapter), output, dtype=dtype)
    print(f"checkpoint {output}", flush=True)
