"""The scene as MJCF text, built from the tables below: arm, table, camera, lights, carrot and plate.

Numbers are SimplerEnv's PutCarrotOnPlateInScene and Interbotix's wx250s description; world frame, metres, quaternions (w, x, y, z).
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from magma_ros.sim.bridge.assets import MESHES, carrot_vertices, scene_files
from magma_ros.sim.bridge.layouts import CARROT_HALF_SIZE_M, PLATE_HALF_HEIGHT_M, PLATE_RADIUS_M

PHYSICS_HZ = 500
CONTROL_HZ = 5
TABLE_TOP_M = 0.8685
BASE_POSITION_M = (0.147, 0.028, 0.870)
BASE_QUAT_WXYZ = (0.0, 0.0, 0.0, 1.0)
HOME_JOINTS_RAD = (-0.01840777, 0.0398835, 0.22242722, -0.00460194, 1.36524296, 0.00153398)
GRIPPER_TARGET_M = (0.014, 0.038)
FINGER_RANGE_M = (0.015, 0.037)
EE_OFFSET_M = 0.093575
CAMERA_NAME = "image"
SENSOR_PX = (640, 480)
CARROT_MASS_KG = 0.055
PLATE_DENSITY = 1000.0

_UPRIGHT = "0 0 1.5707963267948966"


@dataclass(frozen=True, slots=True)
class _Link:
    """One moving arm link: offset of its joint in the parent, axis, range [rad], mass [kg], drive and its mesh's placement."""

    name: str
    offset: str
    axis: str
    range: str
    mass: float
    kp: float
    kv: float
    force: float
    mesh_euler: str
    mesh_pos: str = "0 0 0"


_LINKS = (
    _Link("shoulder", "0 0 0.072", "0 0 1", "-3.14158 3.14158", 0.480879, 1169.7891719504198, 330.0, 200, _UPRIGHT, "0 0 -0.003"),
    _Link("upper_arm", "0 0 0.03865", "0 1 0", "-1.88496 1.98968", 0.430811, 730.0, 180.0, 200, _UPRIGHT),
    _Link("upper_forearm", "0.04975 0 0.25", "0 1 0", "-2.14675 1.6057", 0.234589, 808.4601346394447, 152.12036565582588, 100, "0 0 0"),
    _Link("lower_forearm", "0.175 0 0", "1 0 0", "-3.14158 3.14158", 0.220991, 1229.1299089624076, 309.6215302722146, 100, "3.141592653589793 0 0"),
    _Link("wrist", "0.075 0 0", "0 1 0", "-1.74533 2.14675", 0.084957, 1272.2760456418862, 201.04998711007383, 100, _UPRIGHT),
    _Link("gripper", "0.065 0 0", "1 0 0", "-3.14158 3.14158", 0.111424, 1056.3326605132252, 269.51458932695414, 100, _UPRIGHT, "-0.02 0 0"),
)
ARM_JOINTS = ("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate")


def build_model() -> mujoco.MjModel:
    """The compiled scene; joints and actuators in the order arm (6), fingers (2), then the free carrot and plate."""
    return mujoco.MjModel.from_xml_string(scene_xml(), scene_files())


