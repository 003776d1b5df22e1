"""The simulated arm (sim/arm_node.py) in a process of its own, commanded over DDS."""

import math
import signal

import numpy as np
import pytest

from magma_ros.ros import conversions, interface
from magma_ros.ros.pictures import image_from_message
from magma_ros.types import Action

RATE_FACTOR = 2.0


@pytest.fixture(scope="module")
def arm(peer):
    """The node at twice real time, with everything that it publishes."""
    child = peer.start("arm_node", "-m", "magma_ros.sim.arm_node", real_time_factor=RATE_FACTOR, seed=0)
    peer.poses = peer.listen(interface.EE_POSE)
    peer.joints = peer.listen(interface.JOINTS)
    peer.pictures = peer.listen(interface.CAMERA)
    peer.verdicts = peer.listen(interface.TASK_SUCCESS)
    peer.wait(lambda: peer.pictures, timeout_s=30, what="a picture")
    peer.wait(lambda: peer.publisher(interface.EE_DELTA).get_subscription_count() == 1, what="the arm's subscription")
    return child


def position(peer):
    p = peer.poses[-1].pose.position
    return np.array([p.x, p.y, p.z])


def next_picture(peer):
    count = len(peer.pictures)
    peer.wait(lambda: len(peer.pictures) > count, what="the next picture")
    return peer.pictures[-1]


def command(peer, *, translation=(0.0, 0.0, 0.0), rotation=(0.0, 0.0, 0.0), gripper=1.0, frame="base_link", stamp=None):
    """Answer the next picture with a displacement."""
    stamp = next_picture(peer).header.stamp if stamp is None else stamp
    action = Action(np.array(translation), np.array(rotation), gripper, frame)
    peer.publisher(interface.EE_DELTA).publish(conversions.action_message(action, stamp=stamp))


def ticks(peer, count):
    for _ in range(count):
        next_picture(peer)


def test_pictures_and_measured_state_come_with_stamps_and_frames(peer, arm):
    """A picture of the asked size, named joints and a pose in the base frame carry the same capture time."""
    picture = next_picture(peer)
    assert (picture.width, picture.height, picture.encoding) == (128, 128, "rgb8")
    assert np.ptp(image_from_message(picture)) > 50
    assert peer.poses[-1].header.frame_id == "base_link"
    assert list(peer.joints[-1].name)[::6] == ["waist", "gripper"]
    age_s = peer.node.get_clock().now().nanoseconds / 1e9 - conversions.seconds(picture.header.stamp)
    assert 0 <= age_s < 0.2
    peer.wait(lambda: peer.poses[-1].header.stamp == peer.pictures[-1].header.stamp, what="one stamp")


def test_the_arm_makes_the_displacement_that_it_is_told(peer, arm):
    """Two centimetres up along the base's z axis are measured as such, to 3 mm."""
    assert peer.reset_world(0).ok
    ticks(peer, 2)
    before = position(peer)
    for _ in range(2):
        command(peer, translation=(0.0, 0.0, 0.01))
    ticks(peer, 5)
    assert position(peer) - before == pytest.approx([0.0, 0.0, 0.02], abs=0.003)


def test_the_arm_holds_without_commands(peer, arm):
    """Without commands the end effector stays within half a millimetre."""
    ticks(peer, 2)
    before = position(peer)
    ticks(peer, 5)
    assert np.linalg.norm(position(peer) - before) < 0.0005


def test_the_gripper_closes_and_stays_closed(peer, arm):
    """A commanded closing is measured, and kept while nothing is commanded."""
    command(peer, gripper=0.0)
    ticks(peer, 5)
    assert peer.joints[-1].position[-1] < 0.2
    command(peer, gripper=1.0)
    ticks(peer, 4)
    assert peer.joints[-1].position[-1] > 0.8


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        ({"translation": (math.nan, 0.0, 0.0)}, "non-finite"),
        ({"translation": (0.0, 0.02, 0.0), "frame": "camera"}, "wrong frame"),
        ({"translation": (0.0, 0.06, 0.0)}, "too long"),
        ({"translation": (0.0, 0.02, 0.0), "gripper": 3.0}, "gripper"),
    ],
)
def test_a_bad_command_is_refused_and_logged_once(peer, arm, bad, kind):
    """The arm holds on a command that it should not follow, and says so one time until the next reset."""
    assert peer.reset_world(0).ok
    ticks(peer, 2)
    logged = arm.log.read_text().count(f"refused, the arm holds: {kind}")
    before = position(peer)
    command(peer, **bad)
    command(peer, **bad)
    ticks(peer, 3)
    assert np.linalg.norm(position(peer) - before) < 0.0005
    assert arm.log.read_text().count(f"refused, the arm holds: {kind}") == logged + 1


def test_a_late_command_and_a_repeated_one_are_not_applied(peer, arm):
    """A command that answers an old picture, or the same picture again, moves nothing."""
    old = next_picture(peer).header.stamp
    ticks(peer, 6)
    before = position(peer)
    command(peer, translation=(0.0, 0.02, 0.0), stamp=old)
    ticks(peer, 3)
    assert np.linalg.norm(position(peer) - before) < 0.0005
    stamp = next_picture(peer).header.stamp
    for _ in range(3):
        command(peer, translation=(0.0, 0.0, 0.01), stamp=stamp)
        ticks(peer, 1)
    ticks(peer, 3)
    assert position(peer)[2] - before[2] == pytest.approx(0.01, abs=0.003)


def test_resetting_puts_the_world_into_the_state_of_the_seed(peer, arm):
    """The same seed shows the same picture, another seed another one, and the arm is at home."""
    pictures = []
    for seed in (5, 6, 5):
        assert peer.reset_world(seed).ok
        pictures.append(image_from_message(next_picture(peer)).astype(int))
    assert np.abs(pictures[0] - pictures[2]).mean() < 0.5
    assert np.abs(pictures[0] - pictures[1]).mean() > 1.0
    assert not peer.verdicts[-1].data


def test_a_seed_that_is_none_is_refused(peer, arm):
    """A negative seed changes nothing and gets a reason."""
    answer = peer.reset_world(-1)
    assert not answer.ok
    assert "seed" in answer.message


def test_a_late_viewer_gets_a_larger_picture(peer, arm):
    """The picture for people exists as soon as someone subscribes."""
    views = peer.listen(interface.VIEWER)
    peer.wait(lambda: views, what="a view")
    assert (views[-1].width, views[-1].height) == (480, 360)


def test_sigint_ends_the_process_cleanly(peer, arm):
    """SIGINT gives exit status 0."""
    arm.process.send_signal(signal.SIGINT)
    assert arm.process.wait(10) == 0, arm.last_lines()
