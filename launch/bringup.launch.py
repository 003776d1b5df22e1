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
from launch_ros.substitutions import FindPackageShare

SHARE = FindPackageShare("magma_ros")
SWITCH = ["true", "false"]

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
        "camera", default_value="", description="topic of the arm's only camera; empty takes the one of its file"
    ),
    DeclareLaunchArgument(
        "image_transport",
        default_value="raw",
        choices=["raw", "compressed"],
        description="compressed adds /compressed to the camera's topic",
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
    DeclareLaunchArgument("namespace", default_value="", description="namespace that holds the arm's graph"),
    DeclareLaunchArgument(
        "use_sim_time", default_value="false", choices=SWITCH, description="take the time from /clock"
    ),
    DeclareLaunchArgument(
        "params_file",
        default_value=PathJoinSubstitution([SHARE, "config", "params.yaml"]),
        description="YAML file with further parameters of the nodes; the arguments here go before it",
    ),
    DeclareLaunchArgument(
        "autostart",
        default_value="true",
        choices=SWITCH,
        description="configure and activate at once; false leaves the transitions to you",
    ),
    DeclareLaunchArgument(
        "log_level",
        default_value="info",
        choices=["debug", "info", "warn", "error", "fatal"],
        description="least severe messages that are shown",
    ),
    DeclareLaunchArgument(
        "motion_profile",
        default_value=PathJoinSubstitution([SHARE, "config", "fastdds_motion.xml"]),
        description="Fast DDS profile of the motion node: without shared memory nobody can make it wait",
    ),
    DeclareLaunchArgument("rviz", default_value="false", choices=SWITCH, description="start RViz with our view"),
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


def text(name: str) -> ParameterValue:
    """A launch argument as a string parameter: YAML must not turn an instruction into a number."""
    return ParameterValue(LaunchConfiguration(name), value_type=str)


def switch(name: str) -> ParameterValue:
    """A launch argument as a boolean parameter."""
    return ParameterValue(LaunchConfiguration(name), value_type=bool)


def ours(executable: str, *, profile: LaunchConfiguration | None = None, **parameters: ParameterValue) -> Node:
    """One of our nodes, named as its executable; `profile` is a Fast DDS profile of its own."""
    return Node(
        package="magma_ros",
        executable=executable,
        name=executable,
        namespace=LaunchConfiguration("namespace"),
        parameters=[
            LaunchConfiguration("params_file"),
            {"arm": text("arm"), "use_sim_time": switch("use_sim_time"), **parameters},
        ],
        ros_arguments=["--log-level", LaunchConfiguration("log_level")],
        additional_env={} if profile is None else {"FASTRTPS_DEFAULT_PROFILES_FILE": profile},
        output="screen",
    )


def generate_launch_description() -> LaunchDescription:
    """Three processes of ours, and RViz if wanted; everything that they are told is an argument."""
    remote = LaunchConfiguration("remote")
    named = IfElseSubstitution(NotEqualsSubstitution(remote, ""), remote, LaunchConfiguration("checkpoint"))
    cameras = {"camera_topic": text("camera"), "image_transport": text("image_transport")}
    loading = {name: text(name) for name in ("instruction", "device", "dtype", "quantization", "embodiment")}
    policy = ours(
        "policy_node",
        checkpoint=ParameterValue(named, value_type=str),
        autostart=switch("autostart"),
        **cameras,
        **loading,
    )
    motion = ours(
        "motion_node",
        profile=LaunchConfiguration("motion_profile"),
        dry_run=switch("dry_run"),
        speed_scale=ParameterValue(LaunchConfiguration("speed_scale"), value_type=float),
        autostart=switch("autostart"),
    )
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        name="rviz2",
        namespace=LaunchConfiguration("namespace"),
        arguments=["-d", PathJoinSubstitution([SHARE, "config", "rviz", "magma_ros.rviz"])],
        parameters=[{"use_sim_time": switch("use_sim_time")}],
        output="screen",
        condition=IfCondition(LaunchConfiguration("rviz")),
    )
    return LaunchDescription([*ARGUMENTS, *ENVIRONMENT, policy, motion, ours("view_node", **cameras), rviz])
