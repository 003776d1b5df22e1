"""Questions to a policy node in a process of its own, over DDS: in words, about places, about what will move."""

from pathlib import Path

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient

from magma_ros.action import Ask
from magma_ros.msg import Mark
from magma_ros.ros import interface
from magma_ros.srv import Ground, PredictTrace

SCRIPT = str(Path(__file__).with_name("talking_policy_node.py"))
PIECES = ["There", " is", " a", " carrot."]
RATE_HZ = 20.0
SIZE_PX = 32
"""Of the camera's pictures; the policy sees them four times as large."""


@pytest.fixture(scope="module")
def node(peer):
    """A node that is configured and sees nothing yet; half a second for each word."""
    folder = peer.write_script("slow", pieces=PIECES, piece_s=0.2, path_cells=[[4.0 * n, 0.0] for n in range(1, 65)])
    child = peer.start(
        "policy_node", SCRIPT, checkpoint=folder, control_rate_hz=RATE_HZ, answer_timeout_s=20.0, trace_steps=0
    )
    peer.commands = peer.listen(interface.POLICY_ACTION)
    peer.predicted = peer.listen(interface.PREDICTED_TRACES)
    peer.asks = ActionClient(peer.node, Ask, interface.ASK.name)
    peer.wait(peer.asks.server_is_ready, timeout_s=60, what="the action server")
    peer.spin(0.3)
    yield child
    peer.asks.destroy()


@pytest.fixture
def seeing(peer, node):
    """The node is active and has pictures."""
    if not peer.is_filming:
        peer.film(rate_hz=RATE_HZ, size_px=SIZE_PX)
    peer.make_active()
    peer.spin(0.2)
    return node


def send(peer, question, feedback=None, **more):
    collect = None if feedback is None else lambda message: feedback.append(message.feedback.text)
    goal = Ask.Goal(question=question, **more)
    return peer.future(peer.asks.send_goal_async(goal, feedback_callback=collect))


def ask(peer, question, **more):
    answer = peer.future(send(peer, question, **more).get_result_async())
    return answer.status, answer.result


def ground(peer, phrase, **more):
    return peer.call(Ground, interface.GROUND.name, phrase=phrase, **more)


def test_nobody_answers_before_there_is_a_policy_and_a_picture(peer, node):
    """Each refusal says what is missing: the policy, then a picture, then a camera of that name."""
    status, result = ask(peer, "What is this?")
    assert (GoalStatus.STATUS_ABORTED, False) == (status, result.complete)
    assert "not configured" in result.message
    assert peer.transition("configure")
    assert "got none yet" in ask(peer, "What is this?")[1].message
    answer = ground(peer, "say Mark: 7")
    assert not answer.accepted
    assert "got none yet" in answer.message
    assert "expected one of ['image']" in ask(peer, "What is this?", camera="wrist")[1].message


def test_an_answer_comes_word_by_word(peer, seeing):
    """Feedback is what was said so far, each longer than the one before; the result is all of it."""
    heard = []
    answer = peer.future(send(peer, "What is this?", feedback=heard).get_result_async())
    assert (GoalStatus.STATUS_SUCCEEDED, True, "") == (answer.status, answer.result.complete, answer.result.message)
    assert "".join(PIECES) == answer.result.text
    assert len(heard) >= 2
    assert all("".join(PIECES).startswith(text) for text in heard)
    assert sorted(set(heard), key=len) == heard


def test_one_question_at_a_time(peer, seeing):
    """A second question is refused while the first is answered, and does not disturb it."""
    first = send(peer, "What is this?").get_result_async()
    second = ground(peer, "say Mark: 7")
    assert not second.accepted
    assert "another question" in second.message
    assert peer.future(first).result.complete


def test_a_canceled_question_ends_at_once_and_the_next_one_is_answered(peer, seeing):
    """What was said before the cancel is in the result."""
    heard = []
    handle = send(peer, "What is this?", feedback=heard)
    peer.wait(lambda: heard, what="a word")
    assert 1 == len(peer.future(handle.cancel_goal_async()).goals_canceling)
    answer = peer.future(handle.get_result_async())
    assert (GoalStatus.STATUS_CANCELED, False) == (answer.status, answer.result.complete)
    assert "canceled" in answer.result.message
    assert answer.result.text != "".join(PIECES)
    assert ask(peer, "What is this?")[1].complete