def scene_xml() -> str:
    """The whole scene; files are named as in `assets.scene_files`."""
    meshes = "".join(f'<mesh name="{k}" file="{v}" scale="0.001 0.001 0.001"/>' for k, v in MESHES.items())
    vertices = " ".join(f"{v:.6f}" for v in carrot_vertices(CARROT_HALF_SIZE_M).ravel())
    return f"""
<mujoco model="bridge_carrot_on_plate">
  <compiler angle="radian" autolimits="true"/>
  <option timestep="{1 / PHYSICS_HZ}" integrator="implicitfast" cone="elliptic" impratio="10"/>
  <visual>
    <headlight ambient="0.34 0.34 0.34" diffuse="0 0 0" specular="0 0 0"/>
    <quality offsamples="0" shadowsize="0"/>
    <map znear="0.01" zfar="10"/>
    <global offwidth="1280" offheight="1280"/>
  </visual>
  <default>
    <joint armature="0.1"/>
    <default class="look"><geom contype="0" conaffinity="0" group="0" mass="0"/></default>
    <default class="robot"><geom type="mesh" contype="0" conaffinity="0" mass="0" material="black"/></default>
    <default class="pad">
      <geom type="box" size="0.0215 0.004 0.0075" contype="0" conaffinity="7" friction="2 0.005 0.0001" condim="4" rgba="0 0 0 0" mass="0"/>
    </default>
  </default>
  <asset>
    {meshes}
    <mesh name="carrot" vertex="{vertices}"/>
    <texture name="wood" type="2d" file="wood.png"/>
    <material name="wood" texture="wood" texrepeat="3 3" specular="0.1" shininess="0.1"/>
    <material name="black" rgba="0.16 0.16 0.17 1" specular="0.35" shininess="0.4"/>
    <material name="carrot" rgba="0.95 0.45 0.08 1" specular="0.2" shininess="0.3"/>
    <material name="leaf" rgba="0.25 0.55 0.16 1" specular="0.1"/>
    <material name="rim" rgba="0.86 0.88 0.92 1" specular="0.4" shininess="0.6"/>
    <material name="dish" rgba="0.70 0.78 0.90 1" specular="0.4" shininess="0.6"/>
  </asset>
  <worldbody>
    <light directional="true" pos="0 0 3" dir="0 0 -1" diffuse="0.52 0.52 0.52" specular="0.2 0.2 0.2" castshadow="false"/>
    <light directional="true" pos="2 1 3" dir="-1 -0.5 -1" diffuse="0.2 0.2 0.2" specular="0.1 0.1 0.1" castshadow="false"/>
    <light directional="true" pos="-2 -2 3" dir="1 1 -1" diffuse="0.2 0.2 0.2" specular="0.1 0.1 0.1" castshadow="false"/>
    <geom name="table" type="plane" size="0 0 0.05" pos="0 0 {TABLE_TOP_M}" contype="1" conaffinity="0" friction="0.5 0.005 0.0001" rgba="0 0 0 0"/>
    <geom class="look" type="box" size="0.9 0.9 0.02" pos="-0.25 0 {TABLE_TOP_M - 0.02}" material="wood"/>
    <geom class="look" type="box" size="0.02 3 1" pos="-1.6 0 1" rgba="0.72 0.73 0.72 1"/>
    <geom class="look" type="box" size="3 3 0.02" pos="0 0 0" rgba="0.45 0.44 0.43 1"/>
    {_arm()}
    {_carrot()}
    {_plate()}
  </worldbody>
  <actuator>{_actuators()}</actuator>
</mujoco>
"""


def _arm() -> str:
    position, quat = (" ".join(map(str, v)) for v in (BASE_POSITION_M, BASE_QUAT_WXYZ))
    links = "".join(_link(joint, link) for joint, link in zip(ARM_JOINTS, _LINKS, strict=True))
    return (
        f'<body name="base_link" pos="{position}" quat="{quat}"><geom class="robot" mesh="base" euler="{_UPRIGHT}"/>'
        f"{_camera()}{links}{_gripper()}" + "</body>" * (len(_LINKS) + 1)
    )


def _link(joint: str, link: _Link) -> str:
    """The opening of one link's body; links nest, so that `_arm` closes them all."""
    return (
        f'<body name="{link.name}_link" pos="{link.offset}" gravcomp="1">'
        f'<inertial pos="0 0 0" mass="{link.mass}" diaginertia="0.0005 0.0005 0.0005"/>'
        f'<joint name="{joint}" axis="{link.axis}" range="{link.range}"/>'
        f'<geom class="robot" mesh="{link.name}" pos="{link.mesh_pos}" euler="{link.mesh_euler}"/>'
    )


def _gripper() -> str:
    """Bar, prop, fingers and the controlled frame, in the gripper link; pads reach 15.4 mm beyond the frame."""
    fixed = "".join(
        f'<geom class="robot" mesh="{mesh}" pos="-0.02 0 0" euler="{_UPRIGHT}"/>' for mesh in ("gripper_bar", "gripper_prop")
    )
    sides = (("left", 1, "0 0 3.141592653589793"), ("right", -1, "0 3.141592653589793 0"))
    fingers = "".join(_finger(*side) for side in sides)
    return f'{fixed}<site name="ee" pos="{EE_OFFSET_M} 0 0" size="0.001" rgba="0 0 0 0"/>{fingers}'


