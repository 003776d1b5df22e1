"""A person's halt and its end, with a real supervisor and a graph by hand."""

from __future__ import annotations

import time
from contextlib import nullcontext

import pytest
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_msgs.msg import Bool

from magma_ros import arms
from magma_ros.ros.halting import Halting
from magma_ros.ros.interface import EMERGENCY_STOP
from magma_ros.stops import Stop, StopReason
from magma_ros.supervision import Supervisor, SupervisorOptions
from tests.ros.plain_node import HeldLock, PlainNode

ARM = arms.load("stand_in")
BY_TOPIC = Stop(StopReason.EMERGENCY_STOP, "true on the topic emergency_stop")
BY_SERVICE = Stop(StopReason.EMERGENCY_STOP, "the service emergency_stop was called")


class LockedSupervisor(Supervisor):
    """Fails when it is halted by somebody who does not hold the lock."""

    lock: HeldLock

    def halt(self, stop):
        assert self.lock.is_held
        super().halt(stop)


class Desk:
    """What a person has in front of them, and what is wrong at present in `cause`."""

    def __init__(self):
        self.node, self.lock, self.cause, self.num_resets = PlainNode(), HeldLock(), "", 0
        self.supervisor = LockedSupervisor(ARM, options=SupervisorOptions())
        self.supervisor.lock = self.lock
        Halting(self.node, self.supervisor, lock=self.lock, reset=self.reset, present_cause=lambda: self.cause)

    def reset(self):
        assert self.lock.is_held
        self.num_resets += 1
        self.supervisor.reset()

    def press(self, *, data=True):
        self.node.topics["emergency_stop"].send(data=data)

    def call(self, name):
        response = self.node.services[name]()
        return response.success, response.message


@pytest.fixture
def desk():
    return Desk()


def test_nothing_is_halted_at_the_start(desk):
    """Only a person halts, and nobody has yet."""
    assert (None, 0) == (desk.supervisor.halted, desk.num_resets)


def test_true_on_the_topic_halts_and_says_so(desk):
    """The reason is the emergency stop, the sentence names the topic."""
    desk.press()
    assert BY_TOPIC == desk.supervisor.halted


def test_false_on_the_topic_does_nothing(desk):
    """It neither halts nor ends a halt."""
    desk.press(data=False)
    assert desk.supervisor.halted is None
    desk.press()
    desk.press(data=False)
    assert (BY_TOPIC, 0) == (desk.supervisor.halted, desk.num_resets)


def test_the_service_halts_and_always_succeeds(desk):
    """Whatever else is wrong: a halt cannot be refused."""
    desk.cause = "2 more publish"
    assert (True, "") == desk.call("emergency_stop")
    assert BY_SERVICE == desk.supervisor.halted


def test_a_second_halt_keeps_the_first_reason(desk):
    """The topic came first, and the service succeeds all the same."""
    desk.press()
    assert (True, "") == desk.call("emergency_stop")
    assert BY_TOPIC == desk.supervisor.halted


def test_a_reset_ends_the_halt(desk):
    """Without a present cause `reset_halt` resets once, and another halt may follow."""
    desk.press()
    assert (True, "") == desk.call("reset_halt")
    assert (None, 1) == (desk.supervisor.halted, desk.num_resets)
    desk.call("emergency_stop")
    assert BY_SERVICE == desk.supervisor.halted


def test_a_reset_is_refused_while_the_cause_is_there(desk):
    """The answer is the cause, nothing is reset; once it is gone, a second call does it."""
    desk.press()
    desk.cause = "1 more publish on 'twist_command'"
    assert (False, desk.cause) == desk.call("reset_halt")
    assert (BY_TOPIC, 0) == (desk.supervisor.halted, desk.num_resets)
    desk.cause = ""
    assert (True, "") == desk.call("reset_halt")
    assert desk.supervisor.halted is None


def test_the_lock_is_let_go(desk):
    """After each way to halt and to reset, the next one finds the lock free."""
    desk.press()
    desk.call("emergency_stop")
    desk.call("reset_halt")
    assert not desk.lock.is_held


def test_an_unread_stop_is_not_replaced_by_what_comes_after_it(peer):
    """A panel says `true` once and then `false` fifty times before anybody reads: the arm is halted."""
    node, supervisor = Node("halting", context=peer.context), Supervisor(ARM, options=SupervisorOptions())
    Halting(node, supervisor, lock=nullcontext(), reset=supervisor.reset, present_cause=str)
    panel = peer.publisher(EMERGENCY_STOP)
    peer.wait(panel.get_subscription_count, what="the motion node's ear")
    for data in [True] + 50 * [False]:
        panel.publish(Bool(data=data))
    executor = SingleThreadedExecutor(context=peer.context)
    executor.add_node(node)
    end_s = time.monotonic() + 10.0
    while supervisor.halted is None and time.monotonic() < end_s:
        executor.spin_once(timeout_sec=0.1)
    executor.shutdown()
    node.destroy_node()
    assert BY_TOPIC == supervisor.halted
