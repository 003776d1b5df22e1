"""Conversation files become samples that train answers alone; a record that cannot be used is named by its line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from magma_ros import prompts
from magma_ros.errors import ConversationError
from magma_ros.finetune.batches import collate
from magma_ros.finetune.conversations import ConversationSource
from magma_ros.finetune.mixture import Sample
from magma_ros.mark_text import MarkText, parse_som, som_answer
from magma_ros.model.processing import MagmaProcessor
from magma_ros.prompts import Message
from tests.finetune.networks import magma_8b_processor, magma_tiny
from tests.finetune.small_steps import batch_loss
from tests.model.random_checkpoints import random_model

ONE_PICTURE = {
    "id": "7",
    "image": "carrot.png",
    "conversations": [
        {"from": "human", "value": "What is this?\n<image>"},
        {"from": "gpt", "value": " A carrot.\n"},
        {"from": "human", "value": "Which colour?"},
        {"from": "gpt", "value": "Orange."},
    ],
}
ONLY_WORDS = {"conversations": [{"from": "user", "value": "Say hi."}, {"from": "assistant", "value": "Hi."}]}
LATER_PICTURE = {
    "image": ["carrot.png", "sub/plate.jpg"],
    "conversations": [
        {"from": "human", "value": "<image>\nWhat?"},
        {"from": "gpt", "value": "A carrot."},
        {"from": "human", "value": "And here? <image>"},
        {"from": "gpt", "value": "A plate."},
    ],
}


@pytest.fixture(scope="module")
def processor() -> MagmaProcessor:
    return magma_tiny().processor


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two pictures."""
    (tmp_path / "sub").mkdir()
    for name, level, width in (("carrot.png", 90, 64), ("sub/plate.jpg", 200, 300)):
        assert cv2.imwrite(str(tmp_path / name), np.full((64, width, 3), level, np.uint8))
    return tmp_path


def written(folder: Path, *records: object) -> Path:
    path = folder / "talk.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def opened(path: Path, processor: MagmaProcessor, **options: Any) -> ConversationSource:
    return ConversationSource(path, processor=processor, use_image_start_end=True, **options)


def sample(source: ConversationSource, index: int = 0) -> Sample:
    return source.sample(index, np.random.default_rng(0))


def words(processor: MagmaProcessor, ids: np.ndarray) -> str:
    return processor.tokenizer.decode(ids.tolist(), skip_special_tokens=False)


def test_every_answer_of_a_record_is_trained_and_nothing_else(folder: Path, processor: MagmaProcessor) -> None:
    """One sample: the picture moved to the front of its turn, then answer, question, answer; the question is masked."""
    one = sample(opened(written(folder, ONE_PICTURE), processor))
    opening = [Message("system", prompts.SYSTEM_TEXT)]
    opening += [Message("user", "<image_start><image><image_end>\nWhat is this?")]
    assert prompts.render_chat(opening, add_generation_prompt=True) == one.model_input.prompt
    assert (64, 64, 3) == one.model_input.images[0].shape
    assert not one.is_action
    question = "<|start_header_id|>user<|end_header_id|>\n\nWhich colour?<|eot_id|>"
    question += "<|start_header_id|>assistant<|end_header_id|>\n\n"
    assert f"A carrot.<|eot_id|>{question}Orange.<|eot_id|>" == words(processor, one.answer)
    assert "A carrot.<|eot_id|>Orange.<|eot_id|>" == words(processor, one.answer[one.trained])
    assert question == words(processor, one.answer[~one.trained])


def test_llama_3_cuts_the_whole_as_its_parts(folder: Path) -> None:
    """With the release's vocabulary prompt and answer together have the ids of the conversation tokenised at once."""
    processor = magma_8b_processor()
    turns = ["Say “hi”.", "'Hi' — 12345!", "Again, twice", "[hi, hi]"]
    talk = [{"from": ("human", "gpt")[index % 2], "value": text} for index, text in enumerate(turns)]
    one = sample(opened(written(folder, {"conversations": talk}), processor))
    messages = [Message(("user", "assistant")[index % 2], text) for index, text in enumerate(turns)]
    whole = prompts.render_chat([Message("system", prompts.SYSTEM_TEXT), *messages], add_generation_prompt=False)
    prompt = processor.tokenizer.encode(one.model_input.prompt).ids
    assert processor.tokenizer.encode(whole).ids == [*prompt, *one.answer.tolist()]


