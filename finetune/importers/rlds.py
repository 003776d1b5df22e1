"""RLDS datasets as TensorFlow Datasets stores them, without TensorFlow: one Example per episode, `steps/…` flattened.

`features.json` says what each feature is, `dataset_info.json` how many episodes each shard has. Of a feature that every
step has, the Example holds one list over all steps: numbers one after the other, or one encoded picture or text a step.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from magma_ros import images
from magma_ros.errors import ImportDataError, InvalidInputError
from magma_ros.finetune.importers.foreign import ForeignEpisode
from magma_ros.finetune.importers.tfrecord import Values, parse_example, read_record, record_places
from magma_ros.json_files import read_object
from magma_ros.types import FloatArray, ImageArray

_STEPS = "steps"
_NUMBER_TYPES = frozenset(
    ["bool", "float32", "float64", "bfloat16", "float16", *(f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64))]
)


@dataclass(frozen=True, slots=True)
class StepFeature:
    """What every step has under one name.

    Attributes:
        kind: numbers; an encoded picture; text.
        shape: Of one step's value, as `features.json` has it; -1 where it varies.
    """

    kind: Literal["numbers", "picture", "text"]
    shape: tuple[int, ...]


class RldsEpisodes:
    """One split of a dataset; implements `ForeignEpisodes`. Features are named within the step: `observation/state`.

    Attributes:
        features: What a step has, by name.
    """

    def __init__(self, folder: Path, *, instruction: str, split: str = "train") -> None:
        """Look at what is in `folder`, which holds `features.json`, `dataset_info.json` and the shards.

        Args:
            folder: One version of the dataset, such as `bridge_orig/1.0.0`.
            instruction: The feature that has the sentence.
            split: Which of the dataset's splits.

        Raises:
            ImportDataError: a file is missing, damaged or of another kind, or there is no such split or feature.
        """
        self._folder, self._instruction, self._split = folder, instruction, split
        self.features = _step_features(read_object(folder / "features.json", error=ImportDataError))
        if self._kind(instruction) != "text":
            raise ImportDataError(f"{folder}: instruction: expected a text, {instruction!r} is none")
        self._info = read_object(folder / "dataset_info.json", error=ImportDataError)
        self._places = [place for shard in _shards(folder, self._info, split) for place in shard]

    @property
    def rate_hz(self) -> float | None:
        """None: RLDS has no times."""
        return None

    @property
    def origin(self) -> Mapping[str, Any]:
        """The dataset's own name and version."""
        return {"format": "rlds", "split": self._split, **{k: self._info.get(k, "") for k in ("name", "version")}}

    def __len__(self) -> int:
        return len(self._places)

    def read(self, index: int, *, features: Collection[str]) -> ForeignEpisode:
        """As `ForeignEpisodes` says."""
        example = parse_example(read_record(self._places[index]))
        sentences = _texts(self._values(example, self._instruction))
        numbers, pictures = {}, {}
        for name in features:
            kind, values = self._kind(name), self._values(example, name)
            if kind == "picture":
                pictures[name] = _pictures(values, name)
            elif kind == "numbers":
                numbers[name] = _numbers(values, self.features[name].shape, name)
            else:
                raise ImportDataError(f"{self._folder}: {name}: expected numbers or pictures, it is a text")
        instruction = next((text for text in sentences if text.strip()), "")
        return ForeignEpisode(numbers, pictures, instruction, seed=index)

    def _kind(self, name: str) -> str:
        if name not in self.features:
            raise ImportDataError(f"{self._folder}: feature: expected one of {sorted(self.features)}, got {name!r}")
        return self.features[name].kind

    def _values(self, example: Mapping[str, Values], name: str) -> Values:
        key = f"{_STEPS}/{name}"
        if key not in example:
            raise ImportDataError(f"{self._folder}: expected {key!r} in every episode, one has {sorted(example)}")
        return example[key]


