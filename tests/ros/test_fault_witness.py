"""The witness of the fault suite notes what comes, when it comes, and asks nodes as an operator would."""

from __future__ import annotations

import math
import threading
import time

import pytest
from geometry_msgs.msg import PoseStamped, TwistStamped
from std_msgs.msg import Float64
from std_srvs.srv import Trigger

from magma_ros import arms
from magma_ros.errors import EnvError
from magma_ros.msg import MotionStatus, PolicyStatus
from magma_ros.ros import conversions, endpoints, interface
from magma_ros.sim.faults import witness as module
from magma_ros.sim.faults.witness import Witness


@pytest.fixture(scope="module")
def witness():
    """Of the stand-in arm, on a graph of its own."""
    found = Witness(arms.load("stand_in"), simulate_time=False)
    yield found
    found.close()


def until(condition) -> None:
    end_s = time.monotonic() + 10.0
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.002)


TWIST = endpoints.Topic("twist_command", TwistStamped, endpoints.COMMAND, endpoints.COMMAND, "")
GRIPPER = endpoints.Topic("gripper_command", Float64, endpoints.COMMAND, endpoints.COMMAND, "")
POSE = endpoints.Topic("ee_pose", PoseStamped, endpoints.STATE, endpoints.SENSOR, "")


def send(witness: Witness, message, topic: endpoints.Topic, notes: list) -> float:
    """Publish one message and wait until it is noted; the instant before [s]."""
    publisher = topic.publisher(witness.node)
    until(lambda: publisher.get_subscription_count() > 0)
    before_s, number = time.monotonic(), len(notes)
    publisher.publish(message)
    until(lambda: len(notes) > number)
    witness.take_off(publisher)
    return before_s


def measured(x: float, stamp_s: float) -> PoseStamped:
    message = PoseStamped()
    message.header.stamp = conversions.time_message(stamp_s)
    message.pose.position.x, message.pose.position.y = x, 2.0
    return message


def test_a_command_is_noted_by_its_speeds_and_its_instant(witness) -> None:
    """3, 4 and 12 are 13 m/s; 2, 3 and 6 are 7 rad/s; NaN stays NaN."""
    twist = TwistStamped()
    for name, xyz in (("linear", (3.0, -4.0, 12.0)), ("angular", (-2.0, 3.0, 6.0))):
        vector = getattr(twist.twist, name)
        vector.x, vector.y, vector.z = xyz
    before_s = send(witness, twist, TWIST, witness.commands)
    assert (witness.commands[-1].speed_m_s, witness.commands[-1].speed_rad_s) == (13.0, 7.0)
    assert before_s < witness.commands[-1].t_s < time.monotonic()
    twist.twist.linear.x = math.nan
    send(witness, twist, TWIST, witness.commands)
    assert math.isnan(witness.commands[-1].speed_m_s)


def test_a_gripper_goal_and_a_setpoint_are_noted(witness) -> None:
    """The one by its instant, the other with its place."""
    before_s = send(witness, Float64(data=0.5), GRIPPER, witness.gripper_s)
    assert before_s < witness.gripper_s[-1] < time.monotonic()
    send(witness, measured(1.0, 0.0), interface.SETPOINT, witness.setpoints)
    assert witness.setpoints[-1].xyz_m == (1.0, 2.0, 0.0)


def test_a_measured_speed_is_that_between_two_stamps(witness) -> None:
    """One pose has none; 6 cm in 0.3 s are 0.2 m/s; a pose with the same stamp as the last, or an older, gives none."""
    publisher = POSE.publisher(witness.node)
    until(lambda: publisher.get_subscription_count() > 0)
    for x, stamp_s in ((0.0, 5.0), (0.06, 5.3), (9.0, 5.3), (7.0, 5.1)):
        heard = witness._last_pose  # a pose that gives no speed leaves no other trace
        publisher.publish(measured(x, stamp_s))
        until(lambda heard=heard: witness._last_pose is not heard)
    publisher.publish(measured(7.2, 5.5))
    until(lambda: len(witness.measured) == 2)
    assert [sample.speed_m_s for sample in witness.measured] == [pytest.approx(0.2), pytest.approx(0.5)]
    witness.take_off(publisher)


def test_statuses_are_noted_with_their_reasons(witness) -> None:
    """The newest is kept whole; only a motion node that says so is halted."""
    assert (witness.motion, witness.policy) == (None, None)
    halted = MotionStatus(state=MotionStatus.HALTED, reason="emergency_stop")
    send(witness, halted, interface.MOTION_STATUS, witness.reports)
    assert (witness.reports[-1].topic, witness.reports[-1].reason) == (interface.MOTION_STATUS.name, "emergency_stop")
    assert witness.reports[-1].halted
    assert witness.motion == halted
    send(witness, PolicyStatus(stop_reason="policy_silent"), interface.STATUS, witness.reports)
    assert (witness.reports[-1].topic, witness.reports[-1].reason) == (interface.STATUS.name, "policy_silent")
    assert not witness.reports[-1].halted
    assert witness.policy.stop_reason == "policy_silent"


def test_a_service_is_asked(witness) -> None:
    """Whether a halt was lifted is the answer of the motion node."""
    answers = iter([True, False])

    def answer(_request, response):
        response.success = next(answers)
        return response

    witness.node.create_service(Trigger, interface.RESET_HALT.name, answer)
    assert [witness.reset_halt(), witness.reset_halt()] == [True, False]


def test_a_service_that_is_not_there_is_an_error(witness, monkeypatch) -> None:
    """With its name and how long it was waited for."""
    monkeypatch.setattr(module, "ANSWER_S", 0.05)
    with pytest.raises(EnvError, match=r"^service nowhere: expected it on the graph within 0\.05 s, it is not there$"):
        witness.call(Trigger, "nowhere")


def test_a_service_that_does_not_answer_is_an_error(witness, monkeypatch) -> None:
    """Nobody waits for ever for a node that hangs."""
    release = threading.Event()

    def hang(_request, response):
        release.wait(10.0)
        return response

    witness.node.create_service(Trigger, "hangs", hang)
    witness.client(Trigger, "hangs")
    monkeypatch.setattr(module, "ANSWER_S", 0.05)
    with pytest.raises(EnvError, match=r"^service hangs: expected an answer within 0\.05 s, got none$"):
        witness.call(Trigger, "hangs")
    release.set()
