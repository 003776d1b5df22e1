"""Tensors in: the crop grid, normalisation, tokenising, and one batch of both.

Facts from microsoft/Magma (`image_processing_magma.py`, `processing_magma.py`): pixels are normalised first and then
stretched bilinearly, without antialiasing, to the grid that wastes least; a text is tokenised with special tokens on,
although it starts with one, so every prompt begins with two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor

from magma_ros.errors import CheckpointError, InvalidInputError
from magma_ros.json_files import read_object
from magma_ros.model.config import ImageConfig, MagmaConfig
from magma_ros.types import ImageArray, ModelInput

END_OF_TURN = "<|eot_id|>"
"""Ends the assistant's turn, after the seven action ids."""


Grids = tuple[tuple[int, int], ...]
"""(rows, columns) in crops of each picture."""


@dataclass(frozen=True, slots=True)
class ModelBatch:
    """What the network takes; batches of the same texts share their tensors, which nobody changes.

    Attributes:
        ids: Token ids with every picture written out in full, shape (B, L) int64; padded on the left.
        attention_mask: 1 where `ids` is not padding, shape (B, L) int64.
        pixels: Crops of all pictures of the batch, shape (K, 3, side, side) float32.
        image_sizes: (rows, columns) in crops of each picture, shape (pictures, 2) int64.
        head: Ids in front of the first picture when all rows begin with the same ones; they can be computed once.
    """

    ids: Tensor
    attention_mask: Tensor
    pixels: Tensor
    image_sizes: Tensor
    head: tuple[int, ...] = ()

    def position_ids(self) -> Tensor:
        """Place of each token in its row, padding not counted, shape (B, L) int64."""
        return (self.attention_mask.cumsum(dim=1) - 1).clamp(min=0)

    def to(self, device: torch.device, dtype: torch.dtype) -> ModelBatch:
        """The same batch on `device`, its pixels in `dtype`."""
        pixels, ids, mask = self.pixels.to(device, dtype), self.ids.to(device), self.attention_mask.to(device)
        return replace(self, ids=ids, attention_mask=mask, pixels=pixels)


