import sys
from dataclasses import replace

import pytest
from control_msgs.action import GripperCommand, ParallelGripperCommand
from rclpy.action import ActionServer, GoalResponse
from std_msgs.msg import Float64, Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

from magma_ros import arms
from magma_ros.arm import GripperCommandAction, GripperTopic, ParallelGripperCommandAction
from magma_ros.errors import ArmConfigError
from magma_ros.ros.gripper_output import NO_SERVER, REFUSED, gripper_output
from tests.ros.two_nodes import TwoNodes

ARM = arms.load("fr3")
ACTIONS = {
    "GripperCommand": (GripperCommand, GripperCommandAction(action="gripper/act", max_effort_n=20.0)),
    "ParallelGripperCommand": (
        ParallelGripperCommand,
        ParallelGripperCommandAction(action="gripper/act", max_effort_n=20.0),
    ),
}


@pytest.fixture
def nodes():
    made = TwoNodes()
    yield made
    made.close()


def arm_with(command, arm=ARM):
    return replace(arm, gripper=replace(arm.gripper, command=command))


def serve(nodes, interface, *, accept=True):
    """Goals that a gripper's server was asked for, and whether it accepts them."""
    goals = []

    def judge(goal):
        if accept:
            return GoalResponse.ACCEPT
        goals.append(goal)
        return GoalResponse.REJECT

    def execute(handle):
        goals.append(handle.request)
        handle.succeed()
        return interface.Result()

    ActionServer(nodes.peer, interface, "gripper/act", execute, goal_callback=judge)
    return goals


def send_when_ready(nodes, output, position):
    nodes.wait(output._client.server_is_ready)
    assert output.send(position)


@pytest.mark.parametrize(
    ("name", "kind", "read"),
    [
        ("std_msgs/msg/Float64", Float64, lambda message: message.data),
        ("std_msgs/msg/Float64MultiArray", Float64MultiArray, lambda message: message.data[0]),
        ("trajectory_msgs/msg/JointTrajectory", JointTrajectory, lambda message: message.points[0].positions[0]),
    ],
)
def test_goals_go_out_on_the_topic(nodes, name, kind, read):
    """Each message type that an arm's file may name carries the position; a trajectory also the joint and a time."""
    output = gripper_output(arm_with(GripperTopic(topic="gripper/goal", message=name)), nodes.node)
    heard = nodes.listen(kind, "gripper/goal")
    nodes.wait(lambda: nodes.node.count_subscribers("gripper/goal") > 0)
    assert output.send(0.02)
    nodes.wait(lambda: heard)
    assert read(heard[0]) == 0.02
    if kind is JointTrajectory:
        assert [ARM.gripper.joint] == heard[0].joint_names
        assert (0, 800_000_000) == (heard[0].points[0].time_from_start.sec, heard[0].points[0].time_from_start.nanosec)


def test_a_step_that_carries_the_gripper_needs_no_output(nodes):
    """The simulated arm's EndEffectorDelta has the opening; an arm that takes no steps cannot have it so."""
    assert gripper_output(arms.load("sim"), nodes.node) is None
    command = arms.load("sim").gripper.command
    with pytest.raises(ArmConfigError, match=r"gripper\.command\.message.*std_msgs/msg/Float64.*joint_trajectory"):
        gripper_output(arm_with(command), nodes.node)


@pytest.mark.parametrize("name", ACTIONS)
def test_goals_go_to_the_action(nodes, name):
    """Position and effort arrive as the action's own fields, and an accepted goal is no failure."""
    interface, command = ACTIONS[name]
    goals = serve(nodes, interface)
    output = gripper_output(arm_with(command), nodes.node)
    send_when_ready(nodes, output, 0.03)
    nodes.wait(lambda: goals)
    got = goals[0].command
    if name == "GripperCommand":
        assert (0.03, 20.0) == (got.position, got.max_effort)
    else:
        assert ([ARM.gripper.joint], [0.03], [20.0]) == (got.name, list(got.position), list(got.effort))
    assert {} == output.failures


def test_an_effort_of_zero_is_the_drivers_own(nodes):
    """A parallel gripper's goal without an effort in the arm's file names none: 0 N would grip nothing."""
    goals = serve(nodes, ParallelGripperCommand)
    command = ParallelGripperCommandAction(action="gripper/act", max_effort_n=0.0)
    send_when_ready(nodes, gripper_output(arm_with(command), nodes.node), 0.03)
    nodes.wait(lambda: goals)
    assert [] == list(goals[0].command.effort)


def test_a_refused_goal_is_counted(nodes):
    """The sender does not wait; when the refusal comes it is counted."""
    goals = serve(nodes, GripperCommand, accept=False)
    output = gripper_output(arm_with(ACTIONS["GripperCommand"][1]), nodes.node)
    send_when_ready(nodes, output, 0.03)
    nodes.wait(lambda: output.failures)
    assert (1, {REFUSED: 1}) == (len(goals), output.failures)


def test_a_goal_that_nobody_takes_is_counted_and_not_waited_for(nodes):
    """Without a server `send` says so at once, and the caller may offer the opening again."""
    output = gripper_output(arm_with(ACTIONS["GripperCommand"][1]), nodes.node)
    assert [False, False] == [output.send(0.03), output.send(0.03)]
    assert {NO_SERVER: 2} == output.failures


@pytest.mark.parametrize("name", ACTIONS)
def test_a_missing_package_is_named(nodes, monkeypatch, name):
    """Where control_msgs is not installed the error names it and the action."""
    monkeypatch.setitem(sys.modules, "control_msgs.action", None)
    with pytest.raises(ArmConfigError, match=rf"control_msgs/action/{name}, which is not installed"):
        gripper_output(arm_with(ACTIONS[name][1]), nodes.node)
