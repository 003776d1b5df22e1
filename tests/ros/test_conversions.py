import math
from dataclasses import replace

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Quaternion, Transform, Vector3
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import JointState

from magma_ros.contract import CameraSpec
from magma_ros.errors import InvalidInputError
from magma_ros.msg import ActionChunk as ActionChunkMessage
from magma_ros.msg import EndEffectorDelta
from magma_ros.ros import conversions
from magma_ros.types import Action, ActionChunk, Proprio
from tests import examples

CONTRACT = replace(examples.CONTRACT, max_translation_m=0.05, cameras=(CameraSpec("image", 8, 8),))
GRIPPER = conversions.GripperJoint("gripper", closed_position=0.015, open_position=0.037)
NAMES = ("waist", "shoulder")
STAMP = Time(sec=12, nanosec=345)

numbers = st.floats(allow_nan=False, allow_infinity=False, width=64)
stamps = st.builds(Time, sec=st.integers(0, 2**31 - 2), nanosec=st.integers(0, 10**9 - 1))


def over_the_wire(message):
    """The message as another process receives it."""
    return deserialize_message(serialize_message(message), type(message))


@given(stamps)
def test_stamps_keep_a_microsecond(stamp):
    """Seconds and back differ by less than a microsecond."""
    again = conversions.time_message(conversions.seconds(stamp))
    assert abs((again.sec - stamp.sec) * 10**9 + again.nanosec - stamp.nanosec) < 1000


@pytest.mark.parametrize("bad", [math.nan, math.inf, -1.0, 2.0**31])
def test_a_stamp_that_no_message_holds_is_refused(bad):
    """Not finite, negative and beyond 2038 are refused."""
    with pytest.raises(InvalidInputError, match="stamp"):
        conversions.time_message(bad)


def proprio(gripper=0.5):
    return Proprio(np.array([0.3, -0.1, 0.2]), np.array([0.0, 0.6, 0.0, 0.8]), gripper, np.array([0.1, -0.2]))


def state_messages(measured):
    joints = conversions.joint_state_message(measured, joint_names=NAMES, gripper=GRIPPER, stamp=STAMP)
    return joints, conversions.pose_message(measured, frame="base_link", stamp=STAMP)


@given(st.floats(0.0, 1.0))
def test_measured_state_survives_its_messages(gripper):
    """Joints, pose and gripper come back as they were."""
    measured = proprio(gripper)
    joints, pose = map(over_the_wire, state_messages(measured))
    positions = conversions.positions_from_message(joints, wanted=[*NAMES, GRIPPER.name])
    assert dict(zip(NAMES, measured.joint_positions_rad, strict=True)) == {name: positions[name] for name in NAMES}
    assert GRIPPER.opening(positions[GRIPPER.name]) == pytest.approx(gripper, abs=1e-12)
    again = conversions.pose_from_message(pose.pose)
    np.testing.assert_array_equal(measured.ee_position_m, again.position_m)
    np.testing.assert_array_equal(measured.ee_quat_xyzw, again.quat_xyzw)


def test_only_wanted_joints_are_read():
    """Joints of others are passed over, broken ones too; none at all is an empty answer."""
    joints = JointState(name=["other", "waist"], position=[math.nan, 0.5])
    assert conversions.positions_from_message(joints, wanted=["waist", "elbow"]) == {"waist": 0.5}
    assert conversions.positions_from_message(JointState(), wanted=["waist"]) == {}


@pytest.mark.parametrize(
    ("names", "positions"),
    [(["waist"], []), (["waist"], [0.1, 0.2]), (["waist", "waist"], [0.1, 0.1]), (["waist"], [math.nan])],
)
def test_malformed_joints_are_refused(names, positions):
    """Names without positions, the reverse, a joint that is there twice, and one that is not finite: all refused."""
    with pytest.raises(InvalidInputError, match="joint_states"):
        conversions.positions_from_message(JointState(name=names, position=positions), wanted=["waist"])


def test_a_transform_is_a_pose():
    """Translation and rotation of a transform are position and orientation of the child in its parent."""
    message = Transform(translation=Vector3(x=1.0, y=2.0, z=3.0), rotation=Quaternion(x=0.0, y=0.6, z=0.0, w=0.8))
    pose = conversions.pose_from_message(message)
    assert ([1.0, 2.0, 3.0], [0.0, 0.6, 0.0, 0.8]) == (pose.position_m.tolist(), pose.quat_xyzw.tolist())


