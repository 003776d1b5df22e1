"""The simulated arm under a servo's commands (sim/servo_node.py) in a process of its own."""

import numpy as np
import pytest
from geometry_msgs.msg import TwistStamped

from magma_ros.ros import interface
from magma_ros.ros.endpoints import COMMAND, Topic

TWIST = Topic("twist_command", TwistStamped, COMMAND, COMMAND, "")


@pytest.fixture(scope="module")
def arm(peer):
    child = peer.start("servo_node", "-m", "magma_ros.sim.servo_node", arm="sim_servo", image_size_px=64)
    peer.poses, peer.pictures = peer.listen(interface.EE_POSE), peer.listen(interface.CAMERA)
    peer.wait(lambda: peer.pictures and peer.poses, timeout_s=30, what="a picture")
    peer.wait(lambda: peer.publisher(TWIST).get_subscription_count() == 1, what="the driver's subscription")
    return child


def position(peer):
    point = peer.poses[-1].pose.position
    return np.array([point.x, point.y, point.z])


def test_pictures_and_poses_come_at_their_own_rates(peer, arm):
    """About ten pictures of the asked size for a hundred poses, and no pose waits for a picture's turn."""
    num_pictures, num_poses = len(peer.pictures), len(peer.poses)
    peer.wait(lambda: len(peer.pictures) >= num_pictures + 10, what="ten pictures")
    assert 64 == peer.pictures[-1].width
    assert 4 < (len(peer.poses) - num_poses) / 10 < 14


def test_a_twist_moves_the_physics_in_real_time(peer, arm):
    """Half a second of 0.04 m/s upwards is a rise of 2 cm, and without commands the arm stays there."""
    before = position(peer)
    start_s = end_s = peer.node.get_clock().now().nanoseconds / 1e9
    while end_s - start_s < 0.5:
        message = TwistStamped()
        message.header.stamp, message.header.frame_id = peer.node.get_clock().now().to_msg(), "base_link"
        message.twist.linear.z = 0.04
        peer.publisher(TWIST).publish(message)
        peer.spin(0.02)
        end_s = peer.node.get_clock().now().nanoseconds / 1e9
    told_m = 0.04 * (end_s - start_s)
    peer.wait(lambda: position(peer)[2] - before[2] > 0.9 * told_m, timeout_s=5.0, what="a rise of two centimetres")
    peer.spin(0.5)
    assert position(peer) - before == pytest.approx([0.0, 0.0, told_m], abs=0.006)


def test_reset_puts_the_arm_back(peer, arm):
    """After reset_world the end effector is where it began, and stays."""
    assert peer.reset_world(0).ok
    peer.wait(lambda: abs(position(peer)[2] - 0.1353) < 2e-3, what="the arm at home")
    peer.spin(0.3)
    assert position(peer) == pytest.approx([0.2921, -0.0061, 0.1353], abs=2e-3)
    assert "seed" in peer.reset_world(-1).message


def test_sigint_ends_it_cleanly(peer, arm):
    """Exit status 0."""
    assert 0 == arm.stop(), arm.last_lines()
