"""Answers are those of plain greedy decoding, whatever the cache, padding, batch, draft and compiler."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from magma_ros import prompts
from magma_ros.action_tokens import ActionTokenizer
from magma_ros.errors import InvalidInputError, PolicyError
from magma_ros.model.adapter import MagmaModel
from magma_ros.model.decoding import Decoder
from magma_ros.sampling import Sampling
from magma_ros.types import ModelInput
from tests.model.random_checkpoints import NANO, random_model

INSTRUCTIONS = ("put carrot on plate", "stack the green block on the yellow block", "stop")
SIZES = ((64, 64), (64, 128), (50, 40), (128, 128), (30, 200))
BASE = NANO.num_text_tokens + 256
FIRST = BASE - 256


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> MagmaModel:
    """A random nano model."""
    return random_model(tmp_path_factory.mktemp("nano"), seed=3)


def an_input(
    size: tuple[int, int] = (64, 64), instruction: str = INSTRUCTIONS[0], seed: int = 5, num_images: int = 1
) -> ModelInput:
    """Random pictures of (height, width) and an instruction."""
    generator = np.random.default_rng(seed)
    pictures = tuple(generator.integers(0, 256, (*size, 3), dtype=np.uint8) for _ in range(num_images))
    prompt = prompts.robot_action_prompt(instruction, use_image_start_end=True, num_images=num_images)
    return ModelInput(pictures, prompt)


def a_question(text: str = "What is on the table?") -> ModelInput:
    """A random picture and a question about it."""
    return ModelInput(an_input().images, prompts.question_prompt(text, use_image_start_end=True))


def plain_logits(model: MagmaModel, item: ModelInput, answer: list[int]) -> Tensor:
    """Scores of every token after `answer`, by running the whole sequence anew, without any cache or padding."""
    longer = model.processor([item], answers=[answer])
    with torch.inference_mode():
        return model.network.language_model.lm_head(model.network(longer)[:, -1])[0]


def plain_greedy(model: MagmaModel, item: ModelInput, *, num_tokens: int = 7) -> list[int]:
    """Tokens, each the best action id after those before it."""
    chosen: list[int] = []
    for _ in range(num_tokens):
        chosen.append(FIRST + int(plain_logits(model, item, chosen)[FIRST:BASE].argmax()))
    return chosen


ITEMS = st.builds(
    an_input,
    st.sampled_from(SIZES),
    st.sampled_from(INSTRUCTIONS),
    st.integers(0, 99),
    st.sampled_from([1, 1, 2]),
)


@settings(max_examples=25, deadline=None)
@given(items=st.lists(ITEMS, min_size=1, max_size=4), draft=st.integers(0, 2**32 - 1))
def test_every_fast_path_gives_the_tokens_of_plain_greedy(
    model: MagmaModel, items: list[ModelInput], draft: int
) -> None:
    """Rows of any prompts, grids and numbers of pictures, batched, padded, cached and drafted, equal each row alone."""
    drafted = np.random.default_rng(draft).integers(FIRST, BASE, (len(items), 7))
    expected = [plain_greedy(model, item) for item in items]
    assert expected == model.generate_actions(items).tokens.tolist()
    assert expected == model.generate_actions(items, draft=drafted).tokens.tolist()


def test_several_actions_are_those_of_plain_greedy(model: MagmaModel) -> None:
    """An answer of three actions goes on after the first, rows of one input beside each other, whatever the draft."""
    items = [an_input(), an_input((50, 40), INSTRUCTIONS[1], seed=6)]
    expected = np.array([plain_greedy(model, item, num_tokens=21) for item in items]).reshape(6, 7)
    found = model.generate_actions(items, action_horizon=3)
    np.testing.assert_array_equal(expected, found.tokens)
    assert (6, 7) == found.expected.shape == found.entropy_nats.shape
    assert 2 == model.generate_actions(items, action_horizon=3, draft=expected).num_passes
    wrong = np.full((6, 7), FIRST)
    np.testing.assert_array_equal(expected, model.generate_actions(items, action_horizon=3, draft=wrong).tokens)
    np.testing.assert_array_equal(expected[::3], model.generate_actions(items).tokens)
    with pytest.raises(InvalidInputError, match=r"draft: expected integers of shape \(6, 7\)"):
        model.generate_actions(items, action_horizon=3, draft=wrong[:2])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_draft_changes_no_bit_of_the_answer(tmp_path, dtype: torch.dtype) -> None:
    """Right, wrong and half-right drafts give the same tokens, expected values and entropies, to the last bit."""
    model = random_model(tmp_path, seed=4)
    model.network.to(dtype)
    for seed in range(8):
        item = an_input(seed=seed)
        plain = model.generate_actions([item])
        half = plain.tokens.copy()
        half[0, seed % 7] = FIRST if half[0, seed % 7] != FIRST else FIRST + 1
        for draft in (plain.tokens, half, np.full((1, 7), BASE - 1), np.full((1, 7), FIRST)):
            drafted = model.generate_actions([item], draft=draft)
            np.testing.assert_array_equal(plain.tokens, drafted.tokens)
            np.testing.assert_array_equal(plain.expected, drafted.expected)
            np.testing.assert_array_equal(plain.entropy_nats, drafted.entropy_nats)


def test_a_right_draft_saves_passes(model: MagmaModel) -> None:
    """The true tokens as a draft take two runs of the language model; no draft takes at most seven."""
    plain = model.generate_actions([an_input()])
    assert 2 <= plain.num_passes <= 7
    assert 2 == model.generate_actions([an_input()], draft=plain.tokens).num_passes


def test_one_token_a_pass_is_seven_passes(model: MagmaModel) -> None:
    """With guesses that are always wrong, each run after the first finds one token, and the answer stays the same."""
    batch = model.processor([an_input()])
    plain = model.generate_actions([an_input()])
    wrong = torch.from_numpy(np.where(plain.tokens == FIRST, FIRST + 1, FIRST))
    slow = model.decoder.actions(batch, draft=wrong.numpy(), next_guess=lambda _, draft: draft)
    assert 7 == slow.num_passes
    np.testing.assert_array_equal(plain.tokens, slow.tokens)


def test_expected_value_and_entropy_are_those_of_the_distribution(model: MagmaModel) -> None:
    """Both follow from the softmax over the 256 action ids, recomputed here from the full sequence."""
    prediction = model.generate_actions([an_input()])
    tokens = prediction.tokens[0].tolist()
    centres = [float(ActionTokenizer(BASE).decode([k] * 7)[0]) for k in range(FIRST, BASE)]
    for axis in range(7):
        p = plain_logits(model, an_input(), tokens[:axis])[FIRST:BASE].double().softmax(dim=0).numpy()
        np.testing.assert_allclose(prediction.expected[0, axis], p @ centres, atol=1e-5)
        np.testing.assert_allclose(prediction.entropy_nats[0, axis], -(p * np.log(p)).sum(), atol=1e-5)


def test_seven_action_ids_for_every_input(model: MagmaModel) -> None:
    """Only the last 256 ids of the base vocabulary can be chosen, and always seven of them."""
    tokens = model.generate_actions([an_input(seed=seed) for seed in range(3)]).tokens
    assert (3, 7) == tokens.shape
    assert FIRST <= tokens.min() <= tokens.max() < BASE


def test_first_scores_are_those_of_the_action_rows(model: MagmaModel) -> None:
    """The scores of the first token are the full network's, restricted to the action ids."""
    expected = plain_logits(model, an_input(), [])[FIRST:BASE].numpy()
    np.testing.assert_allclose(model.action_scores([an_input()])[0], expected, atol=1e-4)


