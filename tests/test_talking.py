"""Who talks, who does not, and what a question may be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from magma_ros.checkpoint import load_policy
from magma_ros.errors import InvalidInputError, PolicyError
from magma_ros.policy import ModelPolicy
from magma_ros.talking import Question, predicts_traces, talk, talks
from tests.examples import ScriptedPolicy
from tests.model.random_checkpoints import write_random_checkpoint

PICTURE = np.random.default_rng(5).integers(0, 256, (40, 60, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> ModelPolicy:
    """A random network of magma-tiny's kind."""
    return load_policy(write_random_checkpoint(tmp_path_factory.mktemp("talker")))


def test_a_policy_that_only_acts_says_so() -> None:
    """A scripted policy neither talks nor predicts, and a question to it is an error that says what would."""
    mute = ScriptedPolicy()
    assert (False, False) == (talks(mute), predicts_traces(mute))
    with pytest.raises(PolicyError, match="does not talk"):
        next(talk(mute, Question("<image>\nWhat is this?", (PICTURE,))))


def test_a_question_reaches_the_model_as_its_checkpoint_writes_it(
    policy: ModelPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The placeholder gets the checkpoint's start and end tokens, and the chat form around it."""
    heard = []

    def generate_text(model_input, *, max_new_tokens):
        heard.append((model_input.prompt, max_new_tokens))
        yield "A carrot."

    monkeypatch.setattr(policy.model, "generate_text", generate_text)
    assert ["A carrot."] == list(talk(policy, Question("<image>\nWhat is this?", (PICTURE,), max_new_tokens=7)))
    ((prompt, longest),) = heard
    assert "user<|end_header_id|>\n\n<image_start><image><image_end>\nWhat is this?<|eot_id|>" in prompt
    assert prompt.endswith("assistant<|end_header_id|>\n\n")
    assert 7 == longest


def test_traces_are_predicted_by_who_was_trained_to(policy: ModelPolicy, monkeypatch: pytest.MonkeyPatch) -> None:
    """`mm_use_som_tom` in config.json decides; without it a network talks all the same."""
    assert (True, False) == (talks(policy), predicts_traces(policy))
    network = policy.model.network
    monkeypatch.setattr(network, "config", replace(network.config, raw={"mm_use_som_tom": True}))
    assert predicts_traces(policy)


def test_a_question_that_makes_no_sense_is_refused(policy: ModelPolicy) -> None:
    """No tokens, a picture too many, and a question whose answer is a motion are errors."""
    with pytest.raises(InvalidInputError, match="max_new_tokens"):
        Question("What?", (), max_new_tokens=0)
    with pytest.raises(InvalidInputError, match="placeholders"):
        next(talk(policy, Question("What?", (PICTURE,))))
    with pytest.raises(InvalidInputError, match="asks for a robot action"):
        next(talk(policy, Question("<image>\nWhat action should the robot take to lift it?", (PICTURE,))))
