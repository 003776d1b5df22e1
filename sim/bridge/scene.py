"""The scene as MJCF text: the arm on its table, camera, lights, carrot and plate.

Numbers: SimplerEnv's PutCarrotOnPlateInScene; world frame, metres, quaternions (w, x, y, z).
Who touches whom is decided by bits: 1 table, 2 plate, 4 carrot; the arm's links touch nothing but with the finger pads.
"""

from __future__ import annotations

import mujoco
import numpy as np

from magma_ros.sim.bridge.arm import arm_actuators, arm_bodies, arm_defaults
from magma_ros.sim.bridge.assets import MESHES, carrot_vertices, scene_files
from magma_ros.sim.bridge.layouts import CARROT_HALF_SIZE_M, PLATE_HALF_HEIGHT_M, PLATE_RADIUS_M

PHYSICS_HZ = 500
CONTROL_HZ = 5
TABLE_TOP_M = 0.8685
BASE_POSITION_M = (0.147, 0.028, 0.870)
BASE_QUAT_WXYZ = (0.0, 0.0, 0.0, 1.0)
CAMERA_NAME = "image"
SENSOR_PX = (640, 480)
FOCAL_PX = 623.588
SENSOR_CENTRE_PX = (319.501, 239.545)
CARROT_MASS_KG = 0.055
PLATE_DENSITY = 1000.0

_CAMERA_POSITION_M = "0 -0.16 0.36"
_CAMERA_SAPIEN_QUAT = (0.8992917, -0.09263245, 0.35892478, 0.23209205)
_FRICTION = 'friction="0.5 0.005 0.0001"'
_HIDDEN = 'rgba="0 0 0 0"'


def build_model() -> mujoco.MjModel:
    """The compiled scene; joints and actuators in the order arm (6), fingers (2), then the free carrot and plate."""
    return mujoco.MjModel.from_xml_string(scene_xml(), scene_files())


def scene_xml() -> str:
    """The whole scene; files are named as in `assets.scene_files`."""
    position, quat = (" ".join(map(str, values)) for values in (BASE_POSITION_M, BASE_QUAT_WXYZ))
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
    {arm_defaults()}
  </default>
  <asset>{_assets()}</asset>
  <worldbody>
    {_room()}
    <body name="base_link" pos="{position}" quat="{quat}">{_camera()}{arm_bodies()}</body>
    {_carrot()}
    {_plate()}
  </worldbody>
  <actuator>{arm_actuators()}</actuator>
