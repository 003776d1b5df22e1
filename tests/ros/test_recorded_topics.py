import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from ament_index_python.packages import get_package_share_directory

from magma_ros import arms
from magma_ros.arm import GripperTopic
from magma_ros.errors import RecordingError
from magma_ros.msg import ActionChunk, EndEffectorDelta
from magma_ros.ros import interface
from magma_ros.ros.recorded_topics import bag_qos, bag_types, message_type, recorded_topics, tf_topics, type_name


def names(arm):
    topics = recorded_topics(arms.load(arm), camera_topic="", image_transport="raw")
    return {topic.name: type_name(topic.message) for topic in topics}


STACK = {
    "policy_action",
    "taken_action",
    "teleop_twist",
    "teleop_gripper",
    "action_chunk",
    "action_contract",
    "policy_status",
    "motion_status",
    "setpoint",
    "emergency_stop",
    "predicted_traces",
    "/diagnostics",
}


def test_everything_of_the_simulated_arm_is_recorded():
    """Camera with its CameraInfo, measured state, the stack's topics and the command, each once."""
    cameras = {"camera/image_raw", "camera/camera_info"}
    assert STACK | cameras | {"joint_states", "ee_pose", "ee_delta"} == set(names("sim"))


@pytest.mark.parametrize("arm", arms.available())
def test_every_arm_s_command_and_cameras_are_recorded(arm):
    """What moved the arm is in the bag with the type that its output has."""
    loaded, found = arms.load(arm), names(arm)
    kinds = {"twist": "TwistStamped", "pose": "PoseStamped", "joint_trajectory": "JointTrajectory"}
    assert STACK <= set(found)
    assert {camera.topic for camera in loaded.topics.cameras} <= set(found)
    assert found[loaded.output.topic].endswith(kinds.get(loaded.output.kind, "EndEffectorDelta"))


def test_cameras_are_taken_as_they_are_published():
    """A compressed camera is recorded compressed."""
    topics = recorded_topics(arms.load("sim"), camera_topic="front", image_transport="compressed")
    assert ("front/compressed", "sensor_msgs/msg/CompressedImage") == (topics[0].name, type_name(topics[0].message))


def test_a_recorder_asks_for_no_more_than_is_offered():
    """No subscription wants more reliability or durability than our nodes offer, and each has room for a burst."""
    for topic in recorded_topics(arms.load("sim"), camera_topic="", image_transport="raw"):
        assert topic.offered.reliable or not topic.requested.reliable
        assert topic.offered.latched or not topic.requested.latched
        assert topic.requested.depth >= 10


def test_a_gripper_s_unknown_type_is_refused():
    """A type that is not installed is named."""
    sim = arms.load("sim")
    command = GripperTopic(topic="grip", message="no_such_msgs/msg/Grip")
    with pytest.raises(RecordingError, match="no_such_msgs/msg/Grip"):
        recorded_topics(
            replace(sim, gripper=replace(sim.gripper, command=command)), camera_topic="", image_transport="raw"
        )


def test_definitions_are_the_installed_ones():
    """A bag names our types by the hash that ROS itself computed, so that a player recognises them."""
    types = bag_types([type_name(ActionChunk), "diagnostic_msgs/msg/DiagnosticArray"])
    described = json.loads((Path(get_package_share_directory("magma_ros")) / "msg/ActionChunk.json").read_text())
    hashes = {known["type_name"]: known["hash_string"] for known in described["type_hashes"]}
    assert hashes["magma_ros/msg/ActionChunk"] == types.hash_rihs01("magma_ros/msg/ActionChunk")
    assert "MSG: magma_ros/EndEffectorDelta" in types.generate_msgdef("magma_ros/msg/ActionChunk", ros_version=2)[0]
    with pytest.raises(RecordingError, match="expected its installed definition"):
        bag_types(["no_such_msgs/msg/Grip"])


def test_frames_are_recorded_where_their_type_is_installed(monkeypatch):
    """/tf and the latched /tf_static are there, and are left out without tf2_msgs."""
    assert [("/tf", False), ("/tf_static", True)] == [(t.name, t.requested.latched) for t in tf_topics()]
    monkeypatch.setitem(sys.modules, "tf2_msgs.msg", None)
    assert [] == tf_topics()


def test_types_by_name():
    """A name and its class lead to each other; a type that is not installed is None."""
    assert EndEffectorDelta is message_type(type_name(EndEffectorDelta))
    assert None is message_type("no_such_msgs/msg/Grip")


def test_the_bag_knows_what_is_latched():
    """A player offers a latched topic as a latched one."""
    assert "TRANSIENT_LOCAL" == bag_qos(interface.STATUS.offered).durability.name
    assert ("BEST_EFFORT", "VOLATILE") == (
        bag_qos(interface.CAMERA.offered).reliability.name,
        bag_qos(interface.CAMERA.offered).durability.name,
    )
