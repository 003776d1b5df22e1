"""A person's devices and the simulated arm as processes: script to bag, intervention, silence, keys, sticks."""

import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from geometry_msgs.msg import TwistStamped, Vector3
from sensor_msgs.msg import Joy
from std_msgs.msg import Header

from magma_ros.episode_notes import EpisodeNotes
from magma_ros.msg import MotionStatus, PolicyStatus
from magma_ros.ros import conversions, interface
from magma_ros.ros.bag_reader import BagReader

TELEOP = ("-m", "magma_ros.ros.teleop_node")
POLICY = str(Path(__file__).with_name("scripted_policy_node.py"))
RELEASE_S = 1.5
STEP_M, SLACK_M = 0.01, 0.0201
"""Way of 5 cm/s in a control period of the simulated arm; a busy machine may lose two steps of an episode."""

EPISODE = """
steps:
- {press: [start]}
- {for_s: 0.4}
- {for_s: 1.0, keys: w}
- {for_s: 0.6, press: [close]}
- {for_s: 0.8, twist: [0.0, 0.0, 0.05, 0.0, 0.0, 0.0]}
- {for_s: 0.6}
- {press: [success]}
"""


@pytest.fixture(scope="module")
def arm(peer):
    """The simulated arm and its motion node, and all that they say."""
    peer.start("arm_node", "-m", "magma_ros.sim.arm_node", image_size_px=64)
    peer.start("motion_node", "-m", "magma_ros.ros.motion_node", arm="sim", autostart=True, teleop_release_s=RELEASE_S)
    peer.motion, peer.taken = peer.listen(interface.MOTION_STATUS), peer.listen(interface.TAKEN_ACTION)
    peer.poses, peer.stops = peer.listen(interface.EE_POSE), peer.listen(interface.EMERGENCY_STOP)
    peer.wait(lambda: peer.motion and peer.poses, timeout_s=30, what="arm and motion node")
    peer.wait(lambda: twists(peer).get_subscription_count() > 0, what="the motion node's ear")


def twists(peer):
    return peer.publisher(interface.TELEOP_TWIST)


def push(peer, duration_s, **linear):
    """A person's twist, 50 times a second."""
    end_s = time.monotonic() + duration_s
    while time.monotonic() < end_s:
        header = Header(stamp=peer.node.get_clock().now().to_msg(), frame_id="base_link")
        message = TwistStamped(header=header)
        message.twist.linear = Vector3(**linear)
        twists(peer).publish(message)
        peer.spin(0.02)


def position(peer):
    point = peer.poses[-1].pose.position
    return np.array([point.x, point.y, point.z])


def write(peer, name, text):
    path = peer.folder / f"{name}.yaml"
    path.write_text(text)
    return str(path)


def test_a_script_becomes_an_episode_in_a_bag(peer, arm):
    """Keys and twists played back in time move the simulated arm as they say; the bag has what an import needs."""
    before, demos = position(peer), peer.folder / "demos"
    num_ears = peer.node.count_subscribers(interface.TAKEN_ACTION.name)
    recorder = peer.start("recorder", "-m", "magma_ros.ros.recorder_node", output=str(demos), episodes=True)
    peer.wait(lambda: peer.node.count_subscribers(interface.TAKEN_ACTION.name) > num_ears, what="the recorder's ear")
    parameters = {"script": write(peer, "episode", EPISODE), "instruction": "lift it", "operator": "ada"}
    teleop = peer.start("teleop", *TELEOP, device="script", **parameters)
    peer.wait(lambda: teleop.process.poll() is not None, timeout_s=90, what="the script's end")
    assert 0 == teleop.process.returncode, teleop.last_lines()
    assert 0 == recorder.stop(), recorder.last_lines()
    (bag,) = demos.iterdir()
    reader = BagReader(bag)
    notes = EpisodeNotes.from_dict(reader.notes)
    assert ("lift it", "ada", "sim", "success") == (notes.instruction, notes.operator, notes.arm, notes.outcome)
    wanted = {f"/{topic.name}": topic.message for topic in (interface.TAKEN_ACTION, interface.MOTION_STATUS)}
    messages = list(reader.read(wanted))
    actions = [conversions.action_from_message(m.message) for m in messages if m.topic == "/taken_action"]
    moved_m = sum(action.translation_m for action in actions)
    assert pytest.approx([0.05, 0.0, 0.04], abs=SLACK_M) == moved_m
    assert {(STEP_M, 0.0, 0.0), (0.0, 0.0, STEP_M), (0.0, 0.0, 0.0)} == {
        tuple(a.translation_m.round(9)) for a in actions
    }
    assert pytest.approx(moved_m, abs=SLACK_M) == position(peer) - before
    assert [1.0, 0.0] == pytest.approx([actions[0].gripper_opening, actions[-1].gripper_opening], abs=0.1)
    assert MotionStatus.PERSON in {m.message.actor for m in messages if m.topic == "/motion_status"}
    assert {"/camera/image_raw", "/joint_states", "/ee_pose", "/ee_delta", "/teleop_twist"} <= reader.topics


