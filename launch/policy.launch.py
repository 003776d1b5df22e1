"""The policy alone, for an arm and a camera that run already.

ros2 launch magma_ros policy.launch.py checkpoint:=/path/to/checkpoint params_file:=/path/to/arm.yaml
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

SHARE = FindPackageShare("magma_ros")

ARGUMENTS = (
    DeclareLaunchArgument(
        "checkpoint", description="folder, name or hub id of a checkpoint, or ws:// address of a policy server"
    ),
    DeclareLaunchArgument(
        "params_file",
        default_value=PathJoinSubstitution([SHARE, "config", "sim_wx250s.yaml"]),
        description="YAML file with the arm's parameters: limits, workspace, gripper joint",
    ),
    DeclareLaunchArgument("namespace", default_value="", description="namespace that holds the arm's graph"),
    DeclareLaunchArgument(
        "instruction", default_value="", description="instruction to follow from the start; empty waits"
    ),
    DeclareLaunchArgument("camera", default_value="camera/image_raw", description="topic of the camera's pictures"),
    DeclareLaunchArgument("device", default_value="cpu", description="torch device: cpu, cuda:0 ..."),
    DeclareLaunchArgument(
        "dtype",
        default_value="float32",
        choices=["float32", "bfloat16", "float16"],
        description="number type of weights",
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
        "autostart",
        default_value="true",
        choices=["true", "false"],
        description="configure and activate at once; false leaves both transitions to you",
    ),
    DeclareLaunchArgument(
        "use_sim_time", default_value="false", choices=["true", "false"], description="take the time from /clock"
    ),
    DeclareLaunchArgument(
        "log_level",
        default_value="info",
        choices=["debug", "info", "warn", "error", "fatal"],
        description="least severe messages that are shown",
    ),
)


def text(name: str) -> ParameterValue:
    """A launch argument as a string parameter: YAML must not turn an instruction into a number."""
    return ParameterValue(LaunchConfiguration(name), value_type=str)


def switch(name: str) -> ParameterValue:
    """A launch argument as a boolean parameter."""
    return ParameterValue(LaunchConfiguration(name), value_type=bool)


def generate_launch_description() -> LaunchDescription:
    """One node; everything that it is told is an argument."""
    policy = Node(
        package="magma_ros",
        executable="policy_node",
        name="policy_node",
        namespace=LaunchConfiguration("namespace"),
        parameters=[
            LaunchConfiguration("params_file"),
            {
                "checkpoint": text("checkpoint"),
                "instruction": text("instruction"),
                "device": text("device"),
                "dtype": text("dtype"),
                "quantization": text("quantization"),
                "embodiment": text("embodiment"),
                "autostart": switch("autostart"),
                "use_sim_time": switch("use_sim_time"),
            },
        ],
        remappings=[("camera/image_raw", LaunchConfiguration("camera"))],
        ros_arguments=["--log-level", LaunchConfiguration("log_level")],
        output="screen",
    )
    return LaunchDescription([*ARGUMENTS, policy])
