"""A task in a look as MJCF text: the arm on its stage, camera, lights, source, target and what else stands there.

World frame, metres, quaternions (w, x, y, z). Who touches whom is decided by bits: 1 furniture and distractors,
2 target, 4 source; the arm's links touch nothing but with the finger pads.
"""

from __future__ import annotations

from dataclasses import replace

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from magma_ros.sim.bridge.arm import arm_actuators, arm_bodies, arm_defaults
from magma_ros.sim.bridge.assets import MESHES, png, scene_files
from magma_ros.sim.bridge.looks import MATCHING, Coat, Light, Look
from magma_ros.sim.bridge.shapes import Solid
from magma_ros.sim.bridge.stages import BASE_QUAT_WXYZ, HIDDEN, SOLID, Stage
from magma_ros.sim.bridge.tasks import CARROT_ON_PLATE, BridgeTask
from magma_ros.sim.bridge.textures import weave_file
from magma_ros.sim.bridge.things import Thing
from magma_ros.types import FloatArray

PHYSICS_HZ = 500
CONTROL_HZ = 5
CAMERA_NAME = "image"
SENSOR_PX = (640, 480)
FOCAL_PX = 623.588
SENSOR_CENTRE_PX = (319.501, 239.545)

_SOURCE_BITS = 'contype="4" conaffinity="3" condim="4" solref="0.01 1" solimp="0.95 0.99 0.001"'
_TARGET_BITS = 'contype="2" conaffinity="1"'


def build_model(task: BridgeTask = CARROT_ON_PLATE, look: Look = MATCHING) -> mujoco.MjModel:
    """The compiled scene; joints and actuators in the order arm (6), fingers (2), then free source and free target."""
    source, target = dressed_source(task, look), dressed(task.target, look.target_coat)
    files = dict(scene_files())
    if look.surface is not None:
        files["wood.png"] = png(look.surface.picture())
    for skin in (*source.skins, *target.skins):
        if skin.weave != "plain":
            files[skin.file] = weave_file(skin.weave)
    return mujoco.MjModel.from_xml_string(scene_xml(task, look), files)


def dressed_source(task: BridgeTask, look: Look) -> Thing:
    """The task's source in the shape and colours of `look`."""
    thing = task.other_sources[look.source_shape] if look.source_shape else task.source
    return dressed(thing, look.source_coat)


def dressed(thing: Thing, coat: Coat | None) -> Thing:
    """`thing` with another colour and pattern on its first skin."""
    if coat is None:
        return thing
    first, *others = thing.skins
    return replace(thing, skins=(replace(first, rgb=coat.rgb, weave=coat.weave), *others))


def scene_xml(task: BridgeTask, look: Look) -> str:
    """The whole scene; files are named as in `build_model`."""
    stage, source, target = task.stage, dressed_source(task, look), dressed(task.target, look.target_coat)
    position, quat = (" ".join(map(str, values)) for values in (stage.base_position_m, BASE_QUAT_WXYZ))
    distractors = "".join(d.mjcf(f"distractor_{i}") for i, d in enumerate(look.distractors))
    return f"""
<mujoco model="bridge_{task.name}">
  <compiler angle="radian" autolimits="true"/>
  <option timestep="{1 / PHYSICS_HZ}" integrator="implicitfast" cone="elliptic" impratio="10"/>
  <visual>
    <headlight ambient="{_grey(look.light.ambient)}" diffuse="0 0 0" specular="0 0 0"/>
    <quality offsamples="0" shadowsize="0"/>
    <map znear="0.01" zfar="10"/>
    <global offwidth="1280" offheight="1280"/>
  </visual>
  <default>
    <joint armature="0.1"/>
    <default class="look"><geom contype="0" conaffinity="0" group="0" mass="0"/></default>
    {arm_defaults()}
  </default>
  <asset>{_assets(source, target)}</asset>
  <worldbody>
    {_room(stage, look.light)}
    <body name="base_link" pos="{position}" quat="{quat}">{_camera(stage, look)}{arm_bodies()}</body>
    {_body(source, _SOURCE_BITS, task)}
    {_body(target, _TARGET_BITS, task)}
    {distractors}
  </worldbody>
  <actuator>{arm_actuators()}</actuator>
</mujoco>
"""


def _assets(source: Thing, target: Thing) -> str:
    meshes = "".join(f'<mesh name="{k}" file="{v}" scale="0.001 0.001 0.001"/>' for k, v in MESHES.items())
    things = "".join(hull.mjcf() for thing in (source, target) for hull in thing.hulls)
    things += "".join(skin.mjcf() for thing in (source, target) for skin in thing.skins)
    return f"""{meshes}{things}
    <texture name="wood" type="2d" file="wood.png"/>
    <material name="wood" texture="wood" texrepeat="3 3" specular="0.1" shininess="0.1"/>
    <material name="worktop" texture="wood" texuniform="true" texrepeat="6 6" specular="0.1" shininess="0.1"/>
    <material name="steel" rgba="0.62 0.64 0.67 1" specular="0.5" shininess="0.6"/>
    <material name="black" rgba="0.16 0.16 0.17 1" specular="0.35" shininess="0.4"/>"""


