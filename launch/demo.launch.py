"""The simulated arm and the policy that moves it; ends when the arm does.

ros2 launch magma_ros demo.launch.py instruction:="put carrot on plate"
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, SetEnvironmentVariable, Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

SHARE = FindPackageShare("magma_ros")

ARGUMENTS = (
    DeclareLaunchArgument(
        "checkpoint",
        default_value=PathJoinSubstitution([SHARE, "checkpoints", "magma-tiny"]),
        description="checkpoint folder that the policy is loaded from",
    ),
    DeclareLaunchArgument(
        "params_file",
        default_value=PathJoinSubstitution([SHARE, "config", "sim_wx250s.yaml"]),
        description="YAML file with the parameters of both nodes",
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
    DeclareLaunchArgument("real_time_factor", default_value="1.0", description="simulated seconds per second"),
    DeclareLaunchArgument("log_level", default_value="info", description="least severe messages that are shown"),
)

# Pictures between processes on one machine: the transport's segment must hold one, and large buffers are kept.
ENVIRONMENT = (
    SetEnvironmentVariable("FASTRTPS_DEFAULT_PROFILES_FILE", PathJoinSubstitution([SHARE, "config", "fastdds.xml"])),
    SetEnvironmentVariable("MALLOC_MMAP_THRESHOLD_", "33554432"),
    SetEnvironmentVariable("MALLOC_TRIM_THRESHOLD_", "268435456"),
    SetEnvironmentVariable("MALLOC_ARENA_MAX", "1"),
)


def generate_launch_description() -> LaunchDescription:
    """Two processes: the arm here, the policy from its own launch file."""
    arm = Node(
        package="magma_ros",
        executable="arm_node",
        name="arm_node",
        namespace=LaunchConfiguration("namespace"),
        parameters=[
            LaunchConfiguration("params_file"),
            {
                "seed": ParameterValue(LaunchConfiguration("seed"), value_type=int),
                "real_time_factor": ParameterValue(LaunchConfiguration("real_time_factor"), value_type=float),
            },
        ],
        ros_arguments=["--log-level", LaunchConfiguration("log_level")],
        output="screen",
        on_exit=Shutdown(reason="the simulated arm ended"),
    )
    policy = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(PathJoinSubstitution([SHARE, "launch", "policy.launch.py"])),
        launch_arguments=[
            (name, LaunchConfiguration(name))
            for name in ("checkpoint", "params_file", "namespace", "instruction", "log_level")
        ],
    )
    return LaunchDescription([*ARGUMENTS, *ENVIRONMENT, arm, policy])
