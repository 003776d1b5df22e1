"""The stand-in driver (sim/driver_node.py) in a process of its own, driven over DDS as a real arm's driver is."""

import math

import numpy as np
import pytest
import yaml
from geometry_msgs.msg import PoseStamped, TwistStamped
from std_msgs.msg import Float64

from magma_ros import arms
from magma_ros.ros import conversions, interface
from magma_ros.ros.endpoints import COMMAND, Topic
from magma_ros.types import Action

TWIST = Topic("twist_command", TwistStamped, COMMAND, COMMAND, "")
POSE = Topic("pose_command", PoseStamped, COMMAND, COMMAND, "")
GRIPPER = Topic("gripper_command", Float64, COMMAND, COMMAND, "")


@pytest.fixture(scope="module")
def driver(peer):
    """The node for config/arms/stand_in.yaml."""
    child = peer.start("driver_node", "-m", "magma_ros.sim.driver_node", arm="stand_in")
    connect(peer, TWIST, GRIPPER)
    return child


def connect(peer, *topics):
    peer.poses, peer.joints = peer.listen(interface.EE_POSE), peer.listen(interface.JOINTS)
    peer.wait(lambda: peer.poses and peer.joints, what="measured state")
    for topic in topics:
        peer.wait(lambda topic=topic: peer.publisher(topic).get_subscription_count() > 0, what=topic.name)


def position(peer):
    """The next measured position [m]."""
    count = len(peer.poses)
    peer.wait(lambda: len(peer.poses) > count, what="a pose")
    point = peer.poses[-1].pose.position
    return np.array([point.x, point.y, point.z])


def send_twist(peer, *, x=0.0, frame="base_link", age_s=0.0):
    message = TwistStamped()
    now_s = conversions.seconds(peer.node.get_clock().now().to_msg())
    message.header.stamp, message.header.frame_id = conversions.time_message(now_s - age_s), frame
    message.twist.linear.x = x
    peer.publisher(TWIST).publish(message)


def is_at_rest(peer):
    before = position(peer)
    peer.spin(0.05)
    return bool(np.linalg.norm(position(peer) - before) < 1e-6)


def test_it_publishes_what_the_file_says(peer, driver):
    """Home's pose and joints with the gripper open, stamped, in the base frame, a hundred times a second."""
    np.testing.assert_allclose(arms.load("stand_in").home.ee_position_m, position(peer), atol=1e-9)
    assert "base_link" == peer.poses[-1].header.frame_id
    assert ["joint_1", "gripper"] == list(peer.joints[-1].name)[::6]
    assert 1.0 == peer.joints[-1].position[-1]
    stamps = [conversions.seconds(pose.header.stamp) for pose in peer.poses[-1:]]
    peer.wait(lambda: len(peer.poses) > 300, what="three seconds of poses")
    first, last = peer.poses[100], peer.poses[299]
    elapsed_s = conversions.seconds(last.header.stamp) - conversions.seconds(first.header.stamp)
    assert 60 < 199 / elapsed_s < 110
    assert stamps[0] < conversions.seconds(peer.poses[-1].header.stamp)


def test_it_goes_on_while_twists_come_and_stops_by_itself(peer, driver):
    """At 0.05 m/s it moves; 0.1 s after the last twist it comes to rest without being told to."""
    before = position(peer)
    for _ in range(25):
        send_twist(peer, x=0.05)
        peer.spin(0.02)
    assert 0.02 < position(peer)[0] - before[0] < 0.04
    peer.wait(lambda: is_at_rest(peer), timeout_s=1.0, what="rest without commands")
    assert position(peer)[0] - before[0] < 0.05 * (25 * 0.03 + 0.1 + 0.1)


@pytest.mark.parametrize(
    ("bad", "kind"),
    [({"x": math.nan}, "non-finite"), ({"x": 0.1, "frame": "tool"}, "wrong frame"), ({"x": 0.1, "age_s": 1}, "stale")],
)
def test_a_command_that_no_driver_follows_moves_nothing(peer, driver, bad, kind):
    """It is refused, and its first kind is logged once."""
    peer.wait(lambda: is_at_rest(peer), what="rest")
    before = position(peer)
    for _ in range(3):
        send_twist(peer, **bad)
        peer.spin(0.03)
    np.testing.assert_allclose(before, position(peer), atol=1e-9)
    assert 1 == driver.log.read_text().count(f"command refused: {kind}")


