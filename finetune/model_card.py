"""A checkpoint's README.md: what it is for, where it comes from and what was measured, from its own files alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from magma_ros.checkpoint_files import LADDER_NAME, manifest_digest
from magma_ros.finetune import ladder as ladder_file
from magma_ros.finetune.ladder import Ladder, Rung
from magma_ros.json_files import read_object
from magma_ros.pipeline import MANIFEST_NAME, STATISTICS_NAME

CARD_NAME = "README.md"

_HEAD = {
    "library_name": "magma_ros",
    "pipeline_tag": "robotics",
    "tags": ["robotics", "vision-language-action", "magma"],
}
_UNITS = {"control_rate_hz": "Hz", "max_translation_m": "m", "max_rotation_rad": "rad"}
_UNKNOWN = "The manifest does not say."
_USE = """```
magma-ros inspect <this folder> --verify
ros2 launch magma_ros bringup.launch.py arm:=<your arm> checkpoint:=<this folder>
```"""


def write(folder: Path) -> Path:
    """Write the card of the checkpoint in `folder` anew.

    Raises:
        CheckpointError: there is no manifest that can be read.
        PromotionError: the ladder beside it is damaged.
    """
    path = folder / CARD_NAME
    path.write_text(compose(folder), encoding="utf-8")
    return path


def compose(folder: Path) -> str:
    """The card as Markdown; errors as `write`."""
    manifest = read_object(folder / MANIFEST_NAME)
    contract, training = manifest["contract"], manifest.get("training") or {}
    statistics = read_object(folder / STATISTICS_NAME)
    parts = [
        f"---\n{yaml.safe_dump(_HEAD, sort_keys=False)}---",
        f"# Magma policy for {contract['embodiment']}",
        _identity(folder, manifest, training),
        "## What its actions mean",
        _table(("field", "value"), [*_contract_rows(contract), _horizon_row(manifest), _entropy_row(manifest)]),
        "A robot to which any of this does not apply must not be driven with it; `magma_ros` refuses if it can tell.",
        "## Data",
        _data(training, statistics),
        "## Training",
        _training(manifest, training),
        "## Measured in training",
        _figures(training.get("metrics")),
        "## Ladder",
        _ladder(folder),
        "## Use",
        _USE,
    ]
    return "\n\n".join(parts) + "\n"


def _identity(folder: Path, manifest: Mapping[str, Any], training: Mapping[str, Any]) -> str:
    weights = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    rows = [
        ("manifest, SHA-256", manifest_digest(folder)),
        ("pipeline's fingerprint", manifest["fingerprint"]),
        ("weights", f"{weights / 1e6:.1f} MB"),
        ("made from", _shown(training.get("parent") or _UNKNOWN)),
    ]
    return _table(("identity", ""), rows)


def _contract_rows(contract: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in contract.items():
        if name != "cameras":
            yield name, f"{value} {_UNITS.get(name, '')}".strip()
    for camera in contract["cameras"]:
        turned = ", turned by 180°" if camera["rotate_180"] else ""
        yield f"camera {camera['name']}", f"{camera['width_px']} x {camera['height_px']} px{turned}"


def _horizon_row(manifest: Mapping[str, Any]) -> tuple[str, str]:
    return "actions of an answer", str(manifest.get("action_horizon", 1))


def _entropy_row(manifest: Mapping[str, Any]) -> tuple[str, str]:
    bounds = manifest.get("entropy_bounds")
    shown = (
        _UNKNOWN if bounds is None else f"slows above {bounds['slow_nats']:.2f}, holds above {bounds['hold_nats']:.2f}"
    )
    return "mean entropy of an action's tokens [nat]", shown


def _data(training: Mapping[str, Any], statistics: Mapping[str, Any]) -> str:
    items = training.get("data")
    shown = _UNKNOWN
    if items:
        rows = [
            (
                str(item.get("episodes") or item.get("conversations") or item.get("judged_by")),
                str(item.get("num_episodes", "")),
                str(len(item.get("held_out", ()))),
                _shown(item.get("source", "")),
                str(item.get("sha256", "")),
            )
            for item in items
        ]
        shown = _table(("folder or file", "episodes that trained", "held out", "from", "SHA-256"), rows)
    return f"{shown}\n\nAction statistics: {', '.join(sorted(statistics))} (`{STATISTICS_NAME}`)."


def _training(manifest: Mapping[str, Any], training: Mapping[str, Any]) -> str:
    recipe = training.get("recipe")
    shown = f"```yaml\n{yaml.safe_dump(recipe, sort_keys=False)}```" if recipe else _UNKNOWN
    told = {name: training[name] for name in training if name not in ("recipe", "data", "metrics", "parent")}
    rows = [*_leaves(told), *_leaves(manifest.get("versions", {}), "version of ")]
    return f"{shown}\n\n{_table(('', ''), rows)}" if rows else shown


def _figures(metrics: Mapping[str, Any] | None) -> str:
    return _table(("figure", "value"), list(_leaves(metrics))) if metrics else _UNKNOWN


def _ladder(folder: Path) -> str:
    if not (folder / LADDER_NAME).is_file():
        return "Not tried: `magma-ros ladder` says what a robot would have to know before it follows this policy."
    climbed = ladder_file.read(folder)
    if climbed.checkpoint != manifest_digest(folder):
        return "Tried with other weights; nothing is known of these."
    rows = [(rung.name, rung.outcome.replace("_", " "), rung.detail) for rung in climbed.rungs]
    parts = [f"Last tried {climbed.made_at} on {climbed.runtime.get('device', 'a device that is not named')}."]
    parts += [_table(("rung", "outcome", "what was found out"), rows), *_details(climbed)]
    return "\n\n".join(parts)


def _details(climbed: Ladder) -> Iterator[str]:
    """The numbers behind the simulator's and the open loop's rungs."""
    rungs: dict[str, Rung] = {rung.name: rung for rung in climbed.rungs}
    tasks = rungs["simulator"].figures.get("tasks", {})
    if tasks:
        rows = [
            (name, f"{rate['successes']}/{rate['judged']}", f"{rate['low']:.2f} … {rate['high']:.2f}")
            for name, rate in tasks.items()
        ]
        yield _table(("task", "successes", "95 % interval (Wilson)"), rows)
    errors = rungs["open_loop"].figures
    if errors:
        axes = errors["policy"]["mae"]
        rows = [
            (axis, *(f"{errors[who]['mae'][axis]['value']:.5f}" for who in ("policy", "mean", "previous")))
            for axis in axes
        ]
        yield "Mean absolute error per step on held-out episodes, beside two that look at nothing:"
        yield _table(("axis", "policy", "repeating the mean", "repeating the previous action"), rows)


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Every value below nested objects, by its dotted name."""
    if not isinstance(value, Mapping):
        yield name, _shown(value)
        return
    for key, inner in value.items():
        joined = f"{name}{key}" if not name or name.endswith(" ") else f"{name}.{key}"
        yield from _leaves(inner, joined)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value)


def _table(heads: Sequence[str], rows: Any) -> str:
    """A Markdown table; what would break out of a cell is written so that it does not."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", "<br>")
