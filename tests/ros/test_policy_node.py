"""The policy node in a process of its own, driven over DDS in the order of a working day."""

import signal
import time
from pathlib import Path

import pytest
from action_msgs.msg import GoalStatus
from lifecycle_msgs.msg import State
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from std_msgs.msg import String

from magma_ros.msg import MotionStatus, PolicyStatus
from magma_ros.ros import conversions, interface
from magma_ros.ros.goal import Outcome
from magma_ros.stops import StopReason

SCRIPT = str(Path(__file__).with_name("scripted_policy_node.py"))


@pytest.fixture(scope="module")
def policy(peer):
    """The node, unconfigured, with an empty folder for a checkpoint and a camera that films."""
    empty = peer.folder / "empty"
    empty.mkdir()
    child = peer.start("policy_node", SCRIPT, checkpoint=empty, max_consecutive_stops=3, control_rate_hz=20.0)
    peer.commands = peer.listen(interface.POLICY_ACTION)
    peer.chunks = peer.listen(interface.ACTION_CHUNK)
    peer.statuses = peer.listen(interface.STATUS)
    peer.film()
    peer.wait(lambda: peer.statuses, what="a status")
    return child


def set_checkpoint(peer, folder):
    return set_parameter(peer, "checkpoint", string_value=str(folder))


def set_parameter(peer, name, **value):
    kind = ParameterType.PARAMETER_STRING if "string_value" in value else ParameterType.PARAMETER_DOUBLE
    request = [Parameter(name=name, value=ParameterValue(type=kind, **value))]
    return peer.call(SetParameters, "policy_node/set_parameters", parameters=request).results[0]


def stays_silent(peer, duration_s=0.4):
    """Whether no command comes, once those under way have arrived."""
    peer.spin(0.1)
    count = len(peer.commands)
    peer.spin(duration_s)
    return len(peer.commands) == count


def test_a_bad_checkpoint_fails_the_configuration_and_says_why(peer, policy):
    """Configuring with a folder that is no checkpoint leaves the node unconfigured and clear about the reason."""
    assert peer.statuses[-1].state == PolicyStatus.UNCONFIGURED
    assert not peer.transition("configure")
    assert peer.state() == State.PRIMARY_STATE_UNCONFIGURED
    peer.wait(lambda: "script.json" in peer.statuses[-1].detail, what="the reason in the status")
    assert "not configured" in policy.last_lines()


def test_an_inactive_node_moves_nothing_and_refuses_instructions(peer, policy):
    """A configured node that is not active publishes no command, refuses instructions and rejects goals."""
    assert set_checkpoint(peer, peer.write_script()).successful
    assert peer.transition("configure")
    answer = peer.set_instruction("lift")
    assert not answer.accepted
    assert "not active" in answer.message
    assert not peer.send_goal("lift", step_budget=3).accepted
    assert stays_silent(peer)
    assert peer.commands == []


def test_parameters_are_locked_while_a_checkpoint_is_loaded(peer, policy):
    """A parameter that takes effect on configure cannot be set while it would change nothing."""
    result = set_checkpoint(peer, "elsewhere")
    assert not result.successful
    assert "clean up first" in result.reason


def test_an_active_node_without_an_instruction_is_idle(peer, policy):
    """Pictures alone move nothing."""
    peer.make_active()
    peer.wait(lambda: peer.statuses[-1].state == PolicyStatus.IDLE, what="idle")
    assert stays_silent(peer)


def test_an_instruction_is_acted_upon_until_an_empty_one_stops_it(peer, policy):
    """After set_instruction every picture is answered by one command with its stamp; an empty instruction ends that."""
    peer.make_active()
    assert peer.set_instruction("lift").accepted
    before = len(peer.commands)
    peer.wait(lambda: len(peer.commands) >= before + 5, what="commands")
    assert tuple(getattr(peer.commands[-1].translation_m, axis) for axis in ("x", "y", "z")) == (0.0, 0.0, 0.01)
    assert peer.commands[-1].header.frame_id == "base_link"
    stamps = [(m.header.stamp.sec, m.header.stamp.nanosec) for m in peer.commands]
    assert sorted(set(stamps)) == stamps
    assert list(range(7)) == list(peer.chunks[-1].tokens)
    status = peer.statuses[-1]
    assert (status.state, status.instruction, status.checkpoint) == (PolicyStatus.ACTING, "lift", "scripted")
    assert peer.set_instruction("").accepted
    assert stays_silent(peer)
    assert peer.statuses[-1].state == PolicyStatus.STOPPED