def _shards(folder: Path, info: Mapping[str, Any], split: str) -> Iterator[list[Any]]:
    """The records of each shard, whose numbers must be those of `dataset_info.json`."""
    splits = {entry.get("name"): entry for entry in info.get("splits", []) if isinstance(entry, dict)}
    if split not in splits:
        raise ImportDataError(f"{folder}: split: expected one of {sorted(map(str, splits))}, got {split!r}")
    try:
        lengths = [int(length) for length in splits[split]["shardLengths"]]
    except (KeyError, TypeError, ValueError) as error:
        raise ImportDataError(f"{folder}: dataset_info.json: expected shardLengths of {split!r}: {error!r}") from error
    paths = sorted(folder.glob(f"*-{split}.tfrecord-*"))
    if len(paths) != len(lengths):
        raise ImportDataError(f"{folder}: expected {len(lengths)} shards of {split!r}, found {len(paths)}")
    for path, length in zip(paths, lengths, strict=True):
        places = list(record_places(path))
        if len(places) != length:
            raise ImportDataError(f"{path}: expected {length} episodes as dataset_info.json says, found {len(places)}")
        yield places


def _step_features(document: Mapping[str, Any]) -> dict[str, StepFeature]:
    try:
        steps = document["featuresDict"]["features"][_STEPS]["sequence"]["feature"]
        return dict(_flatten(steps, ""))
    except (KeyError, TypeError, ValueError) as error:
        raise ImportDataError(f"features.json: expected the nested steps of an RLDS dataset: {error!r}") from error


def _flatten(feature: Mapping[str, Any], name: str) -> Iterator[tuple[str, StepFeature]]:
    """The leaves of a nested feature that can be read; ragged and compressed numbers can't."""
    if "featuresDict" in feature:
        for key, part in feature["featuresDict"]["features"].items():
            yield from _flatten(part, f"{name}/{key}" if name else key)
    elif "image" in feature:
        yield name, StepFeature("picture", _shape(feature["image"]))
    elif "text" in feature:
        yield name, StepFeature("text", ())
    elif "tensor" in feature and feature["tensor"].get("encoding", "none") in ("none", "ENCODING_UNSPECIFIED"):
        tensor, shape = feature["tensor"], _shape(feature["tensor"])
        if tensor.get("dtype") == "string":
            yield name, StepFeature("text", ())
        elif tensor.get("dtype") in _NUMBER_TYPES and -1 not in shape:
            yield name, StepFeature("numbers", shape)


def _shape(part: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(int(size) for size in part.get("shape", {}).get("dimensions", ()))


def _numbers(values: Values, shape: tuple[int, ...], name: str) -> FloatArray:
    """Shape (T, n) of numbers one after the other."""
    width = int(np.prod(shape, dtype=np.int64))
    if isinstance(values, tuple) or width == 0 or len(values) % width:
        raise ImportDataError(f"{name}: expected a multiple of {width} numbers, got {len(values)} values")
    return np.asarray(values, np.float64).reshape(-1, width)


def _pictures(values: Values, name: str) -> ImageArray:
    """RGB, (T, height, width, 3), of one JPEG or PNG for each step."""
    if not isinstance(values, tuple) or not values:
        raise ImportDataError(f"{name}: expected an encoded picture a step, got {len(values)} numbers")
    try:
        decoded = [images.to_rgb(images.decode(data), order="rgb") for data in values]
    except InvalidInputError as error:
        raise ImportDataError(f"{name}: {error}") from error
    sizes = {picture.shape for picture in decoded}
    if len(sizes) != 1:
        raise ImportDataError(f"{name}: expected pictures of one size, got {sorted(sizes)}")
    return np.stack(decoded)


def _texts(values: Values) -> list[str]:
    if not isinstance(values, tuple):
        raise ImportDataError(f"instruction: expected texts, got {len(values)} numbers")
    return [value.decode("utf-8", errors="replace") for value in values]
