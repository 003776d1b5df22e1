"""Messages that no honest node would send: none raises out of a callback, none is lost without being counted."""

import contextlib
import struct
from array import array
from pathlib import Path

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseStamped, Quaternion, TransformStamped, Vector3
from hypothesis import given, settings
from hypothesis import strategies as st
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Header, String
from tf2_msgs.msg import TFMessage

from magma_ros import arms
from magma_ros.contract import ActionContract, CameraSpec
from magma_ros.errors import ContractError, InvalidInputError
from magma_ros.msg import EndEffectorDelta
from magma_ros.prompts import clean_instruction
from magma_ros.ros import conversions
from magma_ros.ros.measured_state import MeasuredState
from magma_ros.ros.observing import Observer
from magma_ros.ros.pictures import ENCODINGS
from magma_ros.stops import Stop
from magma_ros.supervision import Supervisor, SupervisorOptions
from magma_ros.types import Observation, Pose, Proprio, SafeAction, StampedPose
from tests.ros.arm_messages import measured_state, picture

SIM, UR5E = arms.load("sim"), arms.load("ur5e")
LISTENER = str(Path(__file__).with_name("listening_node.py"))
LONGEST_DETAIL = 4000
"""A sentence for people is published many times a second: it must not carry a megabyte that came in [characters]."""

UINT32 = 2**32 - 1
stamps = st.builds(Time, sec=st.integers(-(2**31), 2**31 - 1), nanosec=st.integers(0, UINT32)) | st.just(Time(sec=10))
words = st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",)), max_size=20)
texts = words | st.sampled_from(["", "a", "b", "c", "\ufffd", "x" * 1_000_000])
frames = st.sampled_from(["base_link", "tool0"]) | texts
headers = st.builds(Header, stamp=stamps, frame_id=frames)
numbers = st.floats(width=64) | st.sampled_from([0.0, 1.0, 0.01])
vectors = st.builds(Vector3, x=numbers, y=numbers, z=numbers)
quaternions = st.builds(Quaternion, x=numbers, y=numbers, z=numbers, w=numbers) | st.just(Quaternion(w=1.0))
sizes = st.sampled_from([0, 1, 2, 3, 8, 4096, 2**16, UINT32])
payloads = st.binary(max_size=600).map(lambda data: array("B", data))
images = st.builds(
    Image,
    header=headers,
    height=sizes,
    width=sizes,
    step=sizes,
    encoding=st.sampled_from(sorted(ENCODINGS)) | texts,
    is_bigendian=st.integers(0, 255),
    data=payloads,
)
formats = st.sampled_from(["jpeg", "png", "rgb8; jpeg compressed bgr8", "; png", "16UC1; compressedDepth png"]) | texts
compressed = st.builds(
    CompressedImage,
    header=headers,
    format=formats,
    data=payloads | payloads.map(lambda data: array("B", b"\x89PNG\r\n\x1a\n") + data),
)


@st.composite
def sound_pictures(draw):
    message = picture(10.0, shade=draw(st.integers(0, 3)))
    message.header = draw(headers)
    return message


pictures = sound_pictures()
names = st.lists(st.sampled_from([*SIM.home.joints, SIM.gripper.joint, "stranger"]) | texts, max_size=9)
joint_states = st.builds(
    JointState,
    header=headers,
    name=names,
    position=st.lists(numbers, max_size=9),
    velocity=st.lists(numbers, max_size=2),
)


@st.composite
def pose_messages(draw):
    message = PoseStamped(header=draw(headers))
    place, message.pose.orientation = draw(vectors), draw(quaternions)
    message.pose.position.x, message.pose.position.y, message.pose.position.z = place.x, place.y, place.z
    return message


@st.composite
def transforms(draw):
    message = TransformStamped(header=draw(headers), child_frame_id=draw(frames))
    message.transform.translation, message.transform.rotation = draw(vectors), draw(quaternions)
    return message


tf_messages = st.builds(TFMessage, transforms=st.lists(transforms(), max_size=6))
deltas = st.builds(
    EndEffectorDelta, header=headers, translation_m=vectors, rotation_vector_rad=vectors, gripper_opening=numbers
)


def over_the_wire(message):
    """The message as another process receives it."""
    return deserialize_message(serialize_message(message), type(message))


def check_stop(stop):
    assert isinstance(stop, Stop)
    assert len(stop.detail) < LONGEST_DETAIL


@given(st.lists(st.tuples(st.sampled_from(["left", "right", "wrist"]), images | compressed | pictures), max_size=6))
def test_no_picture_raises_and_every_refusal_is_counted(shots):
    """Any picture is seen, waits for its partner or is a counted stop, and a sound pair after them is seen."""
    measured = measured_state(SIM, stamp_s=10.0)
    eyes = Observer(["left", "right"], measured, slop_s=0.1, max_proprio_lag_s=1.0, max_identical_pictures=3)
    for camera, message in shots:
        before = eyes.rejected.total()
        seen = eyes.observe(camera, over_the_wire(message), instruction="lift")
        if isinstance(seen, Observation):
            assert conversions.time_message(seen.stamp_s).sec >= 0
        elif seen is not None:
            check_stop(seen)
            assert eyes.rejected.total() > before
    eyes.observe("left", picture(9.0, shade=1), instruction="lift")
    eyes.observe("left", picture(10.2, shade=2), instruction="lift")
    eyes.observe("right", picture(9.5, shade=1), instruction="lift")
    assert isinstance(eyes.observe("right", picture(10.2, shade=2), instruction="lift"), Observation)