def test_a_seed_repeats_a_sampled_answer(model: MagmaModel) -> None:
    """Equal seeds draw equal actions, with any draft; other seeds draw others; a low temperature is greedy."""

    def draw(seed: int, temperature: float = 1.0, draft: np.ndarray | None = None) -> list[list[int]]:
        sampling = Sampling(temperature=temperature, seed=seed)
        return [
            model.generate_actions([an_input()], sampling=sampling, draft=draft).tokens[0].tolist() for _ in range(3)
        ]

    assert draw(1) == draw(1) == draw(1, draft=np.full((1, 7), FIRST))
    assert draw(1) != draw(2)
    assert len({tuple(row) for row in draw(1)}) > 1
    assert [plain_greedy(model, an_input())] * 3 == draw(1, temperature=1e-6)


def test_a_cache_is_never_reused_for_other_weights(tmp_path) -> None:
    """After a training step in place, the head of the prompt is computed anew."""
    model = random_model(tmp_path, seed=6)
    model.generate_actions([an_input()])
    with torch.no_grad():
        for parameter in model.network.language_model.parameters():
            parameter.mul_(1.3)
    np.testing.assert_allclose(
        model.action_scores([an_input()])[0], plain_logits(model, an_input(), [])[FIRST:BASE].numpy(), atol=1e-4
    )


