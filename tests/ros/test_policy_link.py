"""What is heard of the policy beside its actions, and what becomes of it; a graph by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from std_msgs.msg import String

from magma_ros.msg import PolicyStatus
from magma_ros.ros.conversions import contract_message
from magma_ros.ros.policy_link import PolicyLink
from magma_ros.stops import Stop, StopReason
from tests.examples import CONTRACT
from tests.ros.plain_node import HeldLock, PlainNode


class Listener:
    """Teleoperation and diagnostics in one: notes what it is told, and whether the lock was held."""

    def __init__(self, lock):
        self._lock = lock
        self.said, self.adopted, self.counted = [], [], []

    def policy_said(self, *, ended, now_s):
        self.said.append((ended, now_s))

    def adopt(self, contract):
        self.adopted.append((contract, self._lock.is_held))

    def count(self, group, reason):
        self.counted.append((group, reason))


class Desk:
    """A link and whom it tells; its clock shows 5 s."""

    def __init__(self):
        self.node, lock = PlainNode(), HeldLock()
        self.told = Listener(lock)
        self.link = PolicyLink(self.node, self.told, lock=lock, now_s=lambda: 5.0, diagnostics=self.told)

    def hear(self, *statuses):
        self.node.topics["policy_status"].waiting.extend(statuses)
        self.link.listen()
        return self.told.said

    def send_contract(self, text):
        self.node.topics["action_contract"].send(data=text)


@pytest.fixture
def desk():
    return Desk()


@pytest.mark.parametrize("state", [PolicyStatus.IDLE, PolicyStatus.ACTING])
def test_a_policy_at_work_is_a_sign_of_life(desk, state):
    """Idle or acting, nothing has ended, whatever sentence stands beside it."""
    assert [(None, 5.0)] == desk.hear(PolicyStatus(state=state, stop_reason="frozen_camera", detail="slow"))


@pytest.mark.parametrize("state", [PolicyStatus.STOPPED, PolicyStatus.UNCONFIGURED])
def test_a_policy_that_stopped_brings_the_arm_to_rest(desk, state):
    """Its own reason and its sentence are passed on, and it lives all the same."""
    said = desk.hear(PolicyStatus(state=state, stop_reason="frozen_camera", detail="the same picture 5 times"))
    stop = Stop(StopReason.FROZEN_CAMERA, "the policy stopped: the same picture 5 times")
    assert [(stop, 5.0)] == said


def test_a_stop_without_a_sentence_has_its_reason(desk):
    """The name of the reason stands where the sentence is missing."""
    ((stop, _),) = desk.hear(PolicyStatus(state=PolicyStatus.STOPPED, stop_reason="high_entropy"))
    assert Stop(StopReason.HIGH_ENTROPY, "the policy stopped: high_entropy") == stop


@pytest.mark.parametrize("reason", ["", "out_of_coffee", "FROZEN_CAMERA"])
def test_a_reason_that_nobody_knows_is_a_failure(desk, reason):
    """Of a policy node of another version, or where none was given: the arm rests anyhow."""
    ((stop, _),) = desk.hear(PolicyStatus(state=PolicyStatus.STOPPED, stop_reason=reason))
    assert Stop(StopReason.POLICY_FAILED, f"the policy stopped: {reason}") == stop


def test_what_was_said_is_heard_in_its_order_when_somebody_listens(desk):
    """Nothing is told before `listen`; then the hold comes before the life that followed it, and only once."""
    waiting = desk.node.topics["policy_status"].waiting
    waiting.append(PolicyStatus(state=PolicyStatus.STOPPED, stop_reason="swapping"))
    assert [] == desk.told.said
    said = desk.hear(PolicyStatus(state=PolicyStatus.ACTING))
    assert [StopReason.SWAPPING, None] == [ended and ended.reason for ended, _ in said]
    assert 2 == len(desk.hear())


def test_a_contract_is_adopted_under_the_lock(desk):
    """It is what was sent, each time that one is, and a line tells what the numbers mean."""
    faster = replace(CONTRACT, control_rate_hz=10.0)
    desk.send_contract(contract_message(CONTRACT).data)
    desk.send_contract(contract_message(faster).data)
    assert [(CONTRACT, True), (faster, True)] == desk.told.adopted
    assert [("info", f"the policy's numbers mean: {contract}") for contract in (CONTRACT, faster)] == desk.node.lines
    assert [] == desk.told.counted


@pytest.mark.parametrize("text", ["", "{", "[]", contract_message(CONTRACT).data.replace('"rpy"', '"quaternion"')])
def test_a_contract_that_cannot_be_read_is_refused_and_counted(desk, text):
    """Nothing is adopted; the diagnostics count it, and one line of the log says why."""
    desk.send_contract(text)
    assert ([], [("refused messages", "action_contract")]) == (desk.told.adopted, desk.told.counted)
    ((level, line),) = desk.node.lines
    assert "error" == level
    assert line.startswith("action_contract: ")


def test_a_contract_after_a_broken_one_is_adopted(desk):
    """A refusal leaves the link as it was, and says nothing of the policy's life."""
    desk.send_contract(String().data)
    desk.send_contract(contract_message(CONTRACT).data)
    assert ([(CONTRACT, True)], []) == (desk.told.adopted, desk.told.said)
