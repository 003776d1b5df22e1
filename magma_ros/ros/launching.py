"""What the launch files share: arguments that mean the same in all of them, and our nodes."""

from __future__ import annotations

from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

SHARE = FindPackageShare("magma_ros")
SWITCH = ["true", "false"]

COMMON = (
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
        "log_level",
        default_value="info",
        choices=["debug", "info", "warn", "error", "fatal"],
        description="least severe messages that are shown",
    ),
)
"""Of every node of ours."""

CAMERA = (
    DeclareLaunchArgument(
        "camera", default_value="", description="topic of the arm's only camera; empty takes the one of its file"
    ),
    DeclareLaunchArgument(
        "image_transport",
        default_value="raw",
        choices=["raw", "compressed"],
        description="compressed adds /compressed to the camera's topic",
    ),
)
"""Of the nodes that see."""


def value(name: str, kind: type) -> ParameterValue:
    """A launch argument as a parameter of a type: YAML must not turn an instruction into a number."""
    return ParameterValue(LaunchConfiguration(name), value_type=kind)


def camera_parameters() -> dict[str, ParameterValue]:
    """What `CAMERA` says to a node."""
    return {"camera_topic": value("camera", str), "image_transport": value("image_transport", str)}


def our_node(executable: str, *, parameters: dict[str, ParameterValue], **more: object) -> Node:
    """One of our nodes, named as its executable; `more` goes to launch's `Node` as it is."""
    return Node(
        package="magma_ros",
        executable=executable,
        name=executable,
        namespace=LaunchConfiguration("namespace"),
        parameters=[
            LaunchConfiguration("params_file"),
            {"arm": value("arm", str), "use_sim_time": value("use_sim_time", bool), **parameters},
        ],
        ros_arguments=["--log-level", LaunchConfiguration("log_level")],
        output="screen",
        **more,
    )
