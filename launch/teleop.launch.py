"""A person moves the arm, by keys, joystick or a script; motion_node and the arm run already.

ros2 launch magma_ros teleop.launch.py arm:=fr3 device:=joystick instruction:="put the cup on the plate" operator:=ada
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, Shutdown
from launch.conditions import IfCondition
from launch.substitutions import EqualsSubstitution, IfElseSubstitution, LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

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
    """The teleoperation, beside the joystick's driver if there is one; the launch ends with it."""
    names = {"arm": str, "device": str, "joystick": str, "script": str, "instruction": str, "operator": str}
    kinds = {**names, "speed_m_s": float, "speed_rad_s": float, "use_sim_time": bool}
    device, namespace = LaunchConfiguration("device"), LaunchConfiguration("namespace")
    teleop = Node(
        package="magma_ros",
        executable="teleop_node",
        name="teleop_node",
        namespace=namespace,
        parameters=[{name: value(name, kind) for name, kind in kinds.items()}],
        prefix=IfElseSubstitution(EqualsSubstitution(device, "keyboard"), LaunchConfiguration("terminal"), ""),
        ros_arguments=["--log-level", LaunchConfiguration("log_level")],
        on_exit=Shutdown(reason="the teleoperation has ended"),
        output="screen",
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