def test_attention_written_out_gives_the_same_tokens(tmp_path) -> None:
    """The trainer's eager attention decodes like the fused one."""
    model = random_model(tmp_path, seed=3)
    expected = model.generate_actions([an_input(), an_input((128, 128))]).tokens
    model.network.language_model.set_attn_implementation("eager")
    np.testing.assert_array_equal(expected, model.generate_actions([an_input(), an_input((128, 128))]).tokens)


@pytest.fixture(scope="module")
def compiled(model: MagmaModel) -> Decoder:
    """The same network behind the compiler; the compilation takes half a minute."""
    return Decoder(model.network, compile_passes=True)


@settings(max_examples=25, deadline=None)
@given(item=st.builds(an_input, st.just((64, 64)), st.sampled_from(INSTRUCTIONS), st.integers(0, 999)))
def test_compiled_passes_give_the_same_tokens(model: MagmaModel, compiled: Decoder, item: ModelInput) -> None:
    """The compiled path answers like the plain one, for prompts of any length and any picture."""
    np.testing.assert_array_equal(
        model.generate_actions([item]).tokens, compiled.actions(model.processor([item])).tokens
    )


def plain_text(model: MagmaModel, item: ModelInput, num_tokens: int) -> list[int]:
    """Greedy text without a cache; stops in front of the end of the turn."""
    chosen: list[int] = []
    while len(chosen) < num_tokens:
        best = int(plain_logits(model, item, chosen).argmax())
        if best == model.processor.end_of_turn_id:
            break
        chosen.append(best)
    return chosen


@pytest.fixture
def talker(tmp_path) -> MagmaModel:
    """A random model that never prefers an action id."""
    model = random_model(tmp_path, seed=8)
    with torch.no_grad():
        model.network.language_model.lm_head.weight[FIRST:BASE] *= 0.01
    return model


def test_text_streams_what_greedy_decoding_finds(talker: MagmaModel) -> None:
    """The pieces join to the text of plain greedy decoding, with and without a picture."""
    text_only = ModelInput((), prompts.question_prompt("What is 1+1?", use_image_start_end=True, num_images=0))
    for item in (a_question(), text_only):
        expected = plain_text(talker, item, 12)
        assert len(expected) > 1
        batch = talker.processor([item])
        assert expected == list(talker.decoder.text(batch, max_new_tokens=12, end_id=talker.processor.end_of_turn_id))
        pieces = list(talker.generate_text(item, max_new_tokens=12))
        decoded = talker.processor.tokenizer.decode(expected, skip_special_tokens=True)
        assert decoded.rstrip("\ufffd") == "".join(pieces).rstrip("\ufffd")