def _finger(side: str, sign: int, mesh_euler: str) -> str:
    low, high = FINGER_RANGE_M
    return (
        f'<body name="{side}_finger_link" pos="0.066 0 0" gravcomp="1">'
        '<inertial pos="0.0138 0 0" mass="0.016246" diaginertia="0.00001 0.00001 0.00001"/>'
        f'<joint name="{side}_finger" type="slide" axis="0 {sign} 0" range="{low} {high}"/>'
        f'<geom class="robot" mesh="finger" pos="0 {sign * 0.005} 0" euler="{mesh_euler}"/>'
        f'<geom class="pad" name="{side}_pad" pos="0.0215 {-sign * 0.005} 0"/></body>'
    )


def _carrot() -> str:
    x, y, z = CARROT_HALF_SIZE_M
    leaves = "".join(
        f'<geom class="look" type="ellipsoid" size="0.014 0.005 0.006" pos="{-x - 0.008} {dy} {dz}" material="leaf"/>'
        for dy, dz in ((0.0, 0.004), (0.007, -0.002), (-0.007, -0.002))
    )
    return (
        '<body name="carrot"><joint name="carrot" type="free" armature="0" damping="0.0001"/>'
        f'<geom name="carrot" type="box" size="{x * 0.95} {y} {z}" mass="{CARROT_MASS_KG}" solref="0.01 1" solimp="0.95 0.99 0.001" contype="4" conaffinity="3" '
        'friction="0.5 0.005 0.0001" condim="4" rgba="0 0 0 0"/>'
        f'<geom class="look" type="mesh" mesh="carrot" material="carrot"/>{leaves}</body>'
    )


def _plate() -> str:
    r, h = PLATE_RADIUS_M, PLATE_HALF_HEIGHT_M
    mass = PLATE_DENSITY * np.pi * r**2 * 2 * h
    boxes = "".join(
        f'<geom name="plate_{i}" type="box" size="{r * 0.82} {r * 0.82} {h}" euler="0 0 {yaw}" mass="{mass / 2}" contype="2" conaffinity="1" '
        'friction="0.5 0.005 0.0001" rgba="0 0 0 0"/>'
        for i, yaw in enumerate((0.0, np.pi / 4))
    )
    return (
        f'<body name="plate"><joint name="plate" type="free" armature="0" damping="0.0001"/>{boxes}'
        f'<geom class="look" type="cylinder" size="{r} {h}" material="rim"/>'
        f'<geom class="look" type="cylinder" size="{r * 0.8} {h}" pos="0 0 0.0004" material="dish"/></body>'
    )


def _actuators() -> str:
    arm = "".join(
        f'<position joint="{joint}" kp="{link.kp}" kv="{link.kv}" forcerange="{-link.force} {link.force}"/>'
        for joint, link in zip(ARM_JOINTS, _LINKS, strict=True)
    )
    fingers = "".join(
        f'<position joint="{side}_finger" kp="1000" kv="200" forcerange="-60 60"/>' for side in ("left", "right")
    )
    return arm + fingers


def _camera() -> str:
    """SimplerEnv's third-view camera in the base frame; its whole 4:3 sensor fills whatever picture is rendered."""
    position, quat_wxyz = "0 -0.16 0.36", np.array([0.8992917, -0.09263245, 0.35892478, 0.23209205])
    focal_px, centre_px = 623.588, (319.501, 239.545)
    sapien = np.zeros(9)
    mujoco.mju_quat2Mat(sapien, quat_wxyz / np.linalg.norm(quat_wxyz))
    forward, left, up = sapien.reshape(3, 3).T
    axes = " ".join(f"{v:.9f}" for v in (*-left, *up))
    offset = f"{centre_px[0] - SENSOR_PX[0] / 2:.4f} {centre_px[1] - SENSOR_PX[1] / 2:.4f}"
    return (
        f'<camera name="{CAMERA_NAME}" pos="{position}" xyaxes="{axes}" resolution="{SENSOR_PX[0]} {SENSOR_PX[1]}" '
        f'sensorsize="{SENSOR_PX[0] * 1e-5} {SENSOR_PX[1] * 1e-5}" focalpixel="{focal_px} {focal_px}" principalpixel="{offset}"/>'
    )
