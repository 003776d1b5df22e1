"""`magma-ros inspect`: an inspection as tables for people, and as JSON for programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.table import Table

from magma_ros import exit_codes
from magma_ros.inspection.facts import Inspection, inspect
from magma_ros.json_files import write_object
from magma_ros.model.weights import MAX_FAULTS_SHOWN
from magma_ros.wording import counted

_WIDTH = 118


def inspect_checkpoint(
    checkpoint: Annotated[str, tyro.conf.Positional],
    *,
    embodiment: str | None = None,
    verify: bool = False,
    json: Path | None = None,
) -> int:
    """Show what a checkpoint is, what it needs and everything that is wrong with it; reads headers only.

    Args:
        checkpoint: Folder, name or hub id of the checkpoint.
        embodiment: JSON file or name of what the actions mean, for a checkpoint that does not say.
        verify: Also hash every file against the manifest and look at every value of the weights.
        json: Write everything here, too, for programs.

    Returns:
        0, or 1 when something is wrong.
    """
    with Console(stderr=True).status("reading every file" if verify else "reading headers"):
        found = inspect(checkpoint, embodiment=embodiment, verify=verify)
    if json is not None:
        write_object(json, found.to_dict())
    show(found, Console(width=_WIDTH, highlight=False, markup=False, soft_wrap=False))
    return exit_codes.FAILED if found.faults else exit_codes.OK


def show(found: Inspection, console: Console) -> None:
    """Print the inspection."""
    console.print(f"checkpoint   {found.source} in {found.folder}", soft_wrap=True)
    if found.weights:
        stored, files = found.weights, found.weights["files"]
        kinds = ", ".join(f"{count} {dtype}" for dtype, count in stored["dtypes"].items())
        unused = f", {stored['num_unused']} unused" if stored["num_unused"] else ""
        console.print(f"weights      {_size(stored['bytes'])} in {len(files)} file(s); tensors: {kinds}{unused}")
    if found.vocabulary:
        _show_vocabulary(found.vocabulary, console)
    if found.fingerprint:
        console.print(f"fingerprint  {found.fingerprint}")
    if found.architecture:
        console.print(_pairs("architecture", found.architecture))
        console.print(_pairs("parameters", {name: f"{count:,}" for name, count in found.parameters.items()}))
    if found.contract:
        cameras = ", ".join(
            f"{c['name']} {c['width_px']}x{c['height_px']} px{' turned by 180°' if c['rotate_180'] else ''}"
            for c in found.contract["cameras"]
        )
        units = {"control_rate_hz": "Hz", "max_translation_m": "m", "max_rotation_rad": "rad"}
        lines = {name: f"{value} {units.get(name, '')}" for name, value in found.contract.items()}
        console.print(_pairs("action contract", {**lines, "cameras": cameras}))
        console.print(_statistics(found))
    if found.memory:
        console.print(_memory(found))
    for note in found.notes:
        console.print(f"note   {note}", soft_wrap=True)
    for fault in found.faults[:MAX_FAULTS_SHOWN]:
        console.print(f"FAULT  {fault}", soft_wrap=True)
    if len(found.faults) > MAX_FAULTS_SHOWN:
        console.print(f"FAULT  and {len(found.faults) - MAX_FAULTS_SHOWN} more; --json lists all")
    depth = "files and values" if found.verified else "headers only; --verify hashes files and looks at values"
    verdict = counted(len(found.faults), "fault") if found.faults else "nothing wrong"
    console.print(f"{verdict} ({depth})")


def _show_vocabulary(vocabulary: dict[str, Any], console: Console) -> None:
    first, last = vocabulary["action_ids"]
    counts = f"{vocabulary['embedding_rows']} rows; {vocabulary['text_tokens']} text tokens"
    console.print(f"vocabulary   {counts}; actions {first} … {last}")
    if special := vocabulary.get("special_ids"):
        shown = ", ".join(f"{name} {'absent' if token is None else token}" for name, token in special.items())
        console.print(f"             {shown}", soft_wrap=True)


def _pairs(title: str, values: dict[str, Any]) -> Table:
    table = Table(title=title, title_justify="left", show_header=False)
    for name, value in values.items():
        table.add_row(name.replace("_", " "), str(value).strip())
    return table


def _statistics(found: Inspection) -> Table:
    table = Table(title="action statistics", title_justify="left")
    for heading in ("number", "unit", "q01", "q99", "one token", "mean", "std"):
        table.add_column(heading, justify="left" if heading in ("number", "unit") else "right")
    for column in found.statistics:
        numbers = (column.q01, column.q99, column.bin_width, column.mean, column.std)
        scaled = "" if column.scaled else " (not scaled)"
        table.add_row(column.name + scaled, column.unit, *("unknown" if n is None else f"{n:.6f}" for n in numbers))
    return table


def _memory(found: Inspection) -> Table:
    title = f"memory for a prompt of {found.num_prompt_tokens} tokens, without passing results"
    table = Table(title=title, title_justify="left")
    for heading in ("loaded as", "weights", "cache", "together"):
        table.add_column(heading, justify="left" if heading == "loaded as" else "right")
    for device, size in found.devices.items():
        table.add_column(f"{device} ({_size(size)})")
    words = {True: "fits", False: "too large", None: "no kernel"}
    for need in found.memory:
        sizes = (need.weights_bytes, need.cache_bytes, need.total_bytes)
        fits = (words[need.fits.get(device)] for device in found.devices)
        table.add_row(need.form, *map(_size, sizes), *fits)
    return table


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:.2f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.1f} MB"
