"""Whose run folder it is: recipe, data and parent are written down by the first start and compared by the others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from magma_ros.errors import RecipeError
from magma_ros.finetune.material import Material
from magma_ros.finetune.plain_values import to_plain
from magma_ros.finetune.recipe import Recipe
from magma_ros.finetune.start import Start
from magma_ros.json_files import read_object
from magma_ros.whole_files import replacing

NAME = "run.json"

HOW = {
    *("output", "accumulate", "gradient_checkpointing", "parallel", "loader_threads"),
    *("trackers", "log_every", "save_every", "checkpoint_every", "num_judged_episodes"),
}
"""Keys of a recipe that say how it is run and not what it makes: they may differ when a run goes on."""


def claim(recipe: Recipe, start: Start, material: Material) -> dict[str, Any]:
    """Take the run folder for `recipe`; gives data and parent for the checkpoint's manifest.

    Raises:
        RecipeError: it holds a run of another recipe, other data or another parent; names what differs.
    """
    origin = {"data": material.describe(), "parent": start.describe()}
    document = {"recipe": {key: value for key, value in to_plain(recipe).items() if key not in HOW}, **origin}
    path = recipe.output / NAME
    if path.exists():
        differing = sorted(_differences(read_object(path, error=RecipeError), json.loads(json.dumps(document))))
        if differing:
            raise RecipeError(
                f"{recipe.output}: holds a run that differs in {', '.join(differing)}; expected another output, or the "
                "recipe and data that it was begun with"
            )
    else:
        replace_json(path, document)
    return origin


def replace_json(path: Path, content: dict[str, Any]) -> None:
    """Write `content`; a reader finds the old file or the new one, also after a power cut."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    before, now = old.get("recipe"), new["recipe"]
    if not isinstance(before, dict):
        return ["the recipe itself"]
    changed = [
        f"{key} ({before.get(key)!r} then, {now.get(key)!r} now)"
        for key in before | now
        if before.get(key) != now.get(key)
    ]
    return [*changed, *(f"the {key} itself" for key in ("data", "parent") if old.get(key) != new[key])]
