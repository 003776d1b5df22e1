"""Records an arm's pictures, state, actions and commands as a rosbag2 in MCAP, until Ctrl-C or a full disk.

ros2 launch magma_ros record.launch.py arm:=fr3 output:=/data/run_0001
ros2 launch magma_ros record.launch.py arm:=fr3 output:=/data/demos episodes:=true    # one bag for each episode
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

ARGUMENTS = (
    DeclareLaunchArgument("arm", description="name or YAML file of the arm: which topics it has"),
    DeclareLaunchArgument(
        "output",
        default_value="",
        description="folder of the recording, which must not exist (with episodes it may); empty takes the time",
    ),
    DeclareLaunchArgument(
        "episodes",
        default_value="false",
        choices=["true", "false"],
        description="wait for start_episode and record each episode into a folder of its own in output",
    ),
    DeclareLaunchArgument(
        "min_free_gib", default_value="1.0", description="free space on the disk at which recording ends [GiB]"
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
    DeclareLaunchArgument("namespace", default_value="", description="namespace that holds the arm's graph"),
    DeclareLaunchArgument(
        "use_sim_time", default_value="false", choices=["true", "false"], description="take the time from /clock"
    ),
    DeclareLaunchArgument("log_level", default_value="info", description="least severe messages that are shown"),
)


def value(name: str, kind: type) -> ParameterValue:
    """A launch argument as a parameter of a type."""
    return ParameterValue(LaunchConfiguration(name), value_type=kind)


def generate_launch_description() -> LaunchDescription:
    """One node, beside whatever runs the arm."""
    recorder = Node(
        package="magma_ros",
        executable="recorder_node",
        name="recorder_node",
        namespace=LaunchConfiguration("namespace"),
        parameters=[
            {
                "arm": value("arm", str),
                "output": value("output", str),
                "episodes": value("episodes", bool),
                "min_free_gib": value("min_free_gib", float),
                "camera_topic": value("camera", str),
                "image_transport": value("image_transport", str),
                "use_sim_time": value("use_sim_time", bool),
            }
        ],
        ros_arguments=["--log-level", LaunchConfiguration("log_level")],
        output="screen",
    )
    return LaunchDescription([*ARGUMENTS, recorder])