</mujoco>
"""


def _assets() -> str:
    meshes = "".join(f'<mesh name="{k}" file="{v}" scale="0.001 0.001 0.001"/>' for k, v in MESHES.items())
    vertices = " ".join(f"{v:.6f}" for v in carrot_vertices(CARROT_HALF_SIZE_M).ravel())
    return f"""{meshes}
    <mesh name="carrot" vertex="{vertices}"/>
    <texture name="wood" type="2d" file="wood.png"/>
    <material name="wood" texture="wood" texrepeat="3 3" specular="0.1" shininess="0.1"/>
    <material name="black" rgba="0.16 0.16 0.17 1" specular="0.35" shininess="0.4"/>
    <material name="carrot" rgba="0.95 0.45 0.08 1" specular="0.2" shininess="0.3"/>
    <material name="leaf" rgba="0.25 0.55 0.16 1" specular="0.1"/>
    <material name="rim" rgba="0.86 0.88 0.92 1" specular="0.4" shininess="0.6"/>
    <material name="dish" rgba="0.70 0.78 0.90 1" specular="0.4" shininess="0.6"/>"""


def _room() -> str:
    """Lights, the table (an endless plane that is touched, a wooden slab that is seen), a wall and a floor."""
    side = 'directional="true" castshadow="false" diffuse="0.2 0.2 0.2" specular="0.1 0.1 0.1"'
    return f"""
    <light directional="true" castshadow="false" pos="0 0 3" dir="0 0 -1" diffuse="0.52 0.52 0.52"
      specular="0.2 0.2 0.2"/>
    <light {side} pos="2 1 3" dir="-1 -0.5 -1"/>
    <light {side} pos="-2 -2 3" dir="1 1 -1"/>
    <geom name="table" type="plane" size="0 0 0.05" pos="0 0 {TABLE_TOP_M}" contype="1" conaffinity="0"
      {_FRICTION} {_HIDDEN}/>
    <geom class="look" type="box" size="0.9 0.9 0.02" pos="-0.25 0 {TABLE_TOP_M - 0.02}" material="wood"/>
    <geom class="look" type="box" size="0.02 3 1" pos="-1.6 0 1" rgba="0.72 0.73 0.72 1"/>
    <geom class="look" type="box" size="3 3 0.02" pos="0 0 0" rgba="0.45 0.44 0.43 1"/>"""


def _carrot() -> str:
    """Touched as a box, so that it lies still; seen as a tapered root with leaves."""
    x, y, z = CARROT_HALF_SIZE_M
    leaves = "".join(
        f'<geom class="look" type="ellipsoid" size="0.014 0.005 0.006" pos="{-x - 0.008} {dy} {dz}" material="leaf"/>'
        for dy, dz in ((0.0, 0.004), (0.007, -0.002), (-0.007, -0.002))
    )
    return (
        '<body name="carrot"><joint name="carrot" type="free" armature="0" damping="0.0001"/>'
        f'<geom name="carrot" type="box" size="{x * 0.95} {y} {z}" mass="{CARROT_MASS_KG}" contype="4" conaffinity="3" '
        f'condim="4" solref="0.01 1" solimp="0.95 0.99 0.001" {_FRICTION} {_HIDDEN}/>'
        f'<geom class="look" type="mesh" mesh="carrot" material="carrot"/>{leaves}</body>'
    )


def _plate() -> str:
    """Touched as two crossed square slabs (an eight-pointed star inside the rim); seen as a disc."""
    r, h = PLATE_RADIUS_M, PLATE_HALF_HEIGHT_M
    mass = PLATE_DENSITY * np.pi * r**2 * 2 * h
    slabs = "".join(
        f'<geom name="plate_{i}" type="box" size="{r * 0.82} {r * 0.82} {h}" euler="0 0 {yaw}" mass="{mass / 2}" '
        f'contype="2" conaffinity="1" {_FRICTION} {_HIDDEN}/>'
        for i, yaw in enumerate((0.0, np.pi / 4))
    )
    return (
        f'<body name="plate"><joint name="plate" type="free" armature="0" damping="0.0001"/>{slabs}'
        f'<geom class="look" type="cylinder" size="{r} {h}" material="rim"/>'
        f'<geom class="look" type="cylinder" size="{r * 0.8} {h}" pos="0 0 0.0004" material="dish"/></body>'
    )


def _camera() -> str:
    """SimplerEnv's third-view camera in the base frame; its whole 4:3 sensor fills whatever picture is rendered."""
    quat, sapien = np.array(_CAMERA_SAPIEN_QUAT), np.zeros(9)
    mujoco.mju_quat2Mat(sapien, quat / np.linalg.norm(quat))
    _forward, left, up = sapien.reshape(3, 3).T
    axes = " ".join(f"{v:.9f}" for v in (*-left, *up))
    size, offset = (
        " ".join(f"{v:.6f}" for v in pair)
        for pair in (
            np.array(SENSOR_PX) * 1e-5,
            np.array(SENSOR_CENTRE_PX) - np.array(SENSOR_PX) / 2,
        )
    )
    return (
        f'<camera name="{CAMERA_NAME}" pos="{_CAMERA_POSITION_M}" xyaxes="{axes}" sensorsize="{size}" '
        f'resolution="{SENSOR_PX[0]} {SENSOR_PX[1]}" focalpixel="{FOCAL_PX} {FOCAL_PX}" principalpixel="{offset}"/>'
    )
