"""Pictures and prompts become exactly the tensors that the reference describes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from magma_ros import prompts
from magma_ros.errors import CheckpointError, InvalidInputError
from magma_ros.json_files import read_object
from magma_ros.model.config import ImageConfig, MagmaConfig
from magma_ros.model.processing import MagmaProcessor, choose_grid, image_to_crops
from magma_ros.types import ModelInput
from tests.model.random_checkpoints import random_model, write_random_checkpoint

PROMPT = prompts.robot_action_prompt("put carrot on plate", use_image_start_end=True)

GRID_TABLE = [
    (224, 224, 1, 1, 272),
    (256, 256, 1, 1, 272),
    (320, 240, 1, 1, 272),
    (512, 512, 1, 1, 272),
    (513, 512, 1, 2, 528),
    (640, 480, 1, 2, 528),
    (640, 512, 1, 2, 528),
    (1024, 512, 1, 2, 528),
    (480, 640, 2, 1, 544),
    (1536, 512, 1, 3, 784),
    (800, 600, 2, 2, 1056),
    (1024, 1024, 2, 2, 1056),
    (1024, 768, 2, 2, 1056),
    (1280, 720, 2, 2, 1056),
    (1366, 768, 2, 2, 1056),
    (1920, 1080, 2, 2, 1056),
    (1080, 1920, 2, 2, 1056),
    (1080, 2400, 3, 1, 816),
    (2048, 512, 1, 4, 1040),
    (3000, 500, 1, 4, 1040),
    (500, 3000, 4, 1, 1088),
]


@pytest.fixture(scope="module")
def processor(tmp_path_factory: pytest.TempPathFactory) -> MagmaProcessor:
    """The processor of a random nano checkpoint: crops of 64 px, two features along a side."""
    return random_model(tmp_path_factory.mktemp("nano")).processor


@pytest.mark.parametrize(("width", "height", "rows", "columns", "tokens"), GRID_TABLE)
def test_grid_and_token_count_follow_the_table(width: int, height: int, rows: int, columns: int, tokens: int) -> None:
    """Every picture size of the reference's table gets its grid and its number of tokens (512-px crops, stride 32)."""
    assert (rows, columns) == choose_grid(width, height, num_crops=4, base_img_size=512)
    assert tokens == 16 * rows * (16 * columns + 1)


def test_pixels_are_normalised_then_stretched_then_cut_row_major() -> None:
    """Crops equal a bilinear stretch of the normalised picture, computed here pixel by pixel, cut row by row."""
    config = ImageConfig(base_img_size=8, num_crops=4, image_mean=(0.5, 0.4, 0.3), image_std=(0.2, 0.3, 0.4))
    image = np.random.default_rng(0).integers(0, 256, (13, 16, 3), dtype=np.uint8)
    crops, grid = image_to_crops(image, config)
    assert (2, 2) == grid
    normalised = (image / 255.0 - np.array(config.image_mean)) / np.array(config.image_std)
    for crop, (top, left) in zip(crops, [(0, 0), (0, 8), (8, 0), (8, 8)], strict=True):
        expected = np.array([[_bilinear(normalised, top + y, left + x, 16) for x in range(8)] for y in range(8)])
        np.testing.assert_allclose(crop.permute(1, 2, 0).numpy(), expected, atol=2e-5)


@settings(max_examples=40, deadline=None)
@given(height=st.integers(1, 90), width=st.integers(1, 90), seed=st.integers(0, 99))
def test_the_stretch_is_upstreams(height: int, width: int, seed: int) -> None:
    """For any size of picture the crops, put together again, are torch's bilinear stretch of the normalised picture."""
    config = ImageConfig(base_img_size=16, num_crops=4, image_mean=(0.48, 0.46, 0.41), image_std=(0.27, 0.26, 0.28))
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    crops, (rows, columns) = image_to_crops(image, config)
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255.0
    mean, std = (torch.tensor(values)[:, None, None] for values in (config.image_mean, config.image_std))
    size = (16 * rows, 16 * columns)
    expected = torch.nn.functional.interpolate((pixels - mean) / std, size=size, mode="bilinear", align_corners=False)[
        0
    ]
    whole = crops.reshape(rows, columns, 3, 16, 16).permute(2, 0, 3, 1, 4).reshape(3, *size)
    torch.testing.assert_close(whole, expected, atol=2e-5, rtol=0)


def _bilinear(image: np.ndarray, y: int, x: int, size: int) -> np.ndarray:
    """The half-pixel-centred bilinear sample of `image` at output pixel (y, x) of a size by size stretch."""
    height, width = image.shape[:2]
    at_y = np.clip((y + 0.5) * height / size - 0.5, 0, None)
    at_x = np.clip((x + 0.5) * width / size - 0.5, 0, None)
    y0, x0 = int(at_y), int(at_x)
    y1, x1 = min(y0 + 1, height - 1), min(x0 + 1, width - 1)
    dy, dx = at_y - y0, at_x - x0
    top = (1 - dx) * image[y0, x0] + dx * image[y0, x1]
    bottom = (1 - dx) * image[y1, x0] + dx * image[y1, x1]
    return (1 - dy) * top + dy * bottom