def _room(stage: Stage, light: Light) -> str:
    """Lights, the bench (an endless plane that is touched, a slab that is seen), a wall, a floor, and fixtures."""
    side = 'directional="true" castshadow="false" diffuse="0.2 0.2 0.2" specular="0.1 0.1 0.1"'
    direction = " ".join(map(str, light.direction))
    return f"""
    <light directional="true" castshadow="false" pos="0 0 3" dir="{direction}" diffuse="{_grey(light.key)}"
      specular="0.2 0.2 0.2"/>
    <light {side} pos="2 1 3" dir="-1 -0.5 -1"/>
    <light {side} pos="-2 -2 3" dir="1 1 -1"/>
    <geom name="table" type="plane" size="0 0 0.05" pos="0 0 {stage.bench_m}" contype="1" conaffinity="0"
      {SOLID} {HIDDEN}/>
    <geom class="look" type="box" size="0.9 0.9 0.02" pos="-0.25 0 {stage.bench_m - 0.02}" material="wood"/>
    <geom class="look" type="box" size="0.02 3 1" pos="-1.6 0 1" rgba="0.72 0.73 0.72 1"/>
    <geom class="look" type="box" size="3 3 0.02" pos="0 0 0" rgba="0.45 0.44 0.43 1"/>
    {stage.fixtures}"""


def _body(thing: Thing, bits: str, task: BridgeTask) -> str:
    """A thing: free to move, or at its one place when it belongs to the furniture."""
    pose, joint = "", f'<joint name="{thing.name}" type="free" armature="0" damping="0.0001"/>'
    if thing.fixed:
        x, y = task.placement.official()[0].target_xy_m
        pose, joint = f' pos="{x} {y} {task.stage.target_floor_m + thing.half_size_m[2]}"', ""
    solids = "".join(_solid(solid, f"{thing.name}_{i}", bits) for i, solid in enumerate(thing.solids))
    return f'<body name="{thing.name}"{pose}>{joint}{solids}{thing.seen}</body>'


def _solid(solid: Solid, name: str, bits: str) -> str:
    return f'<geom name="{name}" {solid.place} mass="{solid.mass_kg}" {bits} {SOLID} {HIDDEN}/>'


def _camera(stage: Stage, look: Look) -> str:
    """SimplerEnv's third-view camera in the base frame; its whole 4:3 sensor fills whatever picture is rendered."""
    quat, sapien = np.array(stage.camera_sapien_quat_wxyz), np.zeros(9)
    mujoco.mju_quat2Mat(sapien, quat / np.linalg.norm(quat))
    forward, left, up = sapien.reshape(3, 3).T
    turned = np.stack([-left, up, -forward], axis=1)  # columns: right, up, back
    place = np.array(stage.camera_position_m)
    if look.camera_shift_m != MATCHING.camera_shift_m or look.camera_turn_rad != MATCHING.camera_turn_rad:
        place = place + turned @ np.array(look.camera_shift_m)
        turned = turned @ Rotation.from_rotvec(look.camera_turn_rad).as_matrix()
    axes = " ".join(f"{v:.9f}" for v in (*turned[:, 0], *turned[:, 1]))
    size, offset, position = (
        " ".join(f"{v:.8g}" for v in values)
        for values in (
            np.array(SENSOR_PX) * 1e-5,
            np.array(SENSOR_CENTRE_PX) - np.array(SENSOR_PX) / 2,
            place,
        )
    )
    return (
        f'<camera name="{CAMERA_NAME}" pos="{position}" xyaxes="{axes}" sensorsize="{size}" '
        f'resolution="{SENSOR_PX[0]} {SENSOR_PX[1]}" focalpixel="{FOCAL_PX} {FOCAL_PX}" principalpixel="{offset}"/>'
    )


def camera_matrix(*, width_px: int, height_px: int) -> FloatArray:
    """K of the camera in a picture of this size, shape (3, 3), from the middle of the upper left pixel [px]."""
    scale = np.array([width_px, height_px]) / SENSOR_PX
    focal, centre = FOCAL_PX * scale, np.array(SENSOR_CENTRE_PX) * scale - 0.5
    return np.array([[focal[0], 0.0, centre[0]], [0.0, focal[1], centre[1]], [0.0, 0.0, 1.0]])


def _grey(strength: float) -> str:
    return " ".join([str(strength)] * 3)