def test_a_turn_with_a_later_picture_begins_a_sample(folder: Path, processor: MagmaProcessor) -> None:
    """Two samples; the second one's prompt holds the first question and answer, and both pictures."""
    source = opened(written(folder, LATER_PICTURE), processor)
    assert 2 == len(source)
    first, second = sample(source, 0), sample(source, 1)
    assert "A carrot.<|eot_id|>" == words(processor, first.answer)
    assert "A plate.<|eot_id|>" == words(processor, second.answer)
    assert second.model_input.prompt.startswith(first.model_input.prompt + "A carrot.<|eot_id|>")
    assert [(64, 64, 3), (64, 300, 3)] == [image.shape for image in second.model_input.images]
    assert len(collate(processor, [first, second]).inputs.pixels) >= 3


def test_a_question_about_marks_is_trained_as_it_is_asked(folder: Path, processor: MagmaProcessor) -> None:
    """The blank line between picture and words is kept: the prompt is to the character that of serving."""
    marks = (MarkText(1, (20, 30)), MarkText(2, (40, 250)))
    talk = [("human", prompts.som_user_text(use_image_start_end=False)), ("gpt", som_answer(marks))]
    turns = [{"from": side, "value": text} for side, text in talk]
    one = sample(opened(written(folder, {"image": "carrot.png", "conversations": turns}), processor))
    assert prompts.spoken_prompt(prompts.som_user_text(use_image_start_end=True)) == one.model_input.prompt
    assert marks == parse_som(words(processor, one.answer).removesuffix("<|eot_id|>"))


def test_words_alone_need_no_picture(folder: Path, processor: MagmaProcessor) -> None:
    """`user` and `assistant` name the sides as well; no black picture is invented."""
    one = sample(opened(written(folder, ONLY_WORDS), processor))
    assert () == one.model_input.images
    assert "<image" not in one.model_input.prompt
    assert "Hi.<|eot_id|>" == words(processor, one.answer)
    assert 0 == len(collate(processor, [one]).inputs.pixels)


def test_a_list_and_lines_are_the_same(folder: Path, processor: MagmaProcessor) -> None:
    """The same records as `.json` list, however it is laid out, and as `.jsonl` with an empty line."""
    lines = written(folder, ONE_PICTURE, ONLY_WORDS)
    lines.write_text(lines.read_text().replace("\n", "\n\n"))
    listed = folder / "talk.json"
    listed.write_text(json.dumps([ONE_PICTURE, ONLY_WORDS], indent=2))
    one, other = opened(lines, processor), opened(listed, processor)
    assert 2 == len(one) == len(other) == one.num_records
    for index in range(2):
        np.testing.assert_array_equal(sample(one, index).answer, sample(other, index).answer)
        assert sample(one, index).model_input.prompt == sample(other, index).model_input.prompt


def test_limit_folder_and_weight(folder: Path, processor: MagmaProcessor) -> None:
    """A limit leaves later records unread, pictures may lie elsewhere, and the weight is the number of samples."""
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    path = written(elsewhere, LATER_PICTURE, {"broken": True})
    source = opened(path, processor, limit=1, image_folder=folder)
    assert (1, 2, 2.0) == (source.num_records, len(source), source.weight)
    assert 0.1 == opened(path, processor, limit=1, image_folder=folder, weight=0.1).weight
    assert [0, 1] == sorted(source.order(np.random.default_rng(0)).tolist())


def said(question: str, answer: str, **others: object) -> dict[str, object]:
    return {"conversations": [{"from": "human", "value": question}, {"from": "gpt", "value": answer}], **others}


@pytest.mark.parametrize(
    ("record", "complaint"),
    [
        ([], "expected a JSON object, got list"),
        ({"id": 3}, r"conversations: expected a list, available keys \['id'\]"),
        ({"conversations": []}, "expected turns of human and gpt in alternation"),
        ({"conversations": ONLY_WORDS["conversations"][:1]}, "in alternation"),
        ({"conversations": [{"from": ["human"], "value": "x"}]}, "turn 0: expected 'from' of"),
        ({"conversations": [{"from": "human", "value": 3}]}, "turn 0: expected 'from' of .* and a text 'value'"),
        (said("Say hi.", " \n"), "turn 1: expected words, got none"),
        (said("What?", "<image>"), "turn 1: expected words"),
        (said("What?", "This <image>"), "turn 1: an answer holds <image>"),
        (said("What?", "That.", image="carrot.png"), "0 <image> for 1 images"),
        (said("<image> What?", "That."), "1 <image> for 0 images"),
        (said("<image> What?", "That.", image="../carrot.png"), "image: expected file names inside the folder"),
        (said("<image> What?", "That.", image="/carrot.png"), "image: expected file names inside the folder"),
        (said("<image> What?", "That.", image="beet.png"), "picture 'beet.png' is not in"),
        (said("What?", "It ends <|eot_id|> here"), r"the texts \['<\|eot_id\|>'\] are reserved"),
        (said("What action should the robot take to stack?", "None."), "asks for a robot action"),
        (said("What?", "no " * 5000), "expected at most 4096 tokens, got 1[0-9]{4}"),
    ],
)
def test_a_record_that_cannot_be_used_is_named_by_its_line(
    folder: Path, processor: MagmaProcessor, record: object, complaint: str
) -> None:
    """Line 2 of three, with what is wrong; the good ones around it are not taken in silence."""
    with pytest.raises(
        ConversationError, match=rf"talk.jsonl: 1 of 3 records cannot be used:\n  line 2: .*{complaint}"
    ):
        opened(written(folder, ONLY_WORDS, record, ONE_PICTURE), processor)


