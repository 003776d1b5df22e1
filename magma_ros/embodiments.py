"""Embodiments for checkpoints that name none, such as the release: action contract and statistics in one file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from magma_ros.contract import ActionContract
from magma_ros.errors import ContractError
from magma_ros.json_files import read_object
from magma_ros.normalization import NormStats
from magma_ros.shared_files import find_named, names_in

FOLDER = "config/embodiments"
"""Where the embodiments that come with this project are, `<name>.json` each."""

_KEYS = {"contract", "action", "lowercase_instruction"}


@dataclass(frozen=True, slots=True)
class Embodiment:
    """What the release's seven numbers mean on one robot.

    Attributes:
        contract: Units, frame, rotation form, gripper polarity, rate and cameras.
        norm_stats: Statistics of the actions that it was trained on.
        lowercase_instruction: Write the instruction in lower case.
    """

    contract: ActionContract
    norm_stats: NormStats
    lowercase_instruction: bool = False


def load(source: Path | str) -> Embodiment:
    """The embodiment in a JSON file, or of one of the `available` names.

    The file holds `contract` (the fields of `ActionContract`), `action` (statistics in the layout of upstream's
    `dataset_statistics.json`; `mean`, `std`, `min` and `max` may be absent) and, if true, `lowercase_instruction`. Or
    it holds `like`, the name or file of such an embodiment, and in `contract` the fields that are others: the frame of
    an arm whose base has another name.

    Raises:
        ContractError: there is no such file or name, or it holds something else.
        NormalizationError: its statistics cannot be used.
    """
    path = _find(source)
    document = read_object(path, error=ContractError)
    if "like" in document:
        document = _like_another(document, path)
    if not {"contract", "action"} <= document.keys() <= _KEYS:
        raise ContractError(f"{path}: expected the keys {sorted(_KEYS)}, the last one optional, got {sorted(document)}")
    for key, kind in (("contract", dict), ("action", dict), ("lowercase_instruction", bool)):
        if not isinstance(document.get(key, False), kind):
            raise ContractError(f"{path}: {key}: expected {kind.__name__}, got {document[key]!r}")
    return Embodiment(
        ActionContract.from_dict(document["contract"]),
        NormStats.from_dict(document["action"]),
        document.get("lowercase_instruction", False),
    )


def available() -> list[str]:
    """Names of the embodiments that come with this project."""
    return names_in(FOLDER, suffix=".json")


def _like_another(document: dict[str, Any], path: Path) -> dict[str, Any]:
    """The document of the embodiment that `document` is like, with the fields of the contract that it changes."""
    like, changes = document["like"], document.get("contract")
    if document.keys() != {"like", "contract"} or not isinstance(like, str) or not isinstance(changes, dict):
        raise ContractError(f"{path}: expected 'like', a text, and 'contract', an object, got {sorted(document)}")
    other = read_object(_find(like), error=ContractError)
    if not isinstance(other.get("contract"), dict):
        raise ContractError(f"{path}: like: expected an embodiment with a contract of its own, got {like!r}")
    if "like" in other:
        raise ContractError(f"{path}: like: expected an embodiment that is like no other, got {like!r}")
    return other | {"contract": other["contract"] | changes}


def _find(source: Path | str) -> Path:
    return find_named(source, folder=FOLDER, suffix=".json", what="embodiment", error=ContractError)