def test_a_person_takes_the_arm_from_a_policy_and_gives_it_back(peer, arm):
    """The intervention is marked from its first step to its last; the goal goes on, and the policy begins afresh."""
    push(peer, RELEASE_S + 0.5)  # lets go of what the script before still has
    peer.wait(lambda: peer.motion[-1].actor == MotionStatus.POLICY, what="nobody's arm")
    folder = peer.write_script("up", actions=[(0.0, 0.0, 0.002, 0.0, 0.0, 0.0, 1.0)])
    policy = peer.start("policy_node", POLICY, checkpoint=folder, autostart=True)
    statuses = peer.listen(interface.STATUS)
    peer.wait(lambda: statuses and statuses[-1].state == PolicyStatus.IDLE, timeout_s=30, what="the policy")
    goal = peer.send_goal("go up", step_budget=1000)
    peer.taken.clear()
    push(peer, 0.1)
    peer.wait(lambda: len(peer.taken) >= 2, what="the policy's steps")
    assert MotionStatus.POLICY == peer.motion[-1].actor
    push(peer, 1.2, y=0.05)
    assert MotionStatus.PERSON == peer.motion[-1].actor
    last = peer.taken[-3:]
    assert [pytest.approx(STEP_M)] * 3 == [action.translation_m.y for action in last]
    count = len(peer.taken)
    push(peer, 0.5)
    assert MotionStatus.PERSON == peer.motion[-1].actor
    assert {0.0} == {action.translation_m.z for action in peer.taken[count:]}
    person_s = conversions.seconds(peer.taken[-1].header.stamp)
    push(peer, RELEASE_S)
    peer.wait(lambda: peer.motion[-1].actor == MotionStatus.POLICY, what="the policy has the arm")
    peer.wait(lambda: peer.taken[-1].translation_m.z > 0, what="the policy's next step")
    assert conversions.seconds(peer.taken[-1].header.stamp) > person_s
    peer.future(goal.cancel_goal_async())
    assert 0 == policy.stop(), policy.last_lines()


def test_a_killed_device_stops_the_arm(peer, arm):
    """SIGKILL while it moves the arm: motion_status names it, and no command follows."""
    peer.taken.clear()
    teleop = peer.start(
        "teleop", *TELEOP, device="script", script=write(peer, "long", "steps: [{for_s: 60, twist: [0,-0.02,0,0,0,0]}]")
    )
    peer.wait(lambda: any(action.translation_m.y < 0 for action in peer.taken), timeout_s=30, what="a motion")
    teleop.process.kill()
    peer.wait(lambda: peer.motion[-1].reason == "teleop_silent", what="the silence")
    count = len(peer.taken)
    peer.spin(0.5)
    assert (count, MotionStatus.HOLDING) == (len(peer.taken), peer.motion[-1].state)
    assert peer.call(interface.RESET_HALT.interface, interface.RESET_HALT.name).success


def test_keys_of_a_terminal_move_and_stop(peer, arm):
    """A key is a twist in the base frame, c closes the gripper, space halts, a closed terminal ends it."""
    heard, openings = peer.listen(interface.TELEOP_TWIST), peer.listen(interface.TELEOP_GRIPPER)
    ours, theirs = pty.openpty()
    with (peer.folder / "keys.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *TELEOP, "--ros-args", "-p", "arm:=sim"], stdin=theirs, stdout=log, stderr=log
        )
    try:
        os.close(theirs)
        heard.clear()
        peer.wait(lambda: heard, timeout_s=30, what="a twist")
        os.write(ours, b"w")
        peer.wait(lambda: heard[-1].twist.linear.x > 0, what="a twist forward")
        assert (0.05, "base_link") == (heard[-1].twist.linear.x, heard[-1].header.frame_id)
        peer.wait(lambda: heard[-1].twist.linear.x == 0, what="rest without a further key")
        os.write(ours, b"c")
        peer.wait(lambda: openings, what="a wish for the gripper")
        assert 0.0 == openings[-1].data
        os.write(ours, b" ")
        peer.wait(lambda: peer.motion[-1].state == MotionStatus.HALTED, what="the halt")
        assert "emergency_stop" == peer.motion[-1].reason
        os.close(ours)
        peer.wait(lambda: process.poll() is not None, what="the end")
        assert 2 == process.returncode
        log_text = (peer.folder / "keys.log").read_text()
        assert "EMERGENCY STOP" in log_text
        assert "the terminal was closed" in log_text
    finally:
        process.kill()
        process.wait()
    assert peer.call(interface.RESET_HALT.interface, interface.RESET_HALT.name).success


def test_a_joystick_moves_while_its_button_is_held_and_its_silence_is_silence(peer, arm):
    """Sticks without the button are rest; when the joystick says nothing any more, no twist is sent in its place."""
    heard, joy = peer.listen(interface.TELEOP_TWIST), peer.publisher(interface.JOY)
    child = peer.start("teleop", *TELEOP, device="joystick")
    peer.wait(lambda: joy.get_subscription_count() > 0, timeout_s=30, what="the joystick's reader")

    def hold(*pressed):
        joy.publish(Joy(axes=[0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], buttons=[int(i in pressed) for i in range(9)]))

    def moves(*pressed):
        hold(*pressed)
        return heard and heard[-1].twist.linear.x > 0

    heard.clear()
    peer.wait(lambda: hold() or heard, what="rest")
    assert 0.0 == heard[-1].twist.linear.x
    peer.wait(lambda: moves(4), what="a twist forward")

    def is_silent():
        count = len(heard)
        peer.spin(0.5)
        return count == len(heard)

    peer.wait(is_silent, what="silence: a device that still sent would be heard 25 times in each half second")
    assert 0 == child.stop(), child.last_lines()


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({"device": "keyboard"}, "expected a terminal"),
        ({"device": "glove"}, "keyboard, joystick or script"),
        ({"device": "script", "script": "none.yaml"}, "none.yaml"),
        ({"device": "joystick", "joystick": "none"}, "xbox"),
    ],
)
def test_a_device_that_is_not_there_is_refused(peer, parameters, problem):
    """The process ends with status 2 and a line that says what is missing."""
    child = peer.start("refused", *TELEOP, **parameters)
    peer.wait(lambda: child.process.poll() is not None, what="the end")
    assert 2 == child.process.returncode
    assert problem in child.last_lines()
