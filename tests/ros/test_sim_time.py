"""With use_sim_time the node lives in the time of /clock, seconds after 1970."""

from pathlib import Path

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from rosgraph_msgs.msg import Clock

from magma_ros.ros import conversions, interface, pictures
from magma_ros.stops import StopReason
from magma_ros.types import Proprio

PROPRIO = Proprio(np.array([0.3, 0.0, 0.15]), np.array([0.0, 0.0, 0.0, 1.0]), 1.0, np.zeros(6))
JOINTS = ("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate")
GRIPPER = conversions.GripperJoint("gripper", 0.0, 1.0)
SCRIPT = str(Path(__file__).with_name("scripted_policy_node.py"))


@pytest.fixture(scope="module")
def policy(peer):
    """An active node, a clock that a timer advances, and a camera whose pictures are `peer.lag_s` old."""
    clock = peer.node.create_publisher(Clock, "/clock", 1)
    camera, joints, ee_pose = (peer.publisher(t) for t in (interface.CAMERA, interface.JOINTS, interface.EE_POSE))
    peer.lag_s, peer.now_s = 0.0, 100.0
    pixels = np.zeros((8, 8, 3), np.uint8)

    def tick():
        peer.now_s += 0.05
        clock.publish(Clock(clock=conversions.time_message(peer.now_s)))
        stamp = conversions.time_message(peer.now_s - peer.lag_s)
        joints.publish(conversions.joint_state_message(PROPRIO, joint_names=JOINTS, gripper=GRIPPER, stamp=stamp))
        ee_pose.publish(conversions.pose_message(PROPRIO, frame="base_link", stamp=stamp))
        camera.publish(pictures.image_message(pixels, stamp=stamp, frame_id="camera"))

    peer.node.create_timer(0.05, tick)
    peer.commands, peer.statuses = peer.listen(interface.POLICY_ACTION), peer.listen(interface.STATUS)
    parameters = {"checkpoint": peer.write_script(), "autostart": True, "use_sim_time": True, "instruction": "lift"}
    return peer.start("policy_node", SCRIPT, **parameters)


def test_pictures_of_the_simulated_present_move_the_arm(peer, policy):
    """Commands answer pictures that are decades old by the wall clock and fresh by /clock."""
    peer.wait(lambda: len(peer.commands) > 3, what="commands")
    stamp: Time = peer.commands[-1].header.stamp
    assert 100 <= stamp.sec < 200
    assert 100 <= peer.statuses[-1].header.stamp.sec < 200


def test_pictures_of_the_simulated_past_do_not(peer, policy):
    """A picture that is too old by /clock stops the arm, and a fresh one moves it again."""
    peer.lag_s = 2.0
    peer.wait(lambda: peer.statuses[-1].stop_reason == StopReason.STALE_OBSERVATION.value, what="the stop")
    peer.spin(0.1)
    count = len(peer.commands)
    peer.spin(0.3)
    assert len(peer.commands) == count
    peer.lag_s = 0.0
    peer.wait(lambda: len(peer.commands) > count, what="a command")
