"""What the safetensors files of a folder hold, from their headers alone; no tensor is read and no pickle opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

from safetensors import SafetensorError, safe_open

from magma_ros.errors import CheckpointError
from magma_ros.json_files import read_object
from magma_ros.model.weight_names import release_key

SINGLE_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
"""Files that run code when they are read; they are named in refusals and never opened."""

_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
"""Number types that weights may be stored in, by safetensors' name, and their size."""


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """One tensor in a file.

    Attributes:
        path: The file.
        key: Its name there.
        shape: Its shape.
        dtype: Its number type as safetensors names it, such as `BF16`.
    """

    path: Path
    key: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def num_bytes(self) -> int:
        """Size in the file."""
        return prod(self.shape) * _BYTES.get(self.dtype, 0)


@dataclass(frozen=True, slots=True)
class WeightFiles:
    """The tensors of a checkpoint that the network can use.

    Attributes:
        tensors: The release's key → where the tensor is.
        num_unused: Tensors that the forward pass never reads (unused heads and the like).
        faults: What is wrong with the files themselves, one sentence each.
    """

    tensors: Mapping[str, StoredTensor]
    num_unused: int
    faults: tuple[str, ...]


def find_weights(folder: Path) -> WeightFiles:
    """The tensors in the folder's `model.safetensors`, or in the shards that its index names.

    Faults in a file are listed, not raised, so that a refusal can name everything at once.

    Raises:
        CheckpointError: no weights at all, both kinds, or an index that cannot be used.
    """
    shards = _shards(folder)
    tensors: dict[str, StoredTensor] = {}
    faults: list[str] = []
    num_unused = 0
    for name, listed in shards.items():
        try:
            found = _header(folder / name)
        except CheckpointError as error:
            faults.append(str(error))
            continue
        if listed is not None:
            faults += [f"the index has {key} in {name}, which has not" for key in sorted(listed - found.keys())]
            faults += [f"{name} has {key}, which the index has not there" for key in sorted(found.keys() - listed)]
        for key, tensor in found.items():
            released = release_key(key)
            if released is None:
                num_unused += 1
            elif released in tensors:
                faults.append(f"{released} is in {tensors[released].path.name} and in {name}")
            else:
                tensors[released] = tensor
    faults += [
        f"{key}: expected one of the number types {sorted(_BYTES)}, got {tensor.dtype}"
        for key, tensor in tensors.items()
        if tensor.dtype not in _BYTES
    ]
    return WeightFiles(tensors, num_unused, tuple(faults))


def _shards(folder: Path) -> dict[str, frozenset[str] | None]:
    """File name → the keys that the index has in it, or None without an index."""
    single, index = folder / SINGLE_FILE, folder / INDEX_FILE
    if single.is_file() and index.is_file():
        raise CheckpointError(f"{folder}: expected {SINGLE_FILE} or {INDEX_FILE}, found both: which one is meant?")
    if single.is_file():
        return {SINGLE_FILE: None}
    if index.is_file():
        return _indexed_shards(index)
    pickles = (
        sorted(path.name for path in folder.iterdir() if path.suffix in PICKLE_SUFFIXES) if folder.is_dir() else []
    )
    hint = f"; {pickles} are pickles, which can run code and are never loaded" if pickles else ""
    raise CheckpointError(f"{folder}: expected {SINGLE_FILE} or {INDEX_FILE}, found neither{hint}")


def _indexed_shards(index: Path) -> dict[str, frozenset[str] | None]:
    weight_map = read_object(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map or not all(isinstance(v, str) for v in weight_map.values()):
        raise CheckpointError(f"{index}: expected a weight_map of tensor names to file names")
    names = sorted(set(weight_map.values()))
    if unsafe := [name for name in names if Path(name).name != name]:
        raise CheckpointError(f"{index}: expected plain file names, got {unsafe}")
    if others := [name for name in names if Path(name).suffix != ".safetensors"]:
        raise CheckpointError(f"{index}: expected safetensors files; {others} may be pickles and are never loaded")
    return {name: frozenset(key for key, file in weight_map.items() if file == name) for name in names}


def _header(path: Path) -> dict[str, StoredTensor]:
    try:
        with safe_open(path, framework="np") as file:
            slices = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118 - safe_open is not a mapping
            return {k: StoredTensor(path, k, tuple(s.get_shape()), s.get_dtype()) for k, s in slices.items()}
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path.name}: expected a whole safetensors file: {error}") from error
