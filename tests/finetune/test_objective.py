"""The loss is the mean cost of every trained token of a batch, checked against plain passes of each sample alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from magma_ros import prompts
from magma_ros.errors import InvalidInputError
from magma_ros.finetune.batches import TEXT, collate
from magma_ros.finetune.mixture import Sample
from magma_ros.finetune.objective import Objective
from magma_ros.model.adapter import MagmaModel
from magma_ros.model.processing import image_to_crops
from magma_ros.prompts import Message
from magma_ros.types import ModelInput
from tests.finetune.networks import magma_8b_in_small, magma_8b_processor, magma_tiny
from tests.finetune.small_steps import batch_loss

NUM_BINS = 256


@pytest.fixture(scope="module", params=[magma_tiny, magma_8b_in_small], ids=["magma-tiny", "magma-8b-in-small"])
def model(request: pytest.FixtureRequest) -> MagmaModel:
    """Each network, with gradients."""
    make: Callable[[], MagmaModel] = request.param
    return make()


def picture(seed: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def action(model: MagmaModel, instruction: str, seed: int) -> Sample:
    """An invented frame with an invented action."""
    bins = np.random.default_rng(seed).integers(0, NUM_BINS, 7)
    first = model.network.config.base_vocab_size - NUM_BINS
    prompt = prompts.robot_action_prompt(instruction, use_image_start_end=True)
    answer = np.append(first + bins, model.processor.end_of_turn_id)
    return Sample(ModelInput((picture(seed, 64, 64),), prompt), answer, is_action=True)


def text(model: MagmaModel, question: str, answer: str, *, images: Sequence[np.ndarray] = ()) -> Sample:
    """An invented question about pictures, or about none."""
    user = prompts.picture_lines(len(images), use_image_start_end=True) + question
    prompt = prompts.render_chat([Message("user", user)], add_generation_prompt=True)
    ids = model.processor.tokenizer.encode(answer, add_special_tokens=False).ids
    return Sample(ModelInput(tuple(images), prompt), np.array([*ids, model.processor.end_of_turn_id]), is_action=False)


def mixed_batch(model: MagmaModel) -> list[Sample]:
    """Actions and conversations in turn: prompts of several lengths, one or two crops, none, and a masked turn."""
    masked = text(model, "And then?", "First this. Now that. Then both of them.")
    trained = np.arange(len(masked.answer)) % 3 > 0
    return [
        action(model, "put carrot on plate", 1),
        text(model, "What is this?", "A carrot.", images=[picture(2, 64, 128), picture(3, 40, 40)]),
        action(model, "put the other, longer carrot on the smaller of both plates", 4),
        Sample(masked.model_input, masked.answer, is_action=False, trained=trained),
    ]


def plain_logits(model: MagmaModel, sample: Sample) -> Tensor:
    """Scores of the whole vocabulary for each id of the answer: one row, no padding, Llama's own forward pass."""
    network, processor = model.network, model.processor
    table = network.language_model.model.embed_tokens
    pictures = [image_to_crops(image, processor.image_config) for image in sample.model_input.images]
    vectors = []
    for token in processor.tokenizer.encode(sample.model_input.prompt).ids:
        if token == network.config.image_token_id:
            crops, grid = pictures.pop(0)
            vectors.append(network.image_features(crops, torch.tensor([grid])))
        else:
            vectors.append(table(torch.tensor([token])))
    start = sum(len(vector) for vector in vectors)
    vectors.append(table(torch.from_numpy(sample.answer)))
    logits: Tensor = network.language_model(inputs_embeds=torch.cat(vectors)[None]).logits[0]
    return logits[start - 1 : -1].float()


def plain_costs(model: MagmaModel, sample: Sample, *, sigma: float) -> Tensor:
    """Cross-entropy of each trained id; of the six motion ids with a normal over the bins around the true one."""
    wanted = functional.one_hot(torch.from_numpy(sample.answer), model.network.config.text.vocab_size).float()
    if sample.is_action and sigma:
        first = model.network.config.base_vocab_size - NUM_BINS
        for index in (place for place in range(len(sample.answer) - 1) if place % 7 < 6):
            weights = torch.exp(-0.5 * ((torch.arange(NUM_BINS) - (sample.answer[index] - first)) / sigma) ** 2)
            wanted[index] = 0
            wanted[index, first : first + NUM_BINS] = weights / weights.sum()
    costs = functional.cross_entropy(plain_logits(model, sample), wanted, reduction="none")
    return costs if sample.trained is None else costs[torch.from_numpy(sample.trained)]


