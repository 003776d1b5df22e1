"""The WidowX 250S as MJCF text: links, drives, gripper.

Numbers: Interbotix's wx250s description and SimplerEnv's drive gains, which were identified on the real arm at 5 Hz.
"""

from __future__ import annotations

from dataclasses import dataclass

HOME_JOINTS_RAD = (-0.01840777, 0.0398835, 0.22242722, -0.00460194, 1.36524296, 0.00153398)
SINK_HOME_JOINTS_RAD = (-0.2600599, -0.12875618, 0.04461369, -0.00652761, 1.7033415, -0.26983038)
GRIPPER_TARGET_M = (0.014, 0.038)
"""Finger targets of gripper openings 0 and 1; 1 mm beyond what the fingers can reach."""
FINGER_RANGE_M = (0.015, 0.037)
EE_OFFSET_M = 0.093575
"""From the gripper link to the controlled frame, along the fingers; the fingertips are 15.4 mm further."""
ARM_JOINTS = ("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate")
FINGER_JOINTS = ("left_finger", "right_finger")

_FINGERS_OFFSET_M = 0.066
_HALF_TURN = "3.141592653589793"
_UPRIGHT = "0 0 1.5707963267948966"
_GRIPPER_DRIVE = 'kp="1000" kv="200" forcerange="-60 60"'


@dataclass(frozen=True, slots=True)
class _Link:
    """A moving link and the joint in front of it.

    Attributes:
        offset: Of the joint in the parent link [m].
        axis, limits: Of the joint; limits in [rad].
        mass: [kg]
        drive: Stiffness [N m/rad], damping [N m s/rad] and largest torque [N m].
        mesh_euler, mesh_offset: The mesh in the link's frame [rad], [m].
    """

    name: str
    offset: str
    axis: str
    limits: str
    mass: float
    drive: tuple[float, float, float]
    mesh_euler: str = _UPRIGHT
    mesh_offset: str = "0 0 0"


_X, _Y, _Z, _TURN = "1 0 0", "0 1 0", "0 0 1", "-3.14158 3.14158"
_LINKS = (
    _Link("shoulder", "0 0 0.072", _Z, _TURN, 0.480879, (1169.7891719504198, 330.0, 200.0), mesh_offset="0 0 -0.003"),
    _Link("upper_arm", "0 0 0.03865", _Y, "-1.88496 1.98968", 0.430811, (730.0, 180.0, 200.0)),
    _Link(
        "upper_forearm",
        "0.04975 0 0.25",
        _Y,
        "-2.14675 1.6057",
        0.234589,
        (808.4601346394447, 152.12036565582588, 100.0),
        mesh_euler="0 0 0",
    ),
    _Link(
        "lower_forearm",
        "0.175 0 0",
        _X,
        _TURN,
        0.220991,
        (1229.1299089624076, 309.6215302722146, 100.0),
        mesh_euler=f"{_HALF_TURN} 0 0",
    ),
    _Link("wrist", "0.075 0 0", _Y, "-1.74533 2.14675", 0.084957, (1272.2760456418862, 201.04998711007383, 100.0)),
    _Link(
        "gripper",
        "0.065 0 0",
        _X,
        _TURN,
        0.111424,
        (1056.3326605132252, 269.51458932695414, 100.0),
        mesh_offset="-0.02 0 0",
    ),
)


def arm_defaults() -> str:
    """Classes "robot" (drawn, touches nothing) and "pad" (a finger's pad: touches table, target and source)."""
    return (
        '<default class="robot"><geom type="mesh" contype="0" conaffinity="0" mass="0" material="black"/></default>'
        '<default class="pad"><geom type="box" size="0.0215 0.004 0.0075" contype="0" conaffinity="7" condim="4" '
        'friction="2 0.005 0.0001" rgba="0 0 0 0" mass="0"/></default>'
    )


def arm_bodies() -> str:
    """What stands in the base body: the base's look, then the chain of links with the gripper at its end."""
    links = "".join(_link(joint, link) for joint, link in zip(ARM_JOINTS, _LINKS, strict=True))
    return f'<geom class="robot" mesh="base" euler="{_UPRIGHT}"/>{links}{_gripper()}' + "</body>" * len(_LINKS)


def arm_actuators() -> str:
    """Position drives of the arm's six joints, then of the two fingers."""
    arm = ""
    for joint, link in zip(ARM_JOINTS, _LINKS, strict=True):
        stiffness, damping, torque = link.drive
        arm += f'<position joint="{joint}" kp="{stiffness}" kv="{damping}" forcerange="{-torque} {torque}"/>'
    return arm + "".join(f'<position joint="{joint}" {_GRIPPER_DRIVE}/>' for joint in FINGER_JOINTS)


def _link(joint: str, link: _Link) -> str:
    """The opening of one link's body; links nest, and `arm_bodies` closes them all."""
    return (
        f'<body name="{link.name}_link" pos="{link.offset}" gravcomp="1">'
        f'<inertial pos="0 0 0" mass="{link.mass}" diaginertia="0.0005 0.0005 0.0005"/>'
        f'<joint name="{joint}" axis="{link.axis}" range="{link.limits}"/>'
        f'<geom class="robot" mesh="{link.name}" pos="{link.mesh_offset}" euler="{link.mesh_euler}"/>'
    )


def _gripper() -> str:
    """Bar, prop, the controlled frame and the fingers, in the gripper link."""
    fixed = "".join(
        f'<geom class="robot" mesh="{mesh}" pos="-0.02 0 0" euler="{_UPRIGHT}"/>'
        for mesh in ("gripper_bar", "gripper_prop")
    )
    fingers = _finger("left", 1, f"0 0 {_HALF_TURN}") + _finger("right", -1, f"0 {_HALF_TURN} 0")
    return f'{fixed}<site name="ee" pos="{EE_OFFSET_M} 0 0" size="0.001" rgba="0 0 0 0"/>{fingers}'


def _finger(side: str, sign: int, mesh_euler: str) -> str:
    """A finger on its slide; the pad's inner face is 9 mm inside the slide's origin."""
    low, high = FINGER_RANGE_M
    return (
        f'<body name="{side}_finger_link" pos="{_FINGERS_OFFSET_M} 0 0" gravcomp="1">'
        '<inertial pos="0.0138 0 0" mass="0.016246" diaginertia="0.00001 0.00001 0.00001"/>'
        f'<joint name="{side}_finger" type="slide" axis="0 {sign} 0" range="{low} {high}"/>'
        f'<geom class="robot" mesh="finger" pos="0 {sign * 0.005} 0" euler="{mesh_euler}"/>'
        f'<geom class="pad" name="{side}_pad" pos="0.0215 {-sign * 0.005} 0"/></body>'
    )
