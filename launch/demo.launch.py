"""The simulated arm and everything that moves it; ends when the arm does.

ros2 launch magma_ros demo.launch.py instruction:="put carrot on plate"
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from magma_ros.ros.launching import SHARE, SWITCH

ARGUMENTS = (
    DeclareLaunchArgument(
        "checkpoint",
        default_value=PathJoinSubstitution([SHARE, "checkpoints", "magma-tiny-talking"]),
        description="checkpoint folder that the policy is loaded from",
    ),
    DeclareLaunchArgument("namespace", default_value="", description="namespace that holds the arm's graph"),
    DeclareLaunchArgument(
        "instruction",
        default_value="put carrot on plate",
        description="instruction to follow from the start; empty waits",
    ),
    DeclareLaunchArgument(
        "seed", default_value="0", description="initial state of the world; reset_world chooses others"
    ),
    DeclareLaunchArgument("rviz", default_value="false", choices=SWITCH, description="start RViz too"),
    DeclareLaunchArgument("log_level", default_value="info", description="least severe messages that are shown"),
)


def generate_launch_description() -> LaunchDescription:
    """The arm here, the rest from its own launch file."""
    arm = Node(
        package="magma_ros",
        executable="arm_node",
        name="arm_node",
        namespace=LaunchConfiguration("namespace"),
        parameters=[{"seed": ParameterValue(LaunchConfiguration("seed"), value_type=int)}],
        ros_arguments=["--log-level", LaunchConfiguration("log_level")],
        output="screen",
        on_exit=Shutdown(reason="the simulated arm ended"),
    )
    passed_on = ("checkpoint", "namespace", "instruction", "rviz", "log_level")
    bringup = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(PathJoinSubstitution([SHARE, "launch", "bringup.launch.py"])),
        launch_arguments=[("arm", "sim"), *((name, LaunchConfiguration(name)) for name in passed_on)],
    )
    return LaunchDescription([*ARGUMENTS, bringup, arm])
