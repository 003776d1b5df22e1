import numpy as np
import pytest

from magma_ros.ros.swap_trial import SwapTrial, TrialBound
from magma_ros.stops import Stop, StopReason
from magma_ros.types import Action, SafeAction

GOOD = SafeAction(Action(np.zeros(3), np.zeros(3), 1.0, "base_link"))
UNSURE = SafeAction(GOOD.action, ("entropy", "translation_step"))
REFUSED = Stop(StopReason.OUT_OF_CONTRACT, "too long")


def trial(num_steps=10, max_share=0.3):
    return SwapTrial(TrialBound(num_steps, max_share))


def test_good_steps_pass_the_trial():
    """As many good steps as asked for end it, and none of them counts against the policy."""
    watched = trial()
    for _ in range(9):
        watched.step(GOOD, answered=True)
    assert not watched.is_over
    watched.step(GOOD, answered=True)
    assert (True, False, 0) == (watched.is_over, watched.has_failed, watched.num_bad)


@pytest.mark.parametrize("bad", [REFUSED, UNSURE, Stop(StopReason.HIGH_ENTROPY, ""), Stop(StopReason.UNDECODABLE, "")])
def test_the_trial_fails_with_one_bad_step_more_than_its_share(bad):
    """Three of ten are allowed: with the fourth it has failed, however few steps there were."""
    watched = trial()
    for _ in range(3):
        watched.step(bad, answered=True)
    assert not watched.has_failed
    watched.step(bad, answered=True)
    assert watched.has_failed
    assert "4 bad of 4 steps" in str(watched)


def test_a_limited_step_is_not_unsure():
    """A step that a limit of the arm shortened says nothing against the policy."""
    watched = trial()
    watched.step(SafeAction(GOOD.action, ("translation_step", "workspace")), answered=True)
    assert (1, 0) == (watched.num_steps, watched.num_bad)


@pytest.mark.parametrize("reason", [StopReason.STALE_OBSERVATION, StopReason.STALE_STATE, StopReason.SWAPPING])
def test_what_holds_the_arm_without_the_policy_does_not_count(reason):
    """A camera or a measured state that is missing is no step of the trial."""
    watched = trial()
    watched.step(Stop(reason, "silent"), answered=False)
    assert (0, 0) == (watched.num_steps, watched.num_bad)


def test_a_policy_that_does_not_answer_is_refused():
    """An unanswered picture holds the arm without an answer; an answer that is too old is refused as well."""
    watched = trial()
    watched.step(Stop(StopReason.POLICY_FAILED, "not answered"), answered=False)
    watched.step(Stop(StopReason.STALE_OBSERVATION, "the picture is 2 s old after inference"), answered=True)
    assert (2, {"policy_failed": 1, "stale_observation": 1}) == (watched.num_steps, watched.refused)
    assert "2 refused: policy_failed 1, stale_observation 1," in str(watched)


def test_what_the_motion_node_refuses_counts_from_the_first_report_on():
    """Refusals from before the trial are not the new policy's; a count that falls begins anew."""
    watched = trial()
    for total in (7, 7, 9, 0, 1):
        watched.hear(total)
    assert 3 == watched.num_refused_by_motion
    assert not watched.has_failed
    watched.hear(2)
    assert watched.has_failed


def test_no_steps_are_no_trial():
    """With zero steps nothing is watched and nothing fails."""
    watched = trial(num_steps=0)
    watched.step(REFUSED, answered=True)
    assert (True, False) == (watched.is_over, watched.has_failed)