@pytest.mark.parametrize(("axis", "value"), [("x", math.nan), ("z", math.inf)])
def test_a_position_that_is_not_finite_is_refused(axis, value):
    """Not a number and infinity are no places."""
    _, pose = state_messages(proprio())
    setattr(pose.pose.position, axis, value)
    with pytest.raises(InvalidInputError, match="finite"):
        conversions.pose_from_message(pose.pose)


@pytest.mark.parametrize("w", [0.0, 1.0, math.nan])
def test_a_quaternion_that_is_no_rotation_is_refused(w):
    """A quaternion whose norm is not one, or no number, is refused: nobody knows what was meant."""
    _, pose = state_messages(proprio())
    pose.pose.orientation.w = w
    with pytest.raises(InvalidInputError, match=r"finite|unit norm"):
        conversions.pose_from_message(pose.pose)


def test_joints_need_their_names():
    """A name too few is refused."""
    with pytest.raises(InvalidInputError, match="names"):
        conversions.joint_state_message(proprio(), joint_names=("waist",), gripper=GRIPPER, stamp=STAMP)


@pytest.mark.parametrize(("position", "opening"), [(0.015, 0.0), (0.037, 1.0), (0.01, 0.0), (0.05, 1.0)])
def test_gripper_positions_map_to_an_opening(position, opening):
    """Closed is 0 and open is 1; beyond the stops it stays there."""
    assert GRIPPER.opening(position) == pytest.approx(opening)


def test_a_gripper_that_does_not_move_is_refused():
    """Equal positions for open and closed can't be mapped."""
    with pytest.raises(InvalidInputError, match="different"):
        conversions.GripperJoint("gripper", 0.5, 0.5)


@given(st.lists(numbers, min_size=7, max_size=7), stamps)
def test_an_action_survives_its_message(row, stamp):
    """Every number, the frame and the capture time come back exactly."""
    action = Action.from_array(row, frame="base_link")
    message = over_the_wire(conversions.action_message(action, stamp=stamp))
    again = conversions.action_from_message(message)
    assert np.array_equal(action.to_array(), again.to_array())
    assert (action.frame, stamp) == (again.frame, message.header.stamp)


@given(st.integers(1, 5).flatmap(lambda n: st.tuples(hnp.arrays(np.float64, (n, 7), elements=numbers), st.booleans())))
def test_a_chunk_survives_its_message(drawn):
    """Actions, tokens and frame come back exactly, with or without tokens; the message says what the numbers mean."""
    actions, spoke = drawn
    tokens = np.arange(actions.size if spoke else 0).reshape(-1, 7)
    chunk = ActionChunk(actions, "base_link", conversions.seconds(STAMP), tokens)
    message = over_the_wire(conversions.chunk_message(chunk, contract=CONTRACT, stamp=STAMP))
    again = conversions.chunk_from_message(message)
    assert np.array_equal(chunk.actions, again.actions)
    assert np.array_equal(chunk.tokens, again.tokens)
    assert (chunk.frame, chunk.stamp_s) == (again.frame, again.stamp_s)
    assert ("toy_arm", 0.2) == (message.embodiment, message.control_period_s)


def test_a_malformed_chunk_is_refused():
    """No action, mixed frames and a wrong number of tokens are refused."""
    chunk = ActionChunk(np.zeros((2, 7)), "base_link", 0.0, np.zeros((2, 7), np.int64))
    mixed = conversions.chunk_message(chunk, contract=CONTRACT, stamp=STAMP)
    mixed.actions[1].header.frame_id = "map"
    short = conversions.chunk_message(chunk, contract=CONTRACT, stamp=STAMP)
    short.tokens = short.tokens[:-1]
    for bad in (ActionChunkMessage(), mixed, short):
        with pytest.raises(InvalidInputError, match="action_chunk"):
            conversions.chunk_from_message(bad)


def test_an_empty_command_is_no_motion_in_no_frame():
    """A default message carries no frame, which no arm accepts."""
    action = conversions.action_from_message(EndEffectorDelta())
    assert (action.frame, action.to_array().tolist()) == ("", [0.0] * 7)