@given(st.lists(joint_states | pose_messages(), max_size=8))
def test_no_measured_state_raises_and_what_is_kept_is_finite(messages):
    """Joints and poses are kept whole or counted; what comes out is finite, or a stop that a person can read."""
    measured = MeasuredState(SIM)
    measured.compare_with(lambda: 10.0)
    for message in messages:
        before, keep = measured.rejected.total(), measured.keep_pose
        if isinstance(message, JointState):
            keep = measured.keep_joints
        keep(over_the_wire(message))
        assert measured.rejected.total() - before in (0, 1)
    check_state(measured)


@settings(max_examples=50)
@given(st.lists(tf_messages, max_size=4), st.lists(tf_messages, max_size=2))
def test_no_transform_raises_and_what_is_kept_is_finite(moving, static):
    """Links of any names, numbers and stamps give a finite pose or a stop; refused links are counted one by one."""
    measured = MeasuredState(UR5E)
    measured.compare_with(lambda: 10.0)
    for message in moving:
        measured.keep_transforms(over_the_wire(message))
    for message in static:
        measured.keep_static_transforms(over_the_wire(message))
    assert measured.rejected.total() <= sum(len(message.transforms) for message in [*moving, *static])
    check_state(measured)


def check_state(measured):
    pose, state = measured.pose(), measured.proprio(since_s=0.0)
    if pose is not None:
        assert np.isfinite([*pose.pose.position_m, *pose.pose.quat_xyzw, pose.stamp_s]).all()
    if isinstance(state, Proprio):
        assert np.isfinite([*state.ee_position_m, *state.joint_positions_rad, state.gripper_opening]).all()
    else:
        check_stop(state)


CONTRACT = ActionContract(
    embodiment="sim",
    frame="base_link",
    rotation_form="rpy",
    gripper_polarity="open_is_one",
    reference="target",
    control_rate_hz=5.0,
    max_translation_m=0.05,
    max_rotation_rad=0.5,
    cameras=(CameraSpec("image", 8, 8),),
)
REST = StampedPose(Pose(np.array([0.3, 0.0, 0.2]), np.array([0.0, 0.0, 0.0, 1.0])), 10.0)


@given(st.lists(deltas, min_size=1, max_size=6))
def test_no_action_raises_and_what_passes_is_within_the_limits(messages):
    """Wanted displacements of any numbers, stamps and frames are stops, or short and finite ones in the base frame."""
    supervisor = Supervisor(SIM, options=SupervisorOptions())
    supervisor.adopt(CONTRACT)
    for message in messages:
        received = over_the_wire(message)
        decision = supervisor.offer(
            conversions.action_from_message(received),
            stamp_s=conversions.seconds(received.header.stamp),
            now_s=10.0,
            measured=REST,
        )
        if isinstance(decision, SafeAction):
            assert received.header.frame_id == "base_link"
            assert np.linalg.norm(decision.action.translation_m) <= SIM.limits.max_translation_step_m + 1e-9
            assert 0.0 <= decision.action.gripper_opening <= 1.0
        else:
            check_stop(decision)


@given(texts | st.sampled_from(["{}", "[]", "null", "[" * 60_000, '{"cameras": 1}', '{"frame": NaN}']))
def test_no_text_is_an_instruction_or_a_contract_by_accident(text):
    """Texts of any length and script are taken or refused with an error of this project, never with another one."""
    received = over_the_wire(String(data=text))
    with contextlib.suppress(InvalidInputError):
        assert "\ufffd" not in clean_instruction(received.data)
    with pytest.raises(ContractError):
        conversions.contract_from_message(received)


def cdr(text: bytes) -> bytes:
    """A std_msgs/String on the wire, whatever its bytes are."""
    return b"\x00\x01\x00\x00" + struct.pack("<I", len(text) + 1) + text + b"\x00"


RAW = {
    "not UTF-8": cdr(b"lift \xff\xfe\x80"),
    "a megabyte": cdr(b"x" * 1_000_000),
    "a string that is longer than the message": b"\x00\x01\x00\x00" + struct.pack("<I", UINT32) + b"ab",
    "cut off": cdr(b"lift")[:7],
    "only a header": b"\x00\x01\x00\x00",
    "another encoding": b"\xff" * 6,
}


def test_bytes_that_are_no_message_do_not_end_a_node(peer):
    """A node in a process of its own lives through raw bytes, counts those that it can read, and goes on.

    Bytes that are not UTF-8 arrive as replacement characters and are refused as an instruction; what does not
    deserialise is dropped below rclpy.
    """
    node = peer.start("listening_node", LISTENER)
    reliable = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)
    heard = []
    peer.node.create_subscription(String, "heard", lambda message: heard.append(message.data), reliable)
    sender = peer.node.create_publisher(String, "text", reliable)
    peer.wait(lambda: sender.get_subscription_count() and peer.node.count_publishers("heard"), what="the node")
    peer.wait(lambda: (sender.publish(String(data="hello")), "taken: hello" in heard)[1], what="the first words")
    for payload in RAW.values():
        sender.publish(payload)
    joints = peer.node.create_publisher(JointState, "joint_states", reliable)
    sound = serialize_message(JointState(name=["waist"], position=[0.1]))

    def is_counted():  # who reads joints asks for none that came before it knew the sender
        joints.publish(sound[:-9])
        joints.publish(sound.replace(b"waist", b"\xff\xfe\xfd\xfc\xfb"))
        return "joints: no_joint_of_this_arm" in heard

    peer.wait(is_counted, what="the count of the joints")
    sender.publish(String(data="good bye"))
    peer.wait(lambda: "taken: good bye" in heard, what="the last words")
    assert "refused: not UTF-8" in heard
    assert "refused: too long" in heard
    node.require_alive()
    assert node.stop() == 0, node.last_lines()
    assert "Traceback" not in node.last_lines()
