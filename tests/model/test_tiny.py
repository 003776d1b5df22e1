"""magma-tiny's folder is laid out like the release and follows the same rules."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from magma_ros import prompts
from magma_ros.json_files import read_object
from magma_ros.model.config import MagmaConfig
from magma_ros.model.processing import image_to_crops
from magma_ros.model.tiny import SPECIAL_TOKENS
from tests.model.random_checkpoints import NANO, random_model


def test_transformers_reads_the_tokenizer_and_renders_our_prompt(tmp_path: Path) -> None:
    """The chat template in the folder and `prompts.render_chat` write the same text and get the same ids."""
    model = random_model(tmp_path)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    text = prompts.robot_action_user_text("put carrot on plate", use_image_start_end=True)
    messages = [{"role": "system", "content": prompts.SYSTEM_TEXT}, {"role": "user", "content": text}]
    rendered = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    ours = prompts.robot_action_prompt("put carrot on plate", use_image_start_end=True)
    assert ours == rendered
    assert model.processor.tokenizer.encode(ours).ids == tokenizer(rendered)["input_ids"]
    assert isinstance(AutoTokenizer.from_pretrained(tmp_path, trust_remote_code=False), PreTrainedTokenizerFast)


def test_action_ids_are_the_last_256_of_the_base_vocabulary(tmp_path: Path) -> None:
    """Special tokens follow the base vocabulary, as in Llama 3, and config.json names the same numbers."""
    tokenizer = random_model(tmp_path).processor.tokenizer
    config = MagmaConfig.from_dict(read_object(tmp_path / "config.json"))
    assert tokenizer.get_vocab_size(with_added_tokens=False) == config.base_vocab_size == 320 + 256
    assert list(range(576, 576 + len(SPECIAL_TOKENS))) == [tokenizer.token_to_id(text) for text in SPECIAL_TOKENS]
    assert tokenizer.id_to_token(320) == "⟨bin 0⟩"
    assert config.image_token_id == tokenizer.token_to_id("<image>")


def test_text_survives_the_tokenizer(tmp_path: Path) -> None:
    """Any bytes round-trip, so that instructions in every language reach the model."""
    tokenizer = random_model(tmp_path).processor.tokenizer
    for text in ("put carrot on plate", "Stelle die Möhre auf den Teller!", "胡萝卜 🥕"):
        assert text == tokenizer.decode(tokenizer.encode(text).ids)


def test_a_large_picture_is_cut_into_as_many_crops_as_were_asked_for(tmp_path: Path) -> None:
    """Twice the side of a crop is four crops, or one that shows all of it at half the size."""
    picture = np.zeros((128, 128, 3), np.uint8)
    for num_crops, grid in ((4, (2, 2)), (1, (1, 1))):
        model = random_model(tmp_path / str(num_crops), size=dataclasses.replace(NANO, num_crops=num_crops))
        crops, found = image_to_crops(picture, model.processor.image_config)
        assert (grid, (num_crops, 3, 64, 64)) == (found, tuple(crops.shape))