def test_an_instruction_may_come_by_topic(peer, policy):
    """The topic does what the service does; one that cannot be used changes nothing but the log."""
    peer.make_active()
    before, topic = len(peer.commands), peer.publisher(interface.INSTRUCTION)
    peer.wait(lambda: topic.get_subscription_count() > 0, what="the subscription")
    topic.publish(String(data="lift"))
    peer.wait(lambda: len(peer.commands) >= before + 3, what="actions")
    topic.publish(String(data="two\nlines"))
    peer.wait(lambda: "instruction refused" in policy.last_lines(), what="the refusal")
    assert peer.statuses[-1].instruction == "lift"
    topic.publish(String(data=""))
    peer.wait(lambda: peer.statuses[-1].state == PolicyStatus.STOPPED, what="the stop")
    assert stays_silent(peer)


@pytest.mark.parametrize("instruction", ["two\nlines", "<|eot_id|>", "x" * 600])
def test_an_instruction_that_cannot_be_used_is_refused_with_its_reason(peer, policy, instruction):
    """An unusable instruction is answered with the reason and changes nothing."""
    peer.make_active()
    answer = peer.set_instruction(instruction)
    assert not answer.accepted
    assert "instruction" in answer.message
    assert stays_silent(peer, 0.2)


def test_a_goal_is_told_of_each_step_and_ends_with_its_budget(peer, policy):
    """A goal of four steps gives feedback 1 to 4, succeeds with BUDGET_SPENT, and nothing moves after it."""
    peer.make_active()
    feedback = []
    handle = peer.send_goal("lift", step_budget=4, feedback=feedback)
    result = peer.result(handle)
    assert result.status == GoalStatus.STATUS_SUCCEEDED
    assert (result.result.outcome, result.result.num_steps) == (Outcome.BUDGET_SPENT, 4)
    peer.wait(lambda: len(feedback) == 4, what="feedback")
    assert [f.step for f in feedback] == [1, 2, 3, 4]
    assert all(f.moved and f.action.translation_m.z == 0.01 for f in feedback)
    assert stays_silent(peer)


@pytest.mark.parametrize(("step_budget", "timeout_s"), [(0, 1.0), (3, -1.0), (3, float("nan"))])
def test_a_goal_without_sense_is_rejected(peer, policy, step_budget, timeout_s):
    """No steps, a negative timeout and one that is no number are rejected."""
    peer.make_active()
    assert not peer.send_goal("lift", step_budget=step_budget, timeout_s=timeout_s).accepted


def test_a_canceled_goal_stops_commands(peer, policy):
    """Canceling ends the goal as CANCELED and no command follows."""
    peer.make_active()
    feedback = []
    handle = peer.send_goal("lift", step_budget=1000, feedback=feedback)
    peer.wait(lambda: feedback, what="feedback")
    assert len(peer.future(handle.cancel_goal_async()).goals_canceling) == 1
    result = peer.result(handle)
    assert (result.status, result.result.outcome) == (GoalStatus.STATUS_CANCELED, Outcome.CANCELED)
    assert stays_silent(peer)


def test_a_new_goal_preempts_the_old_one(peer, policy):
    """The first goal is aborted as PREEMPTED when a second one comes, which runs to its end."""
    peer.make_active()
    first = peer.send_goal("lift", step_budget=1000)
    second = peer.send_goal("lift again", step_budget=3)
    result = peer.result(first)
    assert (result.status, result.result.outcome) == (GoalStatus.STATUS_ABORTED, Outcome.PREEMPTED)
    assert peer.result(second).result.outcome == Outcome.BUDGET_SPENT


def test_a_goal_ends_with_its_timeout(peer, policy):
    """A goal of many steps is aborted as TIMEOUT once its time is over."""
    peer.make_active()
    start = time.monotonic()
    result = peer.result(peer.send_goal("lift", step_budget=1000, timeout_s=0.5))
    assert result.result.outcome == Outcome.TIMEOUT
    assert 0.4 < time.monotonic() - start < 1.5
    assert stays_silent(peer)