def test_prompt_begins_with_two_begin_tokens_and_ends_in_the_assistant_header(processor: MagmaProcessor) -> None:
    """The text's own begin token and the tokenizer's make two, as in every upstream script."""
    ids = processor.token_ids(PROMPT, [(1, 1)])
    name = processor.tokenizer.id_to_token
    assert ["<|begin_of_text|>", "<|begin_of_text|>", "<|start_header_id|>"] == [name(i) for i in ids[:3]]
    assert "assistant<|end_header_id|>\n\n" == processor.tokenizer.decode(ids, skip_special_tokens=False)[-28:]


def test_each_placeholder_becomes_the_tokens_of_its_picture(processor: MagmaProcessor) -> None:
    """Two pictures of different grids are written out to their own lengths, between their start and end tokens."""
    prompt = prompts.robot_action_prompt("move", use_image_start_end=True, num_images=2)
    ids = processor.token_ids(prompt, [(1, 1), (1, 2)])
    image = processor.tokenizer.token_to_id("<image>")
    start, end = (processor.tokenizer.token_to_id(text) for text in ("<image_start>", "<image_end>"))
    runs = [(b - a - 1) for a, b in zip(_where(ids, start), _where(ids, end), strict=True)]
    assert [2 * (2 + 1), 2 * (4 + 1)] == runs
    assert sum(runs) == ids.count(image)


def _where(ids: list[int], token: int) -> list[int]:
    return [index for index, value in enumerate(ids) if value == token]


def test_shorter_rows_are_padded_on_the_left(processor: MagmaProcessor) -> None:
    """A batch of two prompts ends in the same column; padding is masked and does not count as a position."""
    image = np.zeros((64, 64, 3), np.uint8)
    other = prompts.robot_action_prompt("stack the green block on the yellow block", use_image_start_end=True)
    batch = processor([ModelInput((image,), PROMPT), ModelInput((image,), other)])
    alone = processor([ModelInput((image,), PROMPT)])
    num_padding = int((batch.attention_mask[0] == 0).sum())
    assert num_padding > 0
    assert torch.equal(alone.ids[0], batch.ids[0, num_padding:])
    assert torch.equal(alone.position_ids()[0], batch.position_ids()[0, num_padding:])


def test_answers_are_written_behind_their_prompts(processor: MagmaProcessor) -> None:
    """Rows are padded prompt and answer; with answers of one length each stands behind its prompt."""
    image = np.zeros((64, 64, 3), np.uint8)
    other = prompts.robot_action_prompt("stack the green block on the yellow block", use_image_start_end=True)
    inputs = [ModelInput((image,), PROMPT), ModelInput((image,), other)]
    even = processor(inputs, answers=[[4, 5], [6, 7]])
    asked = processor(inputs)
    assert torch.equal(torch.cat([asked.ids, torch.tensor([[4, 5], [6, 7]])], dim=1), even.ids)
    written = torch.ones(2, 2, dtype=asked.attention_mask.dtype)
    assert torch.equal(torch.cat([asked.attention_mask, written], dim=1), even.attention_mask)
    assert torch.equal(asked.pixels, even.pixels)
    uneven = processor(inputs, answers=[[4] * 90, []])
    for row, answer in enumerate(([4] * 90, [])):
        alone = processor(inputs[row : row + 1]).ids[0].tolist()
        assert [*alone, *answer] == uneven.ids[row][uneven.attention_mask[row].bool()].tolist()


def test_a_prompt_without_a_place_for_its_picture_is_refused(processor: MagmaProcessor) -> None:
    """One picture and no placeholder, or the reverse, is an error that counts both."""
    image = np.zeros((64, 64, 3), np.uint8)
    with pytest.raises(InvalidInputError, match="0 image placeholders for 1 pictures"):
        processor([ModelInput((image,), "no place")])
    with pytest.raises(InvalidInputError, match="1 image placeholders for 0 pictures"):
        processor([ModelInput((), PROMPT)])
    with pytest.raises(InvalidInputError, match="at least one"):
        processor([])


@settings(max_examples=50, deadline=None)
@given(text=st.text(max_size=60))
def test_no_text_becomes_an_action_token(processor: MagmaProcessor, text: str) -> None:
    """Whatever a person writes, the tokenizer of magma-tiny never yields one of the 256 action ids."""
    base = processor.tokenizer.get_vocab_size(with_added_tokens=False)
    ids = processor.tokenizer.encode(text).ids
    assert not any(base - 256 <= token < base for token in ids)


def test_a_damaged_tokenizer_is_refused(tmp_path: Path) -> None:
    """A file that is no tokenizer is a checkpoint error that names it."""
    write_random_checkpoint(tmp_path)
    (tmp_path / "tokenizer.json").write_text('{"model": 3}')
    config = MagmaConfig.from_dict(read_object(tmp_path / "config.json"))
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: expected a tokenizer"):
        MagmaProcessor.load(tmp_path, config)


def test_a_tokenizer_of_another_size_is_refused(tmp_path: Path) -> None:
    """The base vocabulary decides the action ids, so a tokenizer that does not fit config.json is an error."""
    write_random_checkpoint(tmp_path)
    raw = read_object(tmp_path / "config.json") | {"tokenizer_vocab_size": 999}
    with pytest.raises(CheckpointError, match="999 base tokens"):
        MagmaProcessor.load(tmp_path, MagmaConfig.from_dict(raw))
