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

from magma_ros.ros import endpoints, interface
from magma_ros.ros.motion_node import MotionNode
from magma_ros.ros.parameters import declare, values
from magma_ros.ros.policy_node import PolicyNode

SENSOR, RELIABLE, LATCHED = (False, False, 1), (True, False, 1), (True, True, 1)

TOPICS = {
    "camera/image_raw": ("sensor_msgs/Image", SENSOR, SENSOR),
    "joint_states": ("sensor_msgs/JointState", RELIABLE, SENSOR),
    "ee_pose": ("geometry_msgs/PoseStamped", RELIABLE, SENSOR),
    "ee_delta": ("magma_ros/EndEffectorDelta", RELIABLE, RELIABLE),
    "instruction": ("std_msgs/String", RELIABLE, RELIABLE),
    "policy_action": ("magma_ros/EndEffectorDelta", RELIABLE, RELIABLE),
    "taken_action": ("magma_ros/EndEffectorDelta", RELIABLE, RELIABLE),
    "teleop_twist": ("geometry_msgs/TwistStamped", RELIABLE, SENSOR),
    "teleop_gripper": ("std_msgs/Float64", RELIABLE, RELIABLE),
    "joy": ("sensor_msgs/Joy", SENSOR, SENSOR),
    "action_chunk": ("magma_ros/ActionChunk", RELIABLE, RELIABLE),
    "action_contract": ("std_msgs/String", LATCHED, LATCHED),
    "policy_status": ("magma_ros/PolicyStatus", LATCHED, LATCHED),
    "motion_status": ("magma_ros/MotionStatus", LATCHED, LATCHED),
    "setpoint": ("geometry_msgs/PoseStamped", RELIABLE, SENSOR),
    "emergency_stop": ("std_msgs/Bool", RELIABLE, (True, False, 100)),
    "annotated/image_raw": ("sensor_msgs/Image", SENSOR, SENSOR),
    "predicted_traces": ("magma_ros/PredictedTraces", RELIABLE, RELIABLE),
    "trace_markers": ("visualization_msgs/MarkerArray", RELIABLE, SENSOR),
    "camera/camera_info": ("sensor_msgs/CameraInfo", RELIABLE, SENSOR),
    "planned_motion": ("visualization_msgs/MarkerArray", RELIABLE, SENSOR),
    "/diagnostics": ("diagnostic_msgs/DiagnosticArray", (True, False, 10), (True, False, 10)),
    "task_success": ("std_msgs/Bool", LATCHED, LATCHED),
    "viewer/image_raw": ("sensor_msgs/Image", SENSOR, SENSOR),
}
SERVICES = {
    "set_instruction": "magma_ros/SetInstruction",
    "execute_instruction": "magma_ros/ExecuteInstruction",
    "swap_policy": "magma_ros/SwapPolicy",
    "ask": "magma_ros/Ask",
    "ground": "magma_ros/Ground",
    "predict_trace": "magma_ros/PredictTrace",
    "emergency_stop": "std_srvs/Trigger",
    "reset_halt": "std_srvs/Trigger",
    "reset_world": "magma_ros/ResetWorld",
    "start_episode": "magma_ros/StartEpisode",
    "end_episode": "magma_ros/EndEpisode",
}
CAMERA_PARAMETERS = {"arm": "sim", "camera_topic": "", "image_transport": "raw"}
POLICY_PARAMETERS = {
    **CAMERA_PARAMETERS,
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
    "control_rate_hz": 0.0,
    "camera_slop_s": 0.05,
    "entropy_slow_nats": 0.0,
    "entropy_hold_nats": 0.0,
    "max_consecutive_stops": 15,
    "swap_trial_steps": 50,
    "swap_max_bad_share": 0.3,
    "answer_timeout_s": 60.0,
    "trace_steps": 8,
    "max_trace_divergence": 0.08,
}
MOTION_PARAMETERS = {"arm": "sim", "autostart": False, "dry_run": False, "speed_scale": 1.0, "teleop_release_s": 1.0}
RECORDER_PARAMETERS = {**CAMERA_PARAMETERS, "output": "", "episodes": False, "min_free_gib": 1.0}
TELEOP_PARAMETERS = {
    "arm": "sim",
    "device": "keyboard",
    "joystick": "xbox",
    "script": "",
    "speed_m_s": 0.05,
    "speed_rad_s": 0.3,
    "instruction": "",
    "operator": "",
}
ARM_PARAMETERS = {
    "task": "carrot_on_plate",
    "image_size_px": 128,
    "seed": 0,
    "real_time_factor": 1.0,
    "command_slack_s": 0.4,
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
    of_nodes = (
        *(interface.POLICY_TOPICS, interface.MOTION_TOPICS, interface.VIEW_TOPICS),
        *(interface.ARM_TOPICS, interface.TELEOP_TOPICS),
    )
    topics = {topic for table in of_nodes for topic in table}
    assert {t.name: (interface_name(t.message), qos(t.offered), qos(t.requested)) for t in topics} == TOPICS


def test_services_are_frozen():
    """Names and types of every service and action."""
    of_nodes = (
        *(interface.POLICY_SERVICES, interface.MOTION_SERVICES, interface.ARM_SERVICES),
        interface.RECORDER_SERVICES,
    )
    services = {service for table in of_nodes for service in table}
    assert {s.name: interface_name(s.interface) for s in services} == SERVICES


@pytest.mark.parametrize(
    ("table", "frozen"),
    [
        (interface.POLICY_PARAMETERS, POLICY_PARAMETERS),
        (interface.MOTION_PARAMETERS, MOTION_PARAMETERS),
        (interface.VIEW_PARAMETERS, CAMERA_PARAMETERS),
        (interface.RECORDER_PARAMETERS, RECORDER_PARAMETERS),
        (interface.TELEOP_PARAMETERS, TELEOP_PARAMETERS),
        (interface.ARM_PARAMETERS, ARM_PARAMETERS),
    ],
    ids=["policy_node", "motion_node", "view_node", "recorder_node", "teleop_node", "arm_node"],
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
    """No name but the diagnostics' begins with a slash, so that a namespace holds a whole arm."""
    assert ["/diagnostics"] == [name for name in (*TOPICS, *SERVICES) if name.startswith("/")]


def test_every_quality_of_service_is_explicit():
    """A profile names reliability, durability, history and depth, and is a new object each time."""
    profile = endpoints.SENSOR.profile()
    assert profile is not endpoints.SENSOR.profile()
    assert (profile.reliability, profile.durability) == (ReliabilityPolicy.BEST_EFFORT, DurabilityPolicy.VOLATILE)
    assert (profile.history, profile.depth) == (HistoryPolicy.KEEP_LAST, 1)
    assert endpoints.LATCHED.profile().durability is DurabilityPolicy.TRANSIENT_LOCAL


@pytest.mark.parametrize(
    ("make", "table"),
    [(PolicyNode, interface.POLICY_TOPICS), (MotionNode, interface.MOTION_TOPICS)],
    ids=["policy_node", "motion_node"],
)
def test_the_node_has_the_topics_of_the_table(context, make, table):
    """Each node publishes and subscribes what the table says, under its namespace, and its arm's measured state."""
    node = make()
    own = {"/" + topic.name.removeprefix("/") for topic in table} | {"/joint_states", "/ee_pose"}
    there = {name for name, _ in node.get_topic_names_and_types()}
    node.close()
    node.destroy_node()
    assert own <= there


def test_parameters_carry_their_description_range_and_flag(context):
    """A declared parameter shows the table's description, range and read-only flag to its users."""
    node = Node("declares")
    declare(node, interface.POLICY_PARAMETERS)
    slop = node.describe_parameter("camera_slop_s")
    horizon = node.describe_parameter("execution_horizon")
    autostart = node.describe_parameter("autostart")
    found = values(node, interface.POLICY_PARAMETERS)
    node.destroy_node()
    assert "stamps" in slop.description
    assert (slop.floating_point_range[0].from_value, slop.floating_point_range[0].to_value) == (0.0, 1.0)
    assert (horizon.integer_range[0].from_value, horizon.integer_range[0].to_value) == (1, 64)
    assert autostart.read_only
    assert found == POLICY_PARAMETERS


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("camera_slop_s", -0.1, InvalidParameterValueException),
        ("execution_horizon", 0, InvalidParameterValueException),
        ("execution_horizon", "two", InvalidParameterTypeException),
        ("arm", 3, InvalidParameterTypeException),
    ],
)
def test_a_value_out_of_range_or_of_another_type_is_refused(context, name, value, error):
    """An override that the table does not allow keeps the node from starting."""
    node = Node("refuses", parameter_overrides=[Parameter(name, value=value)])
    with pytest.raises(error):
        declare(node, interface.POLICY_PARAMETERS)
    node.destroy_node()


def test_quality_of_service_can_be_overridden(context):
    """The parameters that ROS names for it change one topic's profile and no other's."""
    name = "qos_overrides./policy_action.subscription.reliability"
    node = Node("overrides", parameter_overrides=[Parameter(name, value="best_effort")])
    subscription = interface.POLICY_ACTION.subscribe(node, lambda _message: None)
    other = interface.EE_DELTA.subscribe(node, lambda _message: None)
    found = subscription.qos_profile.reliability, other.qos_profile.reliability
    node.destroy_node()
    assert found == (ReliabilityPolicy.BEST_EFFORT, ReliabilityPolicy.RELIABLE)