def gradients(model: MagmaModel, loss: Tensor) -> dict[str, Tensor]:
    names, parameters = zip(*model.network.named_parameters(), strict=True)
    return dict(zip(names, torch.autograd.grad(loss, parameters, materialize_grads=True), strict=True))


def require_equal(expected: dict[str, Tensor], got: dict[str, Tensor]) -> None:
    """Every gradient to a ten-thousandth of the largest of its tensor and of the network's typical one."""
    floor = 1e-6 * float(torch.stack([value.norm() for value in expected.values()]).max())
    for name, value in expected.items():
        assert float((got[name] - value).abs().max()) <= 1e-4 * float(value.abs().max()) + floor, name


def test_an_action_batch_costs_what_plain_passes_cost(model: MagmaModel) -> None:
    """Sharp loss and gradient of two actions, padded and cut to the trained places, equal those of two whole passes."""
    samples = [action(model, "stack", 2), action(model, "put " * 20, 3)]
    figures = batch_loss(model, samples, bin_sigma=0.0)
    costs = torch.cat([plain_costs(model, sample, sigma=0.0) for sample in samples])
    assert (16, 2, 0) == (figures.num_tokens, figures.num_actions, figures.num_text_tokens)
    assert costs.mean().item() == pytest.approx(figures.loss.item(), rel=1e-5)
    require_equal(gradients(model, costs.mean()), gradients(model, figures.loss))


def test_an_answer_of_several_actions_costs_what_plain_passes_cost(model: MagmaModel) -> None:
    """Each of its actions has a gripper of its own; it counts as one sample."""
    first, second = action(model, "put carrot on plate", 1), action(model, "put carrot on plate", 2)
    both = Sample(first.model_input, np.concatenate([first.answer[:7], second.answer]), is_action=True)
    figures = batch_loss(model, [both, both], bin_sigma=2.0)
    plain = plain_costs(model, both, sigma=2.0).mean().item()
    assert plain == pytest.approx(figures.loss.item(), abs=1e-5)
    assert (2, 30) == (figures.num_actions, figures.num_tokens)
    columns = collate(model.processor, [both]).columns.tolist()
    assert [*range(7), *range(8)] == columns


def test_a_mixed_batch_is_the_mean_over_all_tokens(model: MagmaModel) -> None:
    """Actions and texts of any length count token by token: loss and gradient equal those of all plain costs."""
    samples = mixed_batch(model)
    figures = batch_loss(model, samples, bin_sigma=2.0)
    costs = [plain_costs(model, sample, sigma=2.0) for sample in samples]
    assert sum(len(one) for one in costs) == figures.num_tokens == 16 + figures.num_text_tokens
    assert torch.cat(costs).mean().item() == pytest.approx(figures.loss.item(), rel=1e-5)
    assert torch.cat([costs[1], costs[3]]).mean().item() == pytest.approx(figures.text_loss, rel=1e-5)
    require_equal(gradients(model, torch.cat(costs).mean()), gradients(model, figures.loss))


def test_parts_of_a_batch_add_up_to_the_whole(model: MagmaModel) -> None:
    """Losses weighted by their tokens, as several devices and accumulated parts sum them, are the batch's own."""
    samples = mixed_batch(model)
    whole = batch_loss(model, samples, bin_sigma=2.0)
    parts = [batch_loss(model, samples[at : at + 2], bin_sigma=2.0) for at in (0, 2)]
    summed = sum(part.loss * part.num_tokens for part in parts) / sum(part.num_tokens for part in parts)
    assert whole.num_tokens == sum(part.num_tokens for part in parts)
    assert whole.loss.item() == pytest.approx(summed.item(), rel=1e-5)


def test_figures_tell_bins_and_gripper(model: MagmaModel) -> None:
    """Distance of the likeliest bin and share of right grippers, from the plain scores; no action, no number."""
    samples = [action(model, "put carrot on plate", seed) for seed in range(4)]
    figures = batch_loss(model, samples, bin_sigma=0.0)
    first = model.network.config.base_vocab_size - NUM_BINS
    with torch.no_grad():
        likeliest = torch.stack([plain_logits(model, s)[:7, first : first + NUM_BINS].argmax(-1) for s in samples])
    misses = (likeliest.numpy() - (np.stack([s.answer[:7] for s in samples]) - first)).__abs__()
    assert misses[:, :6].mean() == pytest.approx(figures.motion_error_bins)
    assert (misses[:, 6] == 0).mean() == pytest.approx(figures.gripper_accuracy)
    assert np.isnan(figures.text_loss)
    spoken = batch_loss(model, [text(model, "What?", "That.")], bin_sigma=0.0)
    assert np.isnan([spoken.motion_error_bins, spoken.gripper_accuracy]).all()