@pytest.mark.parametrize(
    ("instruction", "reason"), [("fail", StopReason.POLICY_FAILED), ("crash", StopReason.INTERNAL_ERROR)]
)
def test_a_policy_that_fails_moves_nothing_and_ends_the_goal(peer, policy, instruction, reason):
    """An error of the policy, expected or not, holds the arm, names its reason and after three ends the goal."""
    peer.make_active()
    before, feedback = len(peer.commands), []
    result = peer.result(peer.send_goal(instruction, step_budget=100, feedback=feedback))
    assert (result.result.outcome, result.result.num_steps) == (Outcome.STOPPED, 3)
    assert result.result.message.startswith(reason.value)
    peer.wait(lambda: len(feedback) == 3, what="feedback")
    assert {(False, reason.value)} == {(f.moved, f.stop_reason) for f in feedback}
    peer.wait(lambda: peer.statuses[-1].state == PolicyStatus.STOPPED, what="the status")
    assert reason.value == peer.statuses[-1].stop_reason
    assert before == len(peer.commands)


def test_a_dead_camera_stops_the_goal(peer, policy):
    """Without pictures the node says STALE_OBSERVATION and ends the goal."""
    peer.make_active()
    peer.is_filming = False
    peer.spin(0.2)
    result = peer.result(peer.send_goal("lift", step_budget=100))
    peer.is_filming = True
    assert result.result.outcome == Outcome.STOPPED
    assert result.result.message.startswith(StopReason.STALE_OBSERVATION.value)


def test_deactivating_stops_commands_and_activating_again_works(peer, policy):
    """Deactivation ends the instruction under way; the next activation waits for a new one."""
    peer.make_active()
    before = len(peer.commands)
    assert peer.set_instruction("lift").accepted
    peer.wait(lambda: len(peer.commands) > before, what="a command")
    assert peer.transition("deactivate")
    assert stays_silent(peer)
    assert peer.transition("activate")
    assert stays_silent(peer)


def test_a_halt_of_the_arm_ends_the_goal_and_refuses_the_next(peer, policy):
    """While the motion node reports HALTED no instruction is followed; afterwards one is."""
    peer.make_active()
    handle = peer.send_goal("lift", step_budget=1000)
    motion = peer.publisher(interface.MOTION_STATUS)
    motion.publish(MotionStatus(state=MotionStatus.HALTED, reason="emergency_stop", detail="a person"))
    result = peer.result(handle).result
    assert result.outcome == Outcome.STOPPED
    assert "emergency_stop" in result.message
    assert not peer.send_goal("lift", step_budget=3).accepted
    assert "reset_halt" in peer.set_instruction("lift").message
    motion.publish(MotionStatus(state=MotionStatus.HOLDING))
    peer.wait(lambda: peer.set_instruction("lift").accepted, what="an instruction after the reset")
    assert peer.set_instruction("").accepted


def test_a_sign_of_life_comes_fifty_times_a_second(peer, policy):
    """The motion node can tell a node that died from one that has nothing to say."""
    peer.make_active()
    before = len(peer.statuses)
    peer.spin(1.0)
    assert 40 <= len(peer.statuses) - before <= 60


def test_a_faster_camera_does_not_make_a_faster_policy(peer, policy):
    """At 20 pictures a second and a control rate of 5 Hz, five are acted on in a second."""
    assert peer.transition("deactivate")
    assert peer.transition("cleanup")
    assert set_parameter(peer, "control_rate_hz", double_value=5.0).successful
    peer.make_active()
    contracts = peer.listen(interface.ACTION_CONTRACT)
    assert peer.set_instruction("lift").accepted
    before = len(peer.commands)
    peer.wait(lambda: len(peer.commands) >= before + 6, what="actions")
    first, last = peer.commands[before].header.stamp, peer.commands[before + 5].header.stamp
    assert conversions.seconds(last) - conversions.seconds(first) == pytest.approx(1.0, abs=0.15)
    peer.wait(lambda: contracts, what="the contract")
    assert conversions.contract_from_message(contracts[-1]).control_rate_hz == 5.0
    assert peer.set_instruction("").accepted


def test_sigint_twice_ends_the_process_cleanly_and_nothing_moves_after(peer, policy):
    """SIGINT, and a second one right behind it, give exit status 0; no command comes afterwards."""
    peer.make_active()
    before = len(peer.commands)
    assert peer.set_instruction("lift").accepted
    peer.wait(lambda: len(peer.commands) > before, what="a command")
    policy.process.send_signal(signal.SIGINT)
    time.sleep(0.02)
    policy.process.send_signal(signal.SIGINT)
    assert policy.process.wait(10) == 0, policy.last_lines()
    assert stays_silent(peer)
    assert "Traceback" not in policy.last_lines(5)