def test_all_faults_come_at_once(folder: Path, processor: MagmaProcessor) -> None:
    """Thirty bad records: their number, and the first twenty by line."""
    with pytest.raises(ConversationError) as caught:
        opened(written(folder, *[{"id": index} for index in range(30)]), processor)
    assert "30 of 30 records" in str(caught.value)
    assert [f"line {line}" for line in range(1, 21)] == [
        row.split(":")[0].strip() for row in str(caught.value).splitlines()[1:]
    ]


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("talk.jsonl", '{"a": 1}\n{"b": \n', "line 2: expected JSON"),
        ("talk.json", '[\n{"a": 1},\n\n{"b": \n]', "line 4: expected JSON"),
        ("talk.json", '[{"a": 1}', "line 1: expected ',' or ']'"),
        ("talk.json", "[{}] more", "nothing behind the list"),
        ("talk.json", '{"a": 1}', "expected a JSON list"),
        ("talk.jsonl", "", "expected at least one record"),
        ("talk.txt", "[]", r"expected a \.json or \.jsonl file"),
    ],
)
def test_a_damaged_file_is_named_with_its_line(
    folder: Path, processor: MagmaProcessor, name: str, content: str, complaint: str
) -> None:
    """Cut off, something else, or empty; a file that is not there too."""
    (folder / name).write_text(content)
    with pytest.raises(ConversationError, match=complaint):
        opened(folder / name, processor)
    with pytest.raises(ConversationError, match="expected a readable UTF-8 file"):
        opened(folder / "none.jsonl", processor)


def test_an_answer_in_action_ids_is_refused(folder: Path) -> None:
    """The release writes some rare words in its action bins, which the model must not learn to say."""
    processor = magma_8b_processor()
    rare = [processor.tokenizer.decode([token]) for token in range(128000 - 256, 128000)]
    word = next(word for word in rare if word == word.strip() and "\ufffd" not in word)
    with pytest.raises(ConversationError, match=r"line 1: the answer .* ids that stand for actions"):
        opened(written(folder, said("What?", word)), processor)


def test_pictures_count_with_their_real_size(folder: Path, processor: MagmaProcessor) -> None:
    """A record of just so many tokens is taken, though it would be too long with a larger picture; one more is not."""
    path = written(folder, said("<image>What?", "That.", image="carrot.png"))
    one = sample(opened(path, processor))
    inputs = processor([one.model_input])
    length = inputs.ids.shape[1] + len(one.answer)
    assert 1 == len(opened(path, processor, max_tokens=length))
    with pytest.raises(ConversationError, match=f"at most {length - 1} tokens, got {length}"):
        opened(path, processor, max_tokens=length - 1)


def test_a_picture_that_became_unreadable_is_named(folder: Path, processor: MagmaProcessor) -> None:
    """Cut off after the file was opened: the error names file, line and picture."""
    source = opened(written(folder, ONLY_WORDS, ONE_PICTURE), processor)
    (folder / "carrot.png").write_bytes((folder / "carrot.png").read_bytes()[:-20])
    with pytest.raises(ConversationError, match=r"talk.jsonl, line 2: \('carrot.png',\): "):
        sample(source, 1)


def test_a_network_says_what_it_was_trained_to_say(folder: Path, tmp_path: Path) -> None:
    """A nano network trained on one conversation gives its answer, word for word, when it is asked that question."""
    model = random_model(tmp_path / "nano")
    source = opened(written(folder, said("<image>\nWhat is this?", "A carrot.", image="carrot.png")), model.processor)
    one = sample(source)
    assert prompts.question_prompt("What is this?", use_image_start_end=True) == one.model_input.prompt
    optimizer = torch.optim.Adam(model.network.parameters(), lr=1e-2)
    for _ in range(40):
        optimizer.zero_grad()
        batch_loss(model, [one], bin_sigma=0.0).loss.backward()
        optimizer.step()
    model.network.eval()
    assert "A carrot." == "".join(model.generate_text(one.model_input, max_new_tokens=20))
