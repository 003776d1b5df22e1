"""The policy, the supervisor that alone commands the arm, and the pictures for people; arm and camera run already.

ros2 launch magma_ros bringup.launch.py arm:=fr3 checkpoint:=/path/to/checkpoint dry_run:=true
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import (
    EnvironmentVariable,
    IfElseSubstitution,
    LaunchConfiguration,
    NotEqualsSubstitution,
    PathJoinSubstitution,
)
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from magma_ros.ros import launching
from magma_ros.ros.launching import SHARE, SWITCH

ARGUMENTS = (
    DeclareLaunchArgument(
        "arm",
        description="sim, sim_servo, wx250s, fr3, ur5e, or the YAML file of another arm: frames, limits, topics",
    ),
    DeclareLaunchArgument(
        "checkpoint", default_value="", description="folder, name or hub id of a checkpoint; not used with remote"
    ),
    DeclareLaunchArgument(
        "remote", default_value="", description="ws:// or wss:// address of a policy server, instead of a checkpoint"
    ),
    DeclareLaunchArgument(
        "instruction", default_value="", description="instruction to follow from the start; empty waits for one"
    ),
    DeclareLaunchArgument("device", default_value="cpu", description="torch device: cpu, cuda:0 ..."),
    DeclareLaunchArgument(
        "dtype",
        default_value="float32",
        choices=["float32", "bfloat16", "float16"],
        description="number type of the weights",
    ),
    DeclareLaunchArgument(
        "quantization",
        default_value="none",
        choices=["none", "int8", "int4", "nf4"],
        description="how the linear layers of the language model are stored",
    ),
    DeclareLaunchArgument(
        "embodiment",
        default_value="",
        description="name or file of what the actions mean, for a checkpoint that does not say (microsoft/Magma-8B)",
    ),
    DeclareLaunchArgument(
        "dry_run", default_value="false", choices=SWITCH, description="work out and show everything, publish no motion"
    ),
    DeclareLaunchArgument(
        "speed_scale", default_value="1.0", description="share of the arm's speeds and steps that is used, 0.01 to 1"
    ),
    DeclareLaunchArgument(
        "autostart",
        default_value="true",
        choices=SWITCH,
        description="configure and activate at once; false leaves the transitions to you",
    ),
    DeclareLaunchArgument(
        "motion_profile",
        default_value=PathJoinSubstitution([SHARE, "config", "fastdds_motion.xml"]),
        description="Fast DDS profile of the motion node: without shared memory nobody can make it wait",
    ),
    DeclareLaunchArgument("rviz", default_value="false", choices=SWITCH, description="start RViz with our view"),
    *launching.CAMERA,
    *launching.COMMON,
)

# Pictures between processes on one machine: the transport's segment must hold one, and large buffers are kept
# (docs/bringup.md). What is set already stays. The camera's driver needs the same, because it is who publishes.
ENVIRONMENT = tuple(
    SetEnvironmentVariable(name, EnvironmentVariable(name, default_value=value))
    for name, value in (
        ("FASTRTPS_DEFAULT_PROFILES_FILE", PathJoinSubstitution([SHARE, "config", "fastdds.xml"])),
        ("MALLOC_MMAP_THRESHOLD_", "33554432"),
        ("MALLOC_TRIM_THRESHOLD_", "268435456"),
        ("MALLOC_ARENA_MAX", "1"),
    )
)


def generate_launch_description() -> LaunchDescription:
    """Three processes of ours, and RViz if wanted; everything that they are told is an argument."""
    remote = LaunchConfiguration("remote")
    named = IfElseSubstitution(NotEqualsSubstitution(remote, ""), remote, LaunchConfiguration("checkpoint"))
    cameras = launching.camera_parameters()
    loading = {
        name: launching.value(name, str) for name in ("instruction", "device", "dtype", "quantization", "embodiment")
    }
    autostart = launching.value("autostart", bool)
    policy = launching.our_node(
        "policy_node",
        parameters={
            "checkpoint": ParameterValue(named, value_type=str),
            "autostart": autostart,
            **cameras,
            **loading,
        },
    )
    motion = launching.our_node(
        "motion_node",
        parameters={
            "dry_run": launching.value("dry_run", bool),
            "speed_scale": launching.value("speed_scale", float),
            "autostart": autostart,
        },
        additional_env={"FASTRTPS_DEFAULT_PROFILES_FILE": LaunchConfiguration("motion_profile")},
    )
    view = launching.our_node("view_node", parameters=cameras)
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        name="rviz2",
        namespace=LaunchConfiguration("namespace"),
        arguments=["-d", PathJoinSubstitution([SHARE, "config", "rviz", "magma_ros.rviz"])],
        parameters=[{"use_sim_time": launching.value("use_sim_time", bool)}],
        output="screen",
        condition=IfCondition(LaunchConfiguration("rviz")),
    )
    return LaunchDescription([*ARGUMENTS, *ENVIRONMENT, policy, motion, view, rviz])