def test_text_ends_with_the_turn(talker: MagmaModel) -> None:
    """When the end of the turn is the best token, the answer is over and the token is not part of it."""
    network, end = talker.network, talker.processor.end_of_turn_id
    with torch.no_grad():
        head = network.language_model.lm_head.weight
        best = int(plain_logits(talker, a_question(), []).argmax())
        head[end] = 2 * head[best]
    assert [] == list(talker.generate_text(a_question()))


def test_text_never_holds_an_action_id(talker: MagmaModel) -> None:
    """Sampled at a high temperature, where greedy decoding would not pick one, no action id ever appears."""
    batch = talker.processor([a_question()])
    sampling = Sampling(temperature=50.0, seed=0)
    tokens = list(talker.decoder.text(batch, max_new_tokens=60, end_id=-1, sampling=sampling))
    assert 60 == len(tokens)
    assert not [token for token in tokens if FIRST <= token < BASE]


def test_an_answer_that_was_interrupted_is_an_error(talker: MagmaModel) -> None:
    """The cache holds one prompt: another question in the midst of a streamed answer ends it with an error."""
    answer = talker.generate_text(a_question(), max_new_tokens=12)
    next(answer)
    next(talker.generate_text(a_question(), max_new_tokens=12))
    with pytest.raises(PolicyError, match="asked something else"):
        list(answer)


def test_acting_between_two_words_changes_neither(talker: MagmaModel) -> None:
    """Actions inferred after every piece of an answer have the bits that they have alone, and so has the answer."""
    alone, quiet = list(talker.generate_text(a_question(), max_new_tokens=12)), talker.generate_actions([an_input()])
    pieces = []
    for piece in talker.generate_text(a_question(), max_new_tokens=12):
        pieces.append(piece)
        between = talker.generate_actions([an_input()])
        np.testing.assert_array_equal(quiet.tokens, between.tokens)
        np.testing.assert_array_equal(quiet.entropy_nats, between.entropy_nats)
    assert alone == pieces


def test_a_model_that_wants_to_act_does_not_talk(talker: MagmaModel) -> None:
    """When an action id is the best token of a text, there is an error instead of odd words."""
    with torch.no_grad():
        head = talker.network.language_model.lm_head.weight
        head[FIRST + 7] = 2 * head[int(plain_logits(talker, a_question(), []).argmax())]
    with pytest.raises(PolicyError, match="wants to act"):
        list(talker.generate_text(a_question()))


def test_each_mode_refuses_the_other_s_prompt(model: MagmaModel) -> None:
    """A question is not answered with a motion, an action prompt not with text."""
    with pytest.raises(InvalidInputError, match="expected one that asks for a robot action"):
        model.generate_actions([an_input(), a_question()])
    with pytest.raises(InvalidInputError, match="asks for a robot action"):
        list(model.generate_text(an_input()))


@pytest.mark.parametrize("draft", [np.zeros((1, 7), int), np.full((2, 7), FIRST), np.full((1, 7), float(FIRST))])
def test_a_draft_of_anything_else_is_refused(model: MagmaModel, draft: np.ndarray) -> None:
    """Ids that are no actions, another number of rows, and floats are errors."""
    with pytest.raises(InvalidInputError, match="draft: expected"):
        model.generate_actions([an_input()], draft=draft)


def test_a_prompt_beyond_the_context_is_refused(model: MagmaModel) -> None:
    """Prompt and answer must fit into the positions that the model was made for."""
    batch = model.processor([a_question()])
    with pytest.raises(InvalidInputError, match="at most 8192 tokens"):
        list(model.decoder.text(batch, max_new_tokens=8192, end_id=-1))


def test_scores_that_are_not_finite_raise(tmp_path) -> None:
    """A broken network gives an error, never a token or a word."""
    model = random_model(tmp_path)
    with torch.no_grad():
        model.network.language_model.lm_head.weight[BASE - 3] = torch.nan
    with pytest.raises(PolicyError, match="not finite"):
        model.generate_actions([an_input()])
    with pytest.raises(PolicyError, match="not finite"):
        list(model.generate_text(a_question()))