def test_the_gripper_takes_its_time(peer, driver):
    """A goal on its topic is measured as a motion, not as a jump."""
    peer.publisher(GRIPPER).publish(Float64(data=0.0))
    peer.wait(lambda: 0.2 < peer.joints[-1].position[-1] < 0.8, what="a gripper on its way")
    peer.wait(lambda: peer.joints[-1].position[-1] == 0.0, what="a closed gripper")


def test_sigint_ends_it_cleanly(peer, driver):
    """Exit status 0."""
    assert 0 == driver.stop(), driver.last_lines()


def test_steps_are_added_up(peer):
    """An arm that takes ee_delta goes where its steps lead, gripper included."""
    child = peer.start("driver_node", "-m", "magma_ros.sim.driver_node", arm="sim")
    connect(peer, interface.EE_DELTA)
    before = position(peer)
    for count in (1, 2):
        action = Action(np.array([0.0, 0.0, 0.01]), np.zeros(3), 0.0, "base_link")
        stamp = peer.node.get_clock().now().to_msg()
        peer.publisher(interface.EE_DELTA).publish(conversions.action_message(action, stamp=stamp))
        risen_m = 0.01 * count
        peer.wait(lambda up=risen_m: abs(position(peer)[2] - before[2] - up) < 1e-5, what=f"{risen_m} m up")
    peer.wait(lambda: peer.joints[-1].position[-1] == 0.0, what="a closed gripper")
    assert 0 == child.stop(), child.last_lines()


def test_a_pose_is_reached_and_the_flange_is_measured(peer, tmp_path):
    """An arm that takes poses, and whose file says that the flange is measured, shows the flange's pose."""
    document = arms.load("stand_in").to_dict()
    document["output"] = {"kind": "pose", "topic": POSE.name, "frame": "base_link", "command_type_service": ""}
    document["topics"]["ee_pose"]["child"] = "flange"
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(document))
    child = peer.start("driver_node", "-m", "magma_ros.sim.driver_node", arm=path)
    connect(peer, POSE)
    goal = PoseStamped()
    goal.header.frame_id = "base_link"
    goal.pose.position.x, goal.pose.position.y, goal.pose.position.z = 0.3, 0.02, 0.2
    goal.pose.orientation.w = 1.0
    peer.publisher(POSE).publish(goal)
    peer.wait(lambda: np.allclose(position(peer), [0.2, 0.02, 0.2], atol=1e-4), what="the flange 0.1 m behind")
    assert 0 == child.stop(), child.last_lines()


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"arm": "stand_in", "fault": "gremlins"}, "fault: expected one of"),
        ({"arm": "fr3"}, "output.kind: expected one of"),
        ({"arm": "panda"}, "arm: expected a YAML file or one of"),
    ],
)
def test_what_it_cannot_be_is_refused(peer, parameters, reason):
    """A wrong fault, output or arm ends it at once with status 2 and one line."""
    child = peer.start("driver_node", "-m", "magma_ros.sim.driver_node", **parameters)
    assert 2 == child.process.wait(10)
    assert reason in child.log.read_text()


DRIVING = {"arm": "sim", "rate_hz": 100.0, "command_timeout_s": 0.0, "lag_s": 0.02, "fault": "none"}


@pytest.mark.parametrize(
    ("table", "more"),
    [
        (interface.DRIVER_PARAMETERS, {"noise_m": 0.0, "noise_rad": 0.0}),
        (
            interface.SERVO_PARAMETERS,
            {"task": "carrot_on_plate", "image_size_px": 128, "seed": 0, "camera_rate_hz": 10.0},
        ),
    ],
    ids=["driver_node", "servo_node"],
)
def test_parameters_are_frozen(table, more):
    """Names and defaults; each is read-only and has a description."""
    assert DRIVING | more == {row.name: row.default for row in table}
    assert all(row.read_only and row.meaning for row in table)
