"""Checks of a graph that runs in another process, healthy and with every fault; the rest from what would be heard."""

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("ROS_DOMAIN_ID", str(os.getpid() % 100 + 1))
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"

import pytest

from magma_ros import arms
from magma_ros.doctor.finding import Verdict
from magma_ros.doctor.graph import alive, check_graph, commanders, node_names, stamps
from magma_ros.doctor.listening import DISCOVERY_S, Stream, listen
from magma_ros.doctor.options import Listening
from magma_ros.errors import InvalidInputError
from magma_ros.sim.processes import Child

SIM = arms.load("sim")
STAND_IN = str(Path(__file__).with_name("stand_in_graph.py"))
LISTEN_S = 2.0


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    log = tmp_path_factory.mktemp("graph") / "graph.log"
    child = Child.start("graph", [sys.executable, STAND_IN], log=log)
    end = time.monotonic() + 30.0
    while "up" not in child.last_lines():
        child.require_alive()
        assert time.monotonic() < end, child.last_lines()
    yield child
    child.stop()


@pytest.fixture(scope="module")
def healthy(graph):
    return listen(SIM, Listening(namespace="/healthy", listen_s=LISTEN_S))


@pytest.fixture(scope="module")
def faulty(graph):
    return listen(SIM, Listening(namespace="/faulty", listen_s=LISTEN_S))


def findings(heard, arm=SIM, *, control_rate_hz=5.0):
    return {found.check: found for found in check_graph(heard, arm, control_rate_hz=control_rate_hz)}


def test_a_healthy_graph_passes_every_check(healthy):
    """Camera, joints and pose are alive and fresh, one motion node commands, and the driver listens."""
    found = findings(healthy)
    assert {Verdict.OK} == {finding.verdict for finding in found.values()}, found
    assert "/healthy/camera/image_raw from /healthy/driver, " in found["camera image"].found
    assert 20.0 == pytest.approx(healthy.cameras["image"].hz, rel=0.3)
    assert "end effector at 0.300, 0.000, 0.150 m, gripper opening 1.00" == found["measured state"].found
    assert "/healthy/ee_delta: /healthy/motion_node" == found["command publishers"].found


def test_pictures_that_are_too_old_fail(faulty):
    """A camera whose stamps are 2 s old gives pictures that the policy refuses."""
    found = findings(faulty)["camera image, stamps"]
    assert found.verdict is Verdict.FAIL
    assert "every one is refused" in found.found
    assert 2.0 == pytest.approx(faulty.cameras["image"].age_s, abs=0.3)


def test_stamps_of_the_future_fail(faulty):
    """A driver whose clock is 5 s ahead is caught by its stamps, with the synchronising of clocks as the cure."""
    found = findings(faulty)["joint states, stamps"]
    assert found.verdict is Verdict.FAIL
    assert "chrony" in found.cure
    assert -5.0 == pytest.approx(faulty.joints.age_s, abs=0.3)


def test_a_camera_slower_than_the_policy_warns(faulty):
    """2 Hz are too few for a policy of 5 Hz, and enough where no policy was named."""
    assert findings(faulty)["camera image"].verdict is Verdict.WARN
    assert findings(faulty, control_rate_hz=2.0)["camera image"].verdict is Verdict.OK
    assert findings(faulty, control_rate_hz=None)["camera image"].verdict is Verdict.OK


def test_measured_state_that_the_nodes_refuse_fails_with_their_reasons(faulty):
    """Joints of the future and a pose in another frame are refused by the doctor as by the nodes, and counted."""
    found = findings(faulty)["measured state"]
    assert found.verdict is Verdict.FAIL
    assert "no_proprio: ee_pose: expected a pose, got none yet" in found.found
    assert {"future_stamp", "wrong_frame"} == set(faulty.rejected)
    assert f"wrong_frame {faulty.rejected['wrong_frame']}" in found.found


def test_a_second_publisher_of_commands_fails(faulty):
    """Two nodes that command one arm are both named."""
    found = findings(faulty)["command publishers"]
    assert found.verdict is Verdict.FAIL
    assert "/faulty/motion_node, /faulty/teleop" in found.found


def test_commands_that_nobody_takes_fail(faulty):
    """Without a driver on the command topic the arm cannot move."""
    assert "/faulty/ee_delta: nobody listens" == findings(faulty)["command subscribers"].found


def test_two_nodes_of_one_name_fail(faulty):
    """A second motion node is seen although it does nothing yet."""
    found = node_names(faulty)
    assert Verdict.FAIL is node_names(replace(faulty, namespace="/")).verdict
    assert (Verdict.FAIL, "more than one /faulty/motion_node") == (found.verdict, found.found)


