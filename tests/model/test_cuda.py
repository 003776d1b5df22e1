"""On a CUDA device the answers are the CPU's, whatever the draft and the compiler, and quantised ones near them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from magma_ros import prompts
from magma_ros.checkpoint import load_activated, load_model
from magma_ros.load_options import LoadOptions
from magma_ros.model.adapter import MagmaModel
from magma_ros.model.recordings import Recordings
from magma_ros.types import ModelInput

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

TINY = Path(__file__).parents[2] / "checkpoints" / "magma-tiny"
LIBRARY_OF = {"int8": "torch", "int4": "torchao", "nf4": "bitsandbytes"}


def noisy_inputs(count: int = 24) -> list[ModelInput]:
    """Coloured patches, and one of two instructions."""
    generator = np.random.default_rng(11)
    inputs = []
    for index in range(count):
        patches = generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        picture = patches.repeat(16, axis=0).repeat(16, axis=1)
        sentence = ("put carrot on plate", "put eggplant into yellow basket")[index % 2]
        inputs.append(ModelInput((picture,), prompts.robot_action_prompt(sentence, use_image_start_end=True)))
    return inputs


def tokens_of(model: MagmaModel, inputs: list[ModelInput], *, drafted: bool = False) -> NDArray[np.int64]:
    """The answers one by one, (inputs, 7); with drafts that are mostly wrong."""
    answers: list[NDArray[np.int64]] = []
    for item in inputs:
        draft = answers[-1][None] if drafted and answers else None
        answers.append(model.generate_actions([item], draft=draft).tokens[0])
    return np.array(answers)


def test_float32_gives_the_cpus_tokens() -> None:
    """All seven of every answer; the scores agree to a thousandth of their spread."""
    inputs = noisy_inputs()
    here, there = (load_model(TINY, device=device) for device in ("cpu", "cuda"))
    assert tokens_of(here, inputs).tolist() == tokens_of(there, inputs).tolist()
    expected, scores = here.action_scores(inputs), there.action_scores(inputs)
    assert float(np.abs(scores - expected).max()) < 1e-3 * float(expected.std())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_recordings_change_no_bit(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replayed launches give what launching them anew gives, with each new picture and instruction."""
    inputs = noisy_inputs()
    model = load_model(TINY, device="cuda", dtype=dtype)
    tokens_of(model, inputs[:4])  # two of each instruction: their lengths come again
    replayed = [model.generate_actions([item]) for item in inputs]
    monkeypatch.setattr(Recordings, "run", lambda _self, _name, function, *tensors: function(*tensors))
    launched = [model.generate_actions([item]) for item in inputs]
    for one, other in zip(replayed, launched, strict=True):
        assert one.tokens.tolist() == other.tokens.tolist()
        assert one.expected.tolist() == other.expected.tolist()
    assert len({tuple(one.tokens[0]) for one in launched}) > len(inputs) // 2


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_neither_drafts_nor_spoken_answers_change_a_token(dtype: str) -> None:
    """Wrong drafts take more runs, and talking has recordings and slots of its own."""
    inputs = noisy_inputs()
    model = load_model(TINY.with_name("magma-tiny-talking"), device="cuda", dtype=dtype)
    expected = tokens_of(model, inputs)
    assert expected.tolist() == tokens_of(model, inputs, drafted=True).tolist()
    question = ModelInput(inputs[0].images, prompts.question_prompt("What is this?", use_image_start_end=True))
    words = [list(model.generate_text(question, max_new_tokens=4)) for _ in range(2)]
    assert words[0] == words[1]
    assert expected.tolist() == tokens_of(model, inputs).tolist()


def test_weights_that_change_or_move_are_seen() -> None:
    """In place as an optimiser changes them, or put elsewhere: what was recorded with the old ones is not replayed."""
    inputs = noisy_inputs(4)
    model = load_model(TINY, device="cuda")
    tokens_of(model, inputs)
    head = model.network.language_model.lm_head
    with torch.no_grad():
        head.weight.neg_()
    negated = tokens_of(model, inputs)
    head.weight = torch.nn.Parameter(head.weight.detach().neg())
    assert tokens_of(load_model(TINY, device="cuda"), inputs).tolist() == tokens_of(model, inputs).tolist()
    assert not np.array_equal(negated, tokens_of(model, inputs))


def test_what_cannot_be_recorded_is_launched(caplog: pytest.LogCaptureFixture) -> None:
    """A function that reads a number back gives its result all the same; a warning names it."""
    recordings = Recordings()
    ones = torch.ones(3, device="cuda")
    for factor in (1.0, 2.0, 3.0):
        assert 3 * factor == float(recordings.run("sum", lambda x: x.new_tensor(float(x.sum())), factor * ones))
    assert ["sum"] == [record.getMessage().split()[0] for record in caplog.records]


@pytest.mark.parametrize(("quantization", "most_bins"), [("int8", 4.0), ("int4", 24.0), ("nf4", 24.0)])
def test_quantised_weights_answer_nearly_the_same(quantization: str, most_bins: float) -> None:
    """The tokens of the six motions are those of whole weights, within bins, on average over the pictures."""
    pytest.importorskip(LIBRARY_OF[quantization])
    inputs = noisy_inputs()
    whole = load_model(TINY, device="cuda", dtype="bfloat16")
    light = load_model(TINY, device="cuda", dtype="bfloat16", quantization=quantization)
    off = np.abs(tokens_of(light, inputs) - tokens_of(whole, inputs))[:, :6]
    assert off.mean() < most_bins
    assert not any(parameter.is_cpu for parameter in [*light.network.parameters(), *light.network.buffers()])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_shipped_checkpoint_passes_the_gate(dtype: str) -> None:
    """Its golden output is met within the tolerance of the precision; the report names the device."""
    _, report = load_activated(TINY, LoadOptions(device="cuda", dtype=dtype))
    assert not report.failed
    assert torch.cuda.get_device_name() in report.runtime["device"]