@pytest.mark.parametrize("question", ["two\nlines", "<|eot_id|>", ""])
def test_a_question_that_cannot_be_used_is_refused(peer, seeing, question):
    """The reason is in the result."""
    status, result = ask(peer, question)
    assert GoalStatus.STATUS_ABORTED == status
    assert "expected" in result.message or "reserved" in result.message


def test_a_phrase_is_grounded_by_the_number_of_a_mark(peer, seeing):
    """The grid's mark is answered with its place in the camera's picture, and with all marks that were drawn."""
    answer = ground(peer, "say Mark: 7", columns=4, rows=2)
    assert (True, "Mark: 7") == (answer.accepted, answer.text)
    assert list(range(1, 9)) == [mark.number for mark in answer.drawn]
    assert (7, 2.5 * 8 - 0.5, 1.5 * 16 - 0.5) == (answer.mark.number, answer.mark.x_px, answer.mark.y_px)
    assert "camera" == answer.header.frame_id


def test_a_phrase_is_grounded_by_a_place_too(peer, seeing):
    """Without a mark's number the place that was said counts, and the nearest mark."""
    marks = [Mark(number=3, x_px=2.0, y_px=2.0), Mark(number=9, x_px=20.0, y_px=20.0)]
    answer = ground(peer, "say <box>(500,600),(700,800)</box>", candidates=marks)
    assert answer.accepted, answer.message
    assert 9 == answer.mark.number
    np.testing.assert_allclose([0.6 * SIZE_PX - 0.5, 0.7 * SIZE_PX - 0.5], [answer.mark.x_px, answer.mark.y_px])


@pytest.mark.parametrize(
    ("phrase", "more", "said"),
    [
        ("say I do not know", {}, "expected"),
        ("say Mark: 99", {}, "got mark 99"),
        ("say Mark: 1", {"columns": 40}, "1 to 32"),
        ("say Mark: 1", {"candidates": [Mark(number=1, x_px=-9.0)]}, "in the picture"),
        ("say Mark: 1", {"candidates": [Mark(number=1)] * 2}, "no number twice"),
        ("<image>", {}, "reserved"),
    ],
)
def test_no_place_is_made_up(peer, seeing, phrase, more, said):
    """An answer without a place, about another mark, and a question that cannot be used are refused with the reason."""
    answer = ground(peer, phrase, **more)
    assert not answer.accepted
    assert said in answer.message


def test_a_trace_is_predicted_and_shown(peer, seeing):
    """From where its mark is, in the camera's pixels, once a control period; the topic has the same."""
    mark = Mark(number=5, x_px=8.0, y_px=16.0)
    answer = peer.call(PredictTrace, interface.PREDICT_TRACE.name, task="lift the carrot", marks=[mark], num_steps=3)
    assert answer.accepted, answer.message
    (trace,) = answer.predicted.traces
    assert (5, "image", SIZE_PX) == (trace.number, answer.predicted.camera, answer.predicted.width_px)
    np.testing.assert_allclose([8.0, 8.5, 9.0, 9.5], trace.x_px, atol=0.2)
    np.testing.assert_allclose([16.0] * 4, trace.y_px, atol=0.2)
    assert 1.0 / RATE_HZ == answer.predicted.step_s
    peer.wait(lambda: peer.predicted, what="the topic")
    assert peer.predicted[-1] == answer.predicted


def test_a_trace_of_nothing_is_refused(peer, seeing):
    """Without a task, and without an instruction that is followed, there is nothing to ask about."""
    answer = peer.call(PredictTrace, interface.PREDICT_TRACE.name, marks=[Mark(number=1)])
    assert not answer.accepted
    assert "expected a sentence" in answer.message


def test_an_answer_that_has_no_time_waits_and_delays_no_action(peer, seeing):
    """Words of 0.2 s do not fit between pictures that come every 0.05 s: they are found when the arm rests again."""
    assert peer.set_instruction("lift").accepted
    peer.wait(lambda: peer.commands, what="actions")
    heard = []
    asked = send(peer, "What is this?", feedback=heard).get_result_async()
    before = len(peer.commands)
    peer.wait(lambda: len(peer.commands) >= before + 20, what="actions")
    assert [] == heard
    assert peer.set_instruction("").accepted
    assert "".join(PIECES) == peer.future(asked).result.text


def test_a_question_ends_with_its_policy(peer, seeing):
    """Cleaning the node up answers whoever waits."""
    asked = send(peer, "What is this?").get_result_async()
    assert peer.transition("deactivate")
    assert peer.transition("cleanup")
    assert not peer.future(asked).result.complete