def test_a_batch_without_pictures_gives_every_parameter_a_gradient(model: MagmaModel) -> None:
    """The tower's is 0, not missing, and the loss is the text's alone."""
    sample = text(model, "What is your name?", "Magma.")
    model.network.zero_grad(set_to_none=True)
    loss = batch_loss(model, [sample], bin_sigma=2.0).loss
    loss.backward()
    assert plain_costs(model, sample, sigma=0.0).mean().item() == pytest.approx(loss.item(), rel=1e-5)
    for name, parameter in model.network.named_parameters():
        assert parameter.grad is not None, name
        assert name.startswith("language_model.") or not parameter.grad.any(), name
    model.network.zero_grad(set_to_none=True)


def test_every_batch_makes_the_same_passes_in_the_same_order(model: MagmaModel) -> None:
    """Actions, texts without a picture and both: tower, projector, Llama, scores, each once.

    Devices that share the parameters gather them pass by pass, and would wait for each other for ever otherwise.
    """
    network, order = model.network, []
    parts = {
        "tower": network.vision_tower,
        "projector": network.projector,
        "llama": network.language_model.model,
        "scores": network.language_model.lm_head,
    }
    hooks = [part.register_forward_hook(lambda *_, name=name: order.append(name)) for name, part in parts.items()]
    batches = [action(model, "stack", 0)], [text(model, "What?", "That.")], mixed_batch(model)
    for samples in batches:
        with torch.no_grad():
            batch_loss(model, samples, bin_sigma=2.0)
    for hook in hooks:
        hook.remove()
    assert list(parts) * 3 == order


def test_only_answers_are_trained(model: MagmaModel) -> None:
    """Labels are the trained ids in order, each stands behind the id before it, and no prompt's token is one."""
    samples = mixed_batch(model)
    batch = collate(model.processor, samples)
    trained = [sample.answer if sample.trained is None else sample.answer[sample.trained] for sample in samples]
    assert np.concatenate(trained).tolist() == batch.labels.tolist()
    length = batch.inputs.ids.shape[1]
    for place, label in zip(batch.places.tolist(), batch.labels.tolist(), strict=True):
        row, column = divmod(place, length)
        begin = length - len(samples[row].answer)
        assert column >= begin
        assert label == samples[row].answer[column - begin]
        assert column == length - 1 or label == batch.inputs.ids[row, column + 1]
    num_spoken = len(trained[1])
    assert [*range(8), *[TEXT] * num_spoken, *range(8)] == batch.columns[: 16 + num_spoken].tolist()
    assert {TEXT} == set(batch.columns[16 + num_spoken :].tolist())


def test_the_line_break_before_an_action_belongs_to_the_prompt() -> None:
    """With the release's vocabulary id 271 stands where the first action id is said, and is no label."""
    prompt = prompts.robot_action_prompt("put carrot on plate", use_image_start_end=True)
    answer = np.array([*range(127900, 127907), 128009])
    shown = ModelInput((picture(0, 64, 64),), prompt)
    one = collate(magma_8b_processor(), [Sample(shown, answer, is_action=True)])
    assert [128007, 271] == one.inputs.ids[0, one.places[0] - 1 : one.places[0] + 1].tolist()
    assert 271 not in one.labels.tolist()
    assert 128009 == one.labels[-1]


def test_one_module_holds_the_whole_pass(model: MagmaModel) -> None:
    """The parameters of `Objective` are the network's."""
    objective = Objective(model.network, bin_sigma=2.0)
    assert [id(p) for p in model.network.parameters()] == [id(p) for p in objective.parameters()]
    assert {f"network.{name}" for name in model.network.state_dict()} == set(objective.state_dict())


def test_samples_that_train_nothing_or_no_whole_action_are_refused(model: MagmaModel) -> None:
    """An empty batch, an answer without a trained id, an action of six ids, an end without an action."""
    good, spoken = action(model, "stack", 0), text(model, "What?", "That.")
    untrained = Sample(spoken.model_input, spoken.answer, is_action=False, trained=np.zeros(len(spoken.answer), bool))
    short = Sample(good.model_input, good.answer[1:], is_action=True)
    empty = Sample(good.model_input, good.answer[-1:], is_action=True)
    with pytest.raises(InvalidInputError, match="at least one model input"):
        collate(model.processor, [])
    for bad in (untrained, short, empty):
        with pytest.raises(InvalidInputError, match="sample: expected trained ids"):
            collate(model.processor, [good, bad])
