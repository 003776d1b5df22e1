"""One policy behind several environments."""

from __future__ import annotations

import numpy as np

from magma_ros.errors import InvalidInputError
from magma_ros.sim.sweep.inference import SharedPolicy
from tests.examples import ScriptedPolicy, make_action, make_chunk, make_observation, make_proprio
from tests.sim.sweep import toys


def observations(*positions_m):
    """What arms at these places along x see."""
    return [make_observation(proprio=make_proprio([x, 0.0, 0.2])) for x in positions_m]


def steps_m(answers):
    """Where each goes."""
    return [round(float(chunk.actions[0, 0]), 4) for chunk, _ in answers]


def test_all_that_wait_are_one_pass():
    """Each gets its own chunk; the network ran once."""
    toy = toys.MiddlePolicy()
    shared = SharedPolicy(toy)
    answers = shared.answer(observations(0.3, 0.36, 0.4))
    assert [0.02, 0.005, -0.02] == steps_m(answers)
    assert [3, 3, 3] == [batch_size for _, batch_size in answers]
    assert [3] == toy.batch_sizes
    assert shared.last_pass_s > 0


def test_one_by_one_when_asked_or_where_the_policy_knows_no_other_way():
    """Then each is a pass of its own, with the same answers."""
    toy = toys.MiddlePolicy()
    answers = SharedPolicy(toy, batched=False).answer(observations(0.3, 0.36))
    assert [0.02, 0.005] == steps_m(answers)
    assert [1, 1] == [batch_size for _, batch_size in answers] == toy.batch_sizes
    plain = SharedPolicy(ScriptedPolicy(make_chunk([make_action(0.01).to_array().tolist()])))
    answers = plain.answer(observations(0.3, 0.36))
    assert [0.01, 0.01] == steps_m(answers)
    assert [1, 1] == [batch_size for _, batch_size in answers]


def test_a_bad_observation_refuses_no_other():
    """Its trial gets the reason; the others get their chunks."""
    good, other = observations(0.3, 0.36)
    answers = SharedPolicy(toys.MiddlePolicy()).answer([good, make_observation(proprio=None), other])
    assert isinstance(answers[1], InvalidInputError)
    assert [0.02, 0.005] == steps_m([answers[0], answers[2]])


def test_a_fault_in_the_policy_goes_to_the_trial_with_its_traceback():
    """It does not end the sweep."""
    (answer,) = SharedPolicy(ScriptedPolicy(ZeroDivisionError())).answer(observations(0.3))
    assert isinstance(answer, RuntimeError)
    assert "ZeroDivisionError" in str(answer)


def test_batches_agree_with_single_answers():
    """A function of each observation does not see who else asked."""
    toy = toys.MiddlePolicy()
    many = observations(*np.linspace(0.3, 0.4, 7))
    one_by_one = SharedPolicy(toy, batched=False).answer(many)
    assert steps_m(one_by_one) == steps_m(SharedPolicy(toy).answer(many))
