"""The graph contract, frozen: a change here breaks a user's robot and belongs in CHANGELOG.md."""

import os

os.environ.setdefault("ROS_DOMAIN_ID", str(os.getpid() % 100 + 1))
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"

import pytest
import rclpy
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, HistoryPolicy, ReliabilityPolicy

from magma_ros.ros import interface
from magma_ros.ros.parameters import declare, values
from magma_ros.ros.policy_node import PolicyNode

SENSOR, RELIABLE, LATCHED = (False, False, 1), (True, False, 1), (True, True, 1)

TOPICS = {
    "camera/image_raw": ("sensor_msgs/Image", SENSOR, SENSOR),
    "joint_states": ("sensor_msgs/JointState", RELIABLE, SENSOR),
    "ee_pose": ("geometry_msgs/PoseStamped", RELIABLE, SENSOR),
    "ee_delta": ("magma_ros/EndEffectorDelta", RELIABLE, RELIABLE),
    "action_chunk": ("magma_ros/ActionChunk", RELIABLE, RELIABLE),
    "policy_status": ("magma_ros/PolicyStatus", LATCHED, LATCHED),
    "task_success": ("std_msgs/Bool", LATCHED, LATCHED),
    "viewer/image_raw": ("sensor_msgs/Image", SENSOR, SENSOR),
}
SERVICES = {
    "set_instruction": "magma_ros/SetInstruction",
    "execute_instruction": "magma_ros/ExecuteInstruction",
    "reset_world": "magma_ros/ResetWorld",
}
POLICY_PARAMETERS = {
    "checkpoint": "",
    "device": "cpu",
    "dtype": "float32",
    "quantization": "none",
    "embodiment": "",
    "compile_passes": False,
    "temperature": 0.0,
    "sampling_seed": 0,
    "deadline_s": 5.0,
    "autostart": False,
    "instruction": "",
    "execution_horizon": 1,
    "max_observation_age_s": 0.5,
    "max_translation_step_m": 0.0,
    "max_rotation_step_rad": 0.0,
    "max_step_change_m": 0.0,
    "workspace_min_m": None,
    "workspace_max_m": None,
    "max_consecutive_stops": 5,
    "gripper_joint": "gripper",
    "gripper_closed_position": 0.0,
    "gripper_open_position": 1.0,
}
ARM_PARAMETERS = {
    "task": "carrot_on_plate",
    "image_size_px": 128,
    "seed": 0,
    "real_time_factor": 1.0,
    "command_slack_s": 0.25,
}


def interface_name(kind):
    return f"{kind.__module__.split('.')[0]}/{kind.__name__}"


def qos(quality):
    return (quality.reliable, quality.latched, quality.depth)


@pytest.fixture
def context(monkeypatch):
    rclpy.init()
    yield
    rclpy.try_shutdown()


def test_topics_are_frozen():
    """Names, types and quality of service, offered and requested, of every topic."""
    topics = {*interface.POLICY_TOPICS, *interface.ARM_TOPICS}
    assert {t.name: (interface_name(t.message), qos(t.offered), qos(t.requested)) for t in topics} == TOPICS


def test_services_are_frozen():
    """Names and types of every service and action."""
    services = {*interface.POLICY_SERVICES, *interface.ARM_SERVICES}
    assert {s.name: interface_name(s.interface) for s in services} == SERVICES


@pytest.mark.parametrize(
    ("table", "frozen"),
    [(interface.POLICY_PARAMETERS, POLICY_PARAMETERS), (interface.ARM_PARAMETERS, ARM_PARAMETERS)],
    ids=["policy_node", "arm_node"],
)
def test_parameters_are_frozen_and_described(table, frozen):
    """Names and defaults are as frozen; each row has a description, and a range holds its default."""
    assert {p.name: p.default for p in table} == frozen
    for parameter in table:
        assert len(parameter.meaning) > 10
        if parameter.minimum is not None:
            assert parameter.minimum <= parameter.default
        if parameter.maximum is not None:
            assert parameter.default <= parameter.maximum


def test_names_are_relative():
    """No name begins with a slash, so that a namespace holds a whole arm."""
    names = [row.name for row in (*interface.POLICY_TOPICS, *interface.ARM_TOPICS, *interface.POLICY_SERVICES)]
    assert [] == [name for name in names if name.startswith("/")]


def test_every_quality_of_service_is_explicit():
    """A profile names reliability, durability, history and depth, and is a new object each time."""
    profile = interface.SENSOR.profile()
    assert profile is not interface.SENSOR.profile()
    assert (profile.reliability, profile.durability) == (ReliabilityPolicy.BEST_EFFORT, DurabilityPolicy.VOLATILE)
    assert (profile.history, profile.depth) == (HistoryPolicy.KEEP_LAST, 1)
    assert interface.LATCHED.profile().durability is DurabilityPolicy.TRANSIENT_LOCAL


def test_the_node_has_the_topics_of_the_table(context):
    """The policy node publishes and subscribes exactly what the table says, under its namespace."""
    node = PolicyNode()
    own = {"/" + topic.name for topic in interface.POLICY_TOPICS}
    there = {name for name, _ in node.get_topic_names_and_types()}
    node.close()
    node.destroy_node()
    assert own <= there


def test_parameters_carry_their_description_range_and_flag(context):
    """A declared parameter shows the table's description, range and read-only flag to its users."""
    node = Node("declares")
    declare(node, interface.POLICY_PARAMETERS)
    age = node.describe_parameter("max_observation_age_s")
    horizon = node.describe_parameter("execution_horizon")
    autostart = node.describe_parameter("autostart")
    found = values(node, interface.POLICY_PARAMETERS)
    node.destroy_node()
    assert "oldest picture" in age.description
    assert (age.floating_point_range[0].from_value, age.floating_point_range[0].to_value) == (0.01, 10.0)
    assert (horizon.integer_range[0].from_value, horizon.integer_range[0].to_value) == (1, 64)
    assert autostart.read_only
    assert found == POLICY_PARAMETERS


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("max_observation_age_s", 0.0, InvalidParameterValueException),
        ("execution_horizon", 0, InvalidParameterValueException),
        ("execution_horizon", "two", InvalidParameterTypeException),
        ("workspace_min_m", "here", InvalidParameterTypeException),
    ],
)
def test_a_value_out_of_range_or_of_another_type_is_refused(context, name, value, error):
    """An override that the table does not allow keeps the node from starting."""
    node = Node("refuses", parameter_overrides=[Parameter(name, value=value)])
    with pytest.raises(error):
        declare(node, interface.POLICY_PARAMETERS)
    node.destroy_node()


def test_an_array_of_numbers_is_taken(context):
    """A corner of the workspace comes back as a tuple."""
    node = Node("takes", parameter_overrides=[Parameter("workspace_min_m", value=[0.1, -0.3, 0.0])])
    declare(node, interface.POLICY_PARAMETERS)
    found = values(node, interface.POLICY_PARAMETERS)
    node.destroy_node()
    assert found["workspace_min_m"] == (0.1, -0.3, 0.0)
