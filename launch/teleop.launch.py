"""A person moves the arm, by keys, joystick or a script; motion_node and the arm run already.

ros2 launch magma_ros teleop.launch.py arm:=fr3 device:=joystick instruction:="put the cup on the plate" operator:=ada
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, Shutdown
from launch.conditions import IfCondition
from launch.substitutions import EqualsSubstitution, IfElseSubstitution, LaunchConfiguration
from launch_ros.actions import Node

from magma_ros.ros import launching

ARGUMENTS = (
    DeclareLaunchArgument("arm", description="name or YAML file of the arm: its frame and topics"),
    DeclareLaunchArgument(
        "device",
        default_value="joystick",
        choices=["joystick", "keyboard", "script"],
        description="what the arm is moved with; the keyboard gets a terminal of its own",
    ),
    DeclareLaunchArgument(
        "joystick", default_value="xbox", description="name or YAML file of what the joystick's axes and buttons mean"
    ),
    DeclareLaunchArgument(
        "script", default_value="", description="YAML file of keys, twists and orders that is played back in time"
    ),
    DeclareLaunchArgument(
        "speed_m_s", default_value="0.05", description="speed of a key or of a stick at its end [m/s]"
    ),
    DeclareLaunchArgument("speed_rad_s", default_value="0.3", description="same of a turn [rad/s]"),
    DeclareLaunchArgument("instruction", default_value="", description="what the episodes show"),
    DeclareLaunchArgument("operator", default_value="", description="who moves the arm"),
    DeclareLaunchArgument(
        "terminal", default_value="xterm -e", description="program that gives the keyboard a terminal"
    ),
    *launching.COMMON,
)


def generate_launch_description() -> LaunchDescription:
    """The teleoperation, beside the joystick's driver if there is one; the launch ends with it."""
    names = {"device": str, "joystick": str, "script": str, "instruction": str, "operator": str}
    kinds = {**names, "speed_m_s": float, "speed_rad_s": float}
    device, namespace = LaunchConfiguration("device"), LaunchConfiguration("namespace")
    teleop = launching.our_node(
        "teleop_node",
        parameters={name: launching.value(name, kind) for name, kind in kinds.items()},
        prefix=IfElseSubstitution(EqualsSubstitution(device, "keyboard"), LaunchConfiguration("terminal"), ""),
        on_exit=Shutdown(reason="the teleoperation has ended"),
    )
    joy = Node(
        package="joy",
        executable="joy_node",
        name="joy_node",
        namespace=namespace,
        parameters=[{"autorepeat_rate": 20.0}],
        condition=IfCondition(EqualsSubstitution(device, "joystick")),
        output="screen",
    )
    return LaunchDescription([*ARGUMENTS, joy, teleop])