def test_a_camera_that_is_not_there_names_those_that_are(graph):
    """A wrong topic fails, and the cure lists the pictures on the graph."""
    heard = listen(SIM, Listening(namespace="/healthy", camera_topic="wrist/image_raw", listen_s=LISTEN_S))
    found = findings(heard)["camera image"]
    assert (Verdict.FAIL, "nobody publishes /healthy/wrist/image_raw") == (found.verdict, found.found)
    assert "/healthy/camera/image_raw" in found.cure


def test_what_another_arm_needs_on_the_graph_is_missed(graph):
    """The ur5e needs tf, Servo's service and a gripper action, and each is missed by its name."""
    found = findings(listen(arms.load("ur5e"), Listening(namespace="/healthy", listen_s=LISTEN_S)), arms.load("ur5e"))
    assert "no_transform" in found["measured state"].found
    assert "/healthy/servo_node/switch_command_type: not there" == found["command type service"].found
    assert found["gripper action"].verdict is Verdict.FAIL


def test_the_doctor_ends_in_bounded_time(graph):
    """A graph without anything costs the discovery and the time to listen; more than a minute is refused."""
    started_s = time.monotonic()
    listen(SIM, Listening(namespace="/nobody", listen_s=0.5))
    assert 0.5 < time.monotonic() - started_s < DISCOVERY_S + 5.0
    with pytest.raises(InvalidInputError, match="at most 60 s, got 600"):
        Listening(listen_s=600.0)


def stream(**changes):
    made = Stream("/camera", "sensor_msgs/msg/Image", ("/driver",), ("sensor_msgs/msg/Image",), [0.01], [1.0])
    return replace(made, **changes)


def test_silence_and_another_type_are_told_apart(healthy):
    """A publisher that sends nothing, and one whose messages are compressed, have different cures."""
    silent = alive("camera", stream(ages_s=[], received_s=[]), healthy, needed_hz=None)
    assert "nothing came in 2 s" in silent.found
    other = alive("camera", stream(kinds=("sensor_msgs/msg/CompressedImage",)), healthy, needed_hz=None)
    assert (Verdict.FAIL, "set image_transport") == (other.verdict, other.cure)
    unrelated = alive("camera", stream(kinds=("std_msgs/msg/String",)), healthy, needed_hz=None)
    assert "name another topic in the arm's file" == unrelated.cure


@pytest.mark.parametrize(
    ("ages_s", "verdict", "part"),
    [
        ([0.05, 0.06, 0.1], "ok", "age 60.0 ms (50.0 … 100.0 ms)"),
        ([-0.02, 0.01, 0.01], "warn", "stamps of the future"),
        ([0.05, 0.05, 0.9], "warn", "some are refused"),
        ([0.9, 0.9, 0.05], "fail", "every one is refused"),
        ([1.7e9, 1.7e9], "fail", "another clock"),
    ],
)
def test_stamps_are_judged_by_their_age(healthy, ages_s, verdict, part):
    """Fresh, ahead, sometimes late, always late, and not stamped at all are five different findings."""
    found = stamps("camera, stamps", stream(ages_s=ages_s), healthy, max_age_s=0.5)
    assert verdict == found.verdict
    assert part in found.found


def test_simulated_time_is_suggested_where_there_is_a_clock(healthy):
    """Stamps of another clock on a graph with /clock mean that --use-sim-time was forgotten."""
    simulated = replace(healthy, topics={**healthy.topics, "/clock": ("rosgraph_msgs/msg/Clock",)})
    assert "--use-sim-time" in stamps("camera", stream(ages_s=[1.7e9]), simulated, max_age_s=0.5).cure
    assert "--use-sim-time" not in stamps("camera", stream(ages_s=[1.7e9]), healthy, max_age_s=0.5).cure


def test_a_lone_commander_that_is_not_the_motion_node_fails(healthy):
    """A teleoperation left running would fight the motion node from its first command."""
    found = commanders(replace(healthy, commanders=("/healthy/teleop",)))
    assert (Verdict.FAIL, "/healthy/ee_delta: /healthy/teleop: expected motion_node") == (found.verdict, found.found)
    assert Verdict.OK is commanders(replace(healthy, commanders=())).verdict


def test_measured_messages_that_are_refused_warn(healthy):
    """State that works while somebody else's messages are refused is worth a look."""
    found = findings(replace(healthy, rejected={"wrong_frame": 3}))["measured state"]
    assert found.verdict is Verdict.WARN
    assert "wrong_frame 3" in found.found


def test_a_robot_description_is_wanted_only_where_it_is_needed(healthy):
    """An output by inverse kinematics needs the URDF on the graph; the others do not ask."""
    assert "robot description" not in findings(healthy)
    assert Verdict.FAIL is findings(replace(healthy, has_robot_description=False))["robot description"].verdict
