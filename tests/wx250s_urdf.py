"""The simulated arm's links as a URDF text, for tests of what a real arm's robot_description gives."""

from __future__ import annotations

import numpy as np

from magma_ros.sim.bridge import arm

MAX_SPEED_RAD_S = 3.14159


def urdf(*, prefix: str = "", world: str = "", with_end_effector: bool = True, kind: str = "revolute") -> str:
    """The arm from `base_link` to `gripper_link`, with a finger, and `ee` at its end if wanted.

    Args:
        prefix: In front of the names of links, as some drivers put one.
        world: Pose of the base in the URDF's root link, such as 'xyz="0 0 1" rpy="0 0 1.57"'; empty: base is the root.
        with_end_effector: Whether the link `ee` is there.
        kind: Of the waist.
    """
    parts, parent = [], f"{prefix}base_link"
    if world:
        parts.append(f'<link name="world"/>{_joint("stand", "fixed", "world", parent, world)}')
    parts.append(f'<link name="{parent}"/>')
    for index, (name, link) in enumerate(zip(arm.ARM_JOINTS, arm._LINKS, strict=True)):
        child = f"{prefix}{link.name}_link"
        low, high = link.limits.split()
        limit = f'<limit lower="{low}" upper="{high}" velocity="{MAX_SPEED_RAD_S}" effort="10"/>'
        parts.append(f'<link name="{child}"/>')
        motion = f'<axis xyz="{link.axis}"/>{limit}'
        parts.append(_joint(name, kind if index == 0 else "revolute", parent, child, f'xyz="{link.offset}"', motion))
        parent = child
    if with_end_effector:
        parts.append(f'<link name="{prefix}ee"/>{_joint("ee", "fixed", parent, f"{prefix}ee", f"xyz={EE!r}")}')
    finger = '<axis xyz="0 1 0"/><limit lower="0.015" upper="0.037" velocity="1" effort="5"/>'
    parts.append(f'<link name="{prefix}finger"/>')
    parts.append(_joint("left_finger", "prismatic", parent, f"{prefix}finger", 'xyz="0.066 0 0"', finger))
    return f'<?xml version="1.0"?><robot name="wx250s">{"".join(parts)}</robot>'


EE = f"{arm.EE_OFFSET_M} 0 0"
HOME = np.array(arm.HOME_JOINTS_RAD)


def _joint(name: str, kind: str, parent: str, child: str, origin: str, motion: str = "") -> str:
    return (
        f'<joint name="{name}" type="{kind}"><parent link="{parent}"/><child link="{child}"/>'
        f"<origin {origin}/>{motion}</joint>"
    )