@lru_cache(maxsize=64)
def choose_grid(width_px: int, height_px: int, *, num_crops: int, base_img_size: int) -> tuple[int, int]:
    """(rows, columns) of crops for a picture: most effective pixels, then least waste, then the first candidate."""
    best, best_score = (1, 1), (-1, 0)
    for columns in range(1, num_crops + 1):
        for rows in range(1, num_crops // columns + 1):
            width, height = columns * base_img_size, rows * base_img_size
            scale = min(width / width_px, height / height_px)
            effective = min(int(width_px * scale) * int(height_px * scale), width_px * height_px)
            score = (effective, effective - width * height)
            if score > best_score:
                best, best_score = (rows, columns), score
    return best


def image_to_crops(image: ImageArray, config: ImageConfig) -> tuple[Tensor, tuple[int, int]]:
    """Normalised crops (rows·columns, 3, side, side) float32 in row-major order, and (rows, columns).

    OpenCV's linear interpolation of floats is upstream's, `torch.nn.functional.interpolate` without `align_corners` or
    antialiasing, to rounding and twenty times faster on a CPU; the crops lie in memory as the tower wants them.
    """
    side = config.base_img_size
    rows, columns = choose_grid(image.shape[1], image.shape[0], num_crops=config.num_crops, base_img_size=side)
    normalized = cv2.LUT(np.ascontiguousarray(image), _levels(config.image_mean, config.image_std))
    stretched = cv2.resize(normalized, (columns * side, rows * side), interpolation=cv2.INTER_LINEAR)
    crops = stretched.reshape(rows, side, columns, side, 3).swapaxes(1, 2).reshape(-1, side, side, 3)
    return torch.from_numpy(crops).permute(0, 3, 1, 2), (rows, columns)


@lru_cache
def _levels(mean: tuple[float, ...], std: tuple[float, ...]) -> NDArray[np.float32]:
    """What each of the 256 levels of a channel is after normalisation, (1, 256, 3)."""
    levels = np.arange(256, dtype=np.float32)[:, None] / np.float32(255.0)
    return np.asarray((levels - np.array(mean, np.float32)) / np.array(std, np.float32), dtype=np.float32)[None]


class MagmaProcessor:
    """Model inputs to tensors, by the tokenizer and image configuration of one checkpoint folder."""

    def __init__(self, tokenizer: Tokenizer, image_config: ImageConfig, config: MagmaConfig) -> None:
        self.tokenizer = tokenizer
        self.image_config = image_config
        self._config = config
        self._laid_out = lru_cache(maxsize=64)(self._lay_out)  # an instruction is asked about many pictures
        self._tokenized = lru_cache(maxsize=1024)(self._tokenize)
        end_of_turn = tokenizer.token_to_id(END_OF_TURN)
        if end_of_turn is None:
            raise CheckpointError(f"tokenizer: expected the special token {END_OF_TURN}, found none")
        self.end_of_turn_id: int = end_of_turn
        got = tokenizer.get_vocab_size(with_added_tokens=False)
        if got != config.base_vocab_size:
            raise CheckpointError(f"tokenizer: config.json says {config.base_vocab_size} base tokens, got {got}")

    @classmethod
    def load(cls, folder: Path, config: MagmaConfig) -> MagmaProcessor:
        """The processor of a checkpoint folder.

        Raises:
            CheckpointError: a file is missing, unreadable or does not agree with `config`.
        """
        path = folder / "tokenizer.json"
        if not path.is_file():
            raise CheckpointError(f"{path}: expected the tokenizer of the checkpoint, found no file")
        image_config = ImageConfig.from_dict(read_object(folder / "preprocessor_config.json"))
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises nothing narrower
            raise CheckpointError(f"{path}: expected a tokenizer: {error}") from error
        return cls(tokenizer, image_config, config)

    def num_image_tokens(self, rows: int, columns: int) -> int:
        """Tokens of a picture of rows by columns crops: its features and a separator after each feature row."""
        features = self.image_config.base_img_size // self._config.tower.stride
        return features * rows * (features * columns + 1)

    def __call__(self, inputs: Sequence[ModelInput], *, answers: Sequence[Sequence[int]] | None = None) -> ModelBatch:
        """One batch, shorter rows padded on the left.

        Args:
            inputs: Pictures and prompts.
            answers: Token ids that are written behind each prompt, for training; None writes none.

        Raises:
            InvalidInputError: no inputs, or a prompt whose placeholders do not match its pictures.
        """
        if not inputs:
            raise InvalidInputError("expected at least one model input, got none")
        crops: list[Tensor] = []
        texts: list[tuple[str, Grids]] = []
        for item in inputs:
            new = [image_to_crops(image, self.image_config) for image in item.images]
            crops += [crop for crop, _ in new]
            texts.append((item.prompt, tuple(grid for _, grid in new)))
        laid_out = self._laid_out(tuple(texts)) if answers is None else self._answered(texts, answers)
        return replace(laid_out, pixels=self._joined(crops))

    def _lay_out(self, texts: tuple[tuple[str, Grids], ...]) -> ModelBatch:
        return self._answered(texts, [()] * len(texts))

    def _answered(self, texts: Sequence[tuple[str, Grids]], answers: Sequence[Sequence[int]]) -> ModelBatch:
        rows = [[*self._tokenized(*text), *answer] for text, answer in zip(texts, answers, strict=True)]
        return self._without_pixels(rows, [grid for _, grids in texts for grid in grids])

    def _tokenize(self, prompt: str, grids: Grids) -> tuple[int, ...]:
        return tuple(self.token_ids(prompt, grids))

    def _without_pixels(self, rows: Sequence[Sequence[int]], grids: Sequence[tuple[int, int]]) -> ModelBatch:
        longest, pad = max(len(row) for row in rows), self._config.pad_token_id
        ids = np.full((len(rows), longest), pad, np.int64)
        mask = np.zeros_like(ids)
        for index, row in enumerate(rows):
            ids[index, longest - len(row) :] = row
            mask[index, longest - len(row) :] = 1
        heads = {_head(row, self._config.image_token_id) for row in rows}
        sizes = torch.tensor(grids, dtype=torch.int64).reshape(-1, 2)
        return ModelBatch(
            torch.from_numpy(ids),
            torch.from_numpy(mask),
            self._joined([]),
            sizes,
            head=heads.pop() if len(heads) == 1 else (),
        )

    def _joined(self, crops: Sequence[Tensor]) -> Tensor:
        side = self.image_config.base_img_size
        if not crops:
            return torch.zeros(0, 3, side, side)
        return crops[0] if len(crops) == 1 else torch.cat(list(crops))

    def token_ids(self, prompt: str, grids: Sequence[tuple[int, int]]) -> list[int]:
        """The ids of `prompt`, each image placeholder repeated once per token of its picture.

        Raises:
            InvalidInputError: another number of placeholders than of pictures.
        """
        image, tokens = self._config.image_token_id, self.tokenizer.encode(prompt, add_special_tokens=True).ids
        placeholders = tokens.count(image)
        if placeholders != len(grids):
            raise InvalidInputError(f"prompt: {placeholders} image placeholders for {len(grids)} pictures")
        remaining = iter([self.num_image_tokens(*grid) for grid in grids])
        return [t for token in tokens for t in ([image] * next(remaining) if token == image else [token])]


def _head(row: Sequence[int], image_token_id: int) -> tuple[int, ...]:
    return tuple(row[: row.index(image_token_id)]) if image_token_id in row else ()
