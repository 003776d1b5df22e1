"""Records an arm's pictures, state, actions and commands as a rosbag2 in MCAP, until Ctrl-C or a full disk.

ros2 launch magma_ros record.launch.py arm:=fr3 output:=/data/run_0001
ros2 launch magma_ros record.launch.py arm:=fr3 output:=/data/demos episodes:=true    # one bag for each episode
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument

from magma_ros.ros import launching

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
        choices=launching.SWITCH,
        description="wait for start_episode and record each episode into a folder of its own in output",
    ),
    DeclareLaunchArgument(
        "min_free_gib", default_value="1.0", description="free space on the disk at which recording ends [GiB]"
    ),
    *launching.CAMERA,
    *launching.COMMON,
)


def generate_launch_description() -> LaunchDescription:
    """One node, beside whatever runs the arm."""
    kinds = {"output": str, "episodes": bool, "min_free_gib": float}
    told = {name: launching.value(name, kind) for name, kind in kinds.items()}
    recorder = launching.our_node("recorder_node", parameters={**told, **launching.camera_parameters()})
    return LaunchDescription([*ARGUMENTS, recorder])
