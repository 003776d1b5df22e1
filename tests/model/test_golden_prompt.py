"""Prompts become the token ids that the release sees, by the real Llama-3 vocabulary."""

from __future__ import annotations

import json

import numpy as np
import pytest

from magma_ros import prompts
from magma_ros.model.config import ImageConfig, MagmaConfig
from magma_ros.model.processing import MagmaProcessor
from magma_ros.model.tiny import IMAGE_MEAN, IMAGE_STD
from magma_ros.types import ModelInput
from tests.model import llama3
from tests.model.released_config import CONFIG

# fmt: off
COKE_CAN_IDS = [
    128000, 128000, 128006, 9125, 128007, 271, 2675, 527, 8479, 430, 649, 1518, 11, 3137, 323, 1180, 13, 128009,
    128006, 882, 128007, 271, 128259, 128257, 128260, 198, 3923, 1957, 1288, 279, 12585, 1935, 311, 3820, 84423, 649,
    30, 128009, 128006, 78191, 128007, 271,
]
# fmt: on
"""A user's dump of the release's input ids for "pick coke can" (reference, section 2.2)."""


@pytest.fixture(scope="module")
def processor() -> MagmaProcessor:
    """The release's processor: its tokenizer, its configuration, crops of 512 px."""
    images = ImageConfig(512, 4, IMAGE_MEAN, IMAGE_STD)
    return MagmaProcessor(llama3.tokenizer(), images, MagmaConfig.from_dict(json.loads(json.dumps(CONFIG))))


def test_the_golden_prompt_has_the_golden_ids(processor: MagmaProcessor) -> None:
    """System text, two begin tokens, image tokens, question and assistant header are the release's, id by id."""
    prompt = prompts.robot_action_prompt("pick coke can", use_image_start_end=True)
    ids = processor.token_ids(prompt, [(1, 1)])
    at = COKE_CAN_IDS.index(128257)
    assert COKE_CAN_IDS[:at] + [128257] * 272 + COKE_CAN_IDS[at + 1 :] == ids


@pytest.mark.parametrize(("width", "height", "tokens"), [(256, 256, 272), (640, 480, 528), (480, 640, 544)])
def test_a_picture_takes_the_tokens_of_the_table(
    processor: MagmaProcessor, width: int, height: int, tokens: int
) -> None:
    """The placeholder of a real picture grows to the number of tokens in the reference's table."""
    prompt = prompts.robot_action_prompt("pick coke can", use_image_start_end=True)
    batch = processor([ModelInput((np.zeros((height, width, 3), np.uint8),), prompt)])
    assert tokens == int((batch.ids == 128257).sum())
    assert (len(COKE_CAN_IDS) - 1 + tokens,) == tuple(batch.ids[0].shape)
    assert tuple(COKE_CAN_IDS[: COKE_CAN_IDS.index(128257)]) == batch.head


def test_action_ids_are_ordinary_rare_entries(processor: MagmaProcessor) -> None:
    """The last 256 of the 128000 base entries stand for bins; none of them is an added token."""
    assert 128000 == processor.tokenizer.get_vocab_size(with_added_tokens=False)
    assert ["<|begin_of_text|>", "<pad>", "<image>"] == [
        processor.tokenizer.id_to_token(i) for i in (128000, 128256, 128257)
    ]
    assert all(processor.tokenizer.decode([i]) for i in (127744, 127999))


def test_question_about_a_picture_is_the_release_s_prompt() -> None:
    """A spoken question has the system text, the wrapped picture and the question; without a picture only the text."""
    expected = (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nYou are agent that can see, talk and act."
        "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n<image_start><image><image_end>\n"
        "What is the letter on the robot?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
    )
    assert expected == prompts.question_prompt("What is the letter on the robot?", use_image_start_end=True)
    text_only = prompts.question_prompt("What is 1+1?", use_image_start_end=True, num_images=0)
    assert "<|end_header_id|>\n\nWhat is 1+1?<|eot_id|>" in text_only
    assert "image" not in text_only
