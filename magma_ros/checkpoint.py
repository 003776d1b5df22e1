"""A checkpoint folder: upstream's layout plus our manifest; the only place that loads weights.

Files: `config.json`, `preprocessor_config.json`, `tokenizer.json`, `tokenizer_config.json`, `special_tokens_map.json`,
`generation_config.json`, `model.safetensors` (or shards and their index), `dataset_statistics.json` and our
`magma_ros.json` with format, action contract, fingerprint, library versions and the SHA-256 of every other file.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from magma_ros.errors import CheckpointError
from magma_ros.json_files import read_object
from magma_ros.model.adapter import MagmaModel
from magma_ros.model.config import MagmaConfig
from magma_ros.model.network import MagmaNetwork
from magma_ros.model.processing import MagmaProcessor
from magma_ros.model.weights import load_network, save_weights
from magma_ros.pipeline import MANIFEST_NAME, STATISTICS_NAME, Pipeline
from magma_ros.policy import ModelPolicy

_DTYPES: Mapping[str, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_RECORDED = ("torch", "transformers", "tokenizers", "safetensors", "numpy")


def load_policy(folder: Path | str, *, device: str = "cpu", dtype: str = "float32") -> ModelPolicy:
    """The policy in a checkpoint folder, ready to act.

    Args:
        folder: The checkpoint.
        device: Where the network runs, as torch names it.
        dtype: `float32`, `bfloat16` or `float16`.

    Raises:
        CheckpointError: a file is missing, altered, unsafe or does not fit the others.
        ContractError, NormalizationError: its contract or statistics cannot be used.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: expected a checkpoint folder, found none")
    verify_files(folder)
    return ModelPolicy(Pipeline.load(folder), load_model(folder, device=device, dtype=dtype))


def load_model(folder: Path, *, device: str = "cpu", dtype: str = "float32") -> MagmaModel:
    """The network and processor of a folder in upstream's layout; it needs no manifest.

    Raises:
        CheckpointError: a file is missing or does not fit the others, or the dtype is unknown.
    """
    if dtype not in _DTYPES:
        raise CheckpointError(f"dtype: expected one of {sorted(_DTYPES)}, got {dtype!r}")
    config = MagmaConfig.from_dict(read_object(folder / "config.json"))
    processor = MagmaProcessor.load(folder, config)
    return MagmaModel(load_network(folder, config, device=device, dtype=_DTYPES[dtype]), processor)


def write_architecture(folder: Path, tokenizer: Tokenizer, documents: Mapping[str, Mapping[str, Any]]) -> None:
    """Write `tokenizer.json` and the JSON `documents` (file name → content) of a new checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    for name, content in documents.items():
        _write_json(folder / name, content)


def copy_architecture(source: Path, folder: Path) -> None:
    """Copy the files that `write_architecture` wrote from the checkpoint `source` into a new one.

    Raises:
        CheckpointError: `source` is not a whole checkpoint.
    """
    verify_files(source)
    folder.mkdir(parents=True, exist_ok=True)
    for path in source.iterdir():
        if _is_content(path) and path.suffix == ".json" and path.name != STATISTICS_NAME:
            shutil.copyfile(path, folder / path.name)


def save_checkpoint(
    folder: Path, *, network: MagmaNetwork, pipeline: Pipeline, training: Mapping[str, Any], dtype: str = "bfloat16"
) -> None:
    """Write weights, statistics and manifest into a folder that already holds the architecture's files.

    Args:
        folder: Where `write_architecture` has written.
        network: Its weights are stored as `dtype`.
        pipeline: What the network was trained with.
        training: Data, seeds, steps and figures of the run, kept in the manifest.
        dtype: `float32`, `bfloat16` or `float16`.
    """
    save_weights(network, folder, dtype=_DTYPES[dtype])
    pipeline.save(folder)
    manifest = read_object(folder / MANIFEST_NAME)
    manifest["versions"] = {"python": platform.python_version(), **{name: version(name) for name in _RECORDED}}
    manifest["training"] = dict(training)
    manifest["files"] = {
        path.name: _sha256(path) for path in sorted(folder.iterdir()) if path.is_file() and _is_content(path)
    }
    _write_json(folder / MANIFEST_NAME, manifest)


def verify_files(folder: Path) -> None:
    """Compare every file with the manifest's SHA-256.

    Raises:
        CheckpointError: files that are missing or altered, all named at once.
    """
    recorded = read_object(folder / MANIFEST_NAME).get("files")
    if not isinstance(recorded, dict) or not recorded:
        raise CheckpointError(f"{folder / MANIFEST_NAME}: expected the SHA-256 of the files, got {recorded!r}")
    faults = []
    for name, expected in recorded.items():
        path = folder / name
        if Path(name).name != name or not path.is_file():
            faults.append(f"{name} is missing")
        elif _sha256(path) != expected:
            faults.append(f"{name} was altered")
    if faults:
        raise CheckpointError(f"{folder}: the files differ from the manifest: " + ", ".join(faults))


def _is_content(path: Path) -> bool:
    return path.name != MANIFEST_NAME and path.suffix in {".json", ".safetensors"}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
