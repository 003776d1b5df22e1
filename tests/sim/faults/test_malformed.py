"""Malformed messages are malformed, and one comes on every topic that a node listens to."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
from builtin_interfaces.msg import Time
from sensor_msgs.msg import Image, JointState

from magma_ros import arms
from magma_ros.errors import InvalidInputError, MagmaRosError
from magma_ros.msg import EndEffectorDelta
from magma_ros.ros import conversions, interface, pictures
from magma_ros.sim.faults import malformed


def graph(ended: tuple[str, ...] = ()) -> SimpleNamespace:
    """An arm and a clock, all that the messages need."""
    clock = SimpleNamespace(now=lambda: SimpleNamespace(to_msg=lambda: Time(sec=7)))
    node = SimpleNamespace(get_clock=lambda: clock)
    return SimpleNamespace(arm=arms.load("stand_in"), witness=SimpleNamespace(node=node), ended=lambda: list(ended))


@pytest.fixture(scope="module")
def messages() -> list:
    return list(malformed.messages(graph()))


def test_every_topic_from_outside_gets_some(messages) -> None:
    """Camera, joints, pose, actions, a person's twists and gripper, contract and status."""
    expected = {"camera/image_raw", "joint_states", "ee_pose", "policy_action", "action_contract"}
    expected |= {interface.TELEOP_TWIST.name, interface.TELEOP_GRIPPER.name, interface.STATUS.name}
    assert {topic for topic, _ in messages} == expected


def test_no_picture_can_be_read(messages) -> None:
    """Sizes that lie, encodings that do not exist, too few bytes; the last has only a frame's name without end."""
    sent = [message for _, message in messages if isinstance(message, Image)]
    for picture in sent[:-1]:
        with pytest.raises(MagmaRosError):
            pictures.image_from_message(picture)
    assert len(sent[-1].header.frame_id) == 1_000_000


def test_no_joint_state_can_be_read(messages) -> None:
    """Another number of names than of positions; a name of a million letters is nobody's joint."""
    short, strange = (message for _, message in messages if isinstance(message, JointState))
    with pytest.raises(InvalidInputError, match="expected a position per name, got 1 for 2 names"):
        conversions.positions_from_message(short, wanted={"gripper"})
    assert conversions.positions_from_message(strange, wanted={"gripper"}) == {}


def test_no_contract_can_be_read(messages) -> None:
    """Nothing, halves of JSON, another value, a wrong type, too deep and too long."""
    contracts = [message for topic, message in messages if topic == interface.ACTION_CONTRACT.name]
    assert len(contracts) == 6
    for contract in contracts:
        with pytest.raises(MagmaRosError):
            conversions.contract_from_message(contract)


def test_every_action_is_beyond_all_bounds(messages) -> None:
    """Not finite, or metres in one step; one of them is without a stamp."""
    actions = [message for _, message in messages if isinstance(message, EndEffectorDelta)]
    numbers = [(action.translation_m.x, action.gripper_opening) for action in actions]
    assert all(not all(map(math.isfinite, pair)) or abs(pair[0]) > 1.0 for pair in numbers)
    assert len([action for action in actions if action.header.stamp == Time()]) == 1
    assert {action.header.frame_id for action in actions} == {"base_link"}


def test_what_has_not_survived_is_a_problem() -> None:
    """A sentence for each process that has ended."""
    assert malformed.problems(graph(), 42.0) == []
    assert malformed.problems(graph(("motion ended with -11",)), 42.0) == ["motion ended with -11"]
