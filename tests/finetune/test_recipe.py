"""Recipes are read strictly, the shipped ones whole; the learning rate follows them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from magma_ros.errors import MagmaRosError, RecipeError
from magma_ros.finetune.parts import Parts
from magma_ros.finetune.plain_values import build
from magma_ros.finetune.recipe import DataItem, Recipe, Schedule, available, read_recipe
from tests.finetune.short_runs import short_recipe, write_recipe


def test_a_recipe_survives_its_own_file(tmp_path: Path) -> None:
    """What is written as YAML is read as the same recipe."""
    recipe = short_recipe(tmp_path, tmp_path / "run", parts=Parts(frozen=("vision_tower",)), checkpoint_every=2)
    assert recipe == read_recipe(write_recipe(recipe, tmp_path / "recipe.yaml"))


@pytest.mark.parametrize("name", available())
def test_every_shipped_recipe_can_be_read(name: str) -> None:
    """By its name, and with a value of one's own."""
    assert 7 == read_recipe(name, assignments=["steps=7"]).steps


def test_the_recipes_that_are_promised_are_shipped() -> None:
    """magma-tiny for both simulators, Magma-8B on one GPU and on eight, and one's own robot."""
    promised = {"magma_tiny_bridge", "magma_tiny_libero", "magma_8b_lora", "magma_8b_full_fsdp", "adapt_my_robot"}
    assert promised <= set(available())


def test_an_unknown_recipe_names_those_there_are() -> None:
    """Neither a file nor a name."""
    with pytest.raises(RecipeError, match="adapt_my_robot"):
        read_recipe("adapt_my_robt")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"start_from": "magma-tiny"}, "either start_from or tiny"),
        ({"tiny": None}, "either start_from or tiny"),
        ({"data": ()}, "data: expected at least one item"),
        ({"steps": 0}, "steps: expected more than 0"),
        ({"action_horizon": 0}, "action_horizon: expected 1 to 64"),
        ({"action_horizon": 65}, "action_horizon: expected 1 to 64"),
        ({"cameras": ()}, "cameras: expected at least one name"),
        (
            {"tiny": None, "start_from": "magma-tiny", "norm_stats": "keep", "cameras": ("image",)},
            "cameras: expected at least one name, and norm_stats: fit",
        ),
        ({"learning_rate": float("nan")}, "learning_rate: expected a positive number"),
        ({"picture_memory_gib": 0.0}, "picture_memory_gib: expected a positive number"),
        ({"ema_decay": 1.0}, "ema_decay: expected 0 to less than 1"),
        ({"norm_stats": "keep"}, "statistics to keep from an embodiment alone"),
        ({"embodiment": "bridge_widowx"}, "statistics to keep from an embodiment alone"),
        ({"tiny": None, "start_from": "a", "embodiment": "franka"}, "embodiment: expected norm_stats: keep"),
        ({"parts": Parts(method="lora")}, "a LoRA changes a checkpoint"),
        ({"tiny": None, "start_from": "x", "parallel": "fsdp", "parts": Parts(method="qlora")}, "fsdp cannot share"),
    ],
)
def test_a_recipe_that_contradicts_itself_is_refused(changes: dict[str, Any], said: str) -> None:
    """Before anything is read or written."""
    with pytest.raises(MagmaRosError, match=said):
        short_recipe(Path("data"), Path("run"), **changes)


@pytest.mark.parametrize(
    "item",
    [
        {},
        {"episodes": Path("a"), "conversations": Path("b")},
        {"episodes": Path("a"), "weight": 0.0},
        {"episodes": Path("a"), "limit": 0},
        {"episodes": Path("a"), "pictures": Path("b")},
        {"conversations": Path("a"), "only_interventions": True},
    ],
)
def test_an_item_of_data_is_of_one_kind(item: dict[str, Any]) -> None:
    """Episodes or conversations, with options of their own kind, weights and limits above zero."""
    with pytest.raises(RecipeError, match="data"):
        DataItem(**item)


def test_the_learning_rate_rises_and_falls() -> None:
    """Linear over the warm-up, the peak after it, the floor at the end of a cosine; the peak for ever if constant."""
    cosine = Schedule(warmup_steps=100, floor=0.02)
    assert [0.01, 1.0, 0.51, 0.02] == pytest.approx([cosine.share_at(step, 1000) for step in (0, 100, 550, 1000)])
    assert 1.0 == Schedule(shape="constant").share_at(999, 1000)


def test_what_a_lora_leaves_alone_is_held_in_half_precision_only_with_bf16() -> None:
    """Everything that may change, and everything in fp32 runs, is single precision."""
    lora: dict[str, Any] = {"tiny": None, "start_from": "magma-tiny", "parts": Parts(method="lora")}
    recipes = [
        short_recipe(Path("d"), Path("r"), **changes)
        for changes in ({"precision": "bf16"}, {**lora, "precision": "bf16"}, {**lora, "precision": "fp32"})
    ]
    assert ["float32", "bfloat16", "float32"] == [recipe.base_dtype for recipe in recipes]


def test_the_recipe_in_the_documentation_can_be_read() -> None:
    """Every key that docs/finetuning.md shows exists."""
    text = (Path(__file__).parents[2] / "docs" / "finetuning.md").read_text(encoding="utf-8")
    (shown, *parts) = re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
    recipe = build(Recipe, yaml.safe_load(shown), where="docs/finetuning.md")
    assert ("magma-tiny", 3) == (recipe.start_from, len(recipe.data))
    for part in parts:
        build(Parts, yaml.safe_load(part)["parts"], where="docs/finetuning.md")
