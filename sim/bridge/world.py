"""The physics of one task in one look: drives, poses and contacts; no trial, no pictures."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from magma_ros.sim.bridge import arm, scene
from magma_ros.sim.bridge.kinematics import solve_ik
from magma_ros.sim.bridge.layouts import Layout
from magma_ros.sim.bridge.looks import Look
from magma_ros.sim.bridge.stages import BASE_QUAT_WXYZ
from magma_ros.sim.bridge.success import Contacts
from magma_ros.sim.bridge.tasks import BridgeTask
from magma_ros.sim.bridge.things import Grip
from magma_ros.types import FloatArray, frozen_array

SETTLE_S = 0.5
_ARM = slice(0, 6)
_FINGERS = slice(6, 8)
_PADS = ("left_pad", "right_pad")
_STATE_SPEC = mujoco.mjtState.mjSTATE_INTEGRATION


@dataclass(frozen=True, slots=True)
class WorldPoses:
    """What only a simulator knows, all in the base frame; positions (3,) [m], quaternions (4,) xyzw.

    Attributes:
        ee_position_m, ee_quat_xyzw, gripper_opening: As measured.
        source_position_m, source_quat_xyzw, target_position_m, target_quat_xyzw: Centres of the two things.
        source_half_m, target_half_m: Half sizes of the boxes around them, in their own frames, shape (3,) [m].
        grip: Where fingers may hold the source.
        source_floor_m, target_floor_m: Heights of what the two stood on when the trial began.
        obstacle_top_m: What is carried from source to target must be lifted over this height.
    """

    ee_position_m: FloatArray
    ee_quat_xyzw: FloatArray
    gripper_opening: float
    source_position_m: FloatArray
    source_quat_xyzw: FloatArray
    target_position_m: FloatArray
    target_quat_xyzw: FloatArray
    source_half_m: FloatArray
    target_half_m: FloatArray
    grip: Grip
    source_floor_m: float
    target_floor_m: float
    obstacle_top_m: float


class World:
    """A compiled scene and its present state.

    Attributes:
        task, look: What it was compiled from.
        model, data: MuJoCo's; `data` is always the outcome of a forward pass.
    """

    def __init__(self, task: BridgeTask, look: Look) -> None:
        self.task, self.look = task, look
        self.model = scene.build_model(task, look)
        self.data, self._scratch = mujoco.MjData(self.model), mujoco.MjData(self.model)
        self._source = scene.dressed_source(task, look)
        self._ee = self.model.site("ee").id
        self._base_position = np.array(task.stage.base_position_m)
        self._base_rotation = _matrix(np.array(BASE_QUAT_WXYZ))

    def place(self, layout: Layout) -> None:
        """Arm at home, gripper open, things where `layout` puts them and settled for 0.5 s; the clock at zero."""
        model, data, stage = self.model, self.data, self.task.stage
        mujoco.mj_resetData(model, data)
        data.qpos[_ARM], data.qpos[_FINGERS] = stage.home_joints_rad, arm.FINGER_RANGE_M[1]
        data.ctrl[_ARM], data.ctrl[_FINGERS] = stage.home_joints_rad, arm.GRIPPER_TARGET_M[1]
        yaw, target = layout.source_yaw_rad / 2, self.task.target
        height = stage.source_floor_m + self._source.half_size_m[2]
        data.joint(self._source.name).qpos[:] = [*layout.source_xy_m, height, np.cos(yaw), 0, 0, np.sin(yaw)]
        if not target.fixed:
            height = stage.target_floor_m + target.half_size_m[2]
            data.joint(target.name).qpos[:] = [*layout.target_xy_m, height, 1, 0, 0, 0]
        mujoco.mj_step(model, data, int(SETTLE_S * scene.PHYSICS_HZ))
        data.time = 0.0
        mujoco.mj_forward(model, data)

    def drive(self, position_m: FloatArray, quat_xyzw: FloatArray, opening: float, *, num_substeps: int) -> None:
        """As many steps of 1 / `PHYSICS_HZ` s towards an end-effector pose in the base frame."""
        data = self.data
        data.ctrl[_ARM] = self._ik(position_m, quat_xyzw)
        closed, opened = arm.GRIPPER_TARGET_M
        data.ctrl[_FINGERS] = closed + (opened - closed) * np.clip(opening, 0.0, 1.0)
        mujoco.mj_step(self.model, data, num_substeps)
        mujoco.mj_forward(self.model, data)

    def put_ee(self, position_m: FloatArray, quat_xyzw: FloatArray) -> None:
        """The arm at rest where its end effector has this pose in the base frame, or near it."""
        data = self.data
        data.qpos[_ARM] = self._ik(np.asarray(position_m), np.asarray(quat_xyzw))
        data.qvel[_ARM] = 0.0
        data.ctrl[_ARM] = data.qpos[_ARM]
        mujoco.mj_forward(self.model, data)

    def physics(self) -> FloatArray:
        """MuJoCo's integration state, shape (n,)."""
        physics = np.empty(mujoco.mj_stateSize(self.model, _STATE_SPEC))
        mujoco.mj_getState(self.model, self.data, physics, _STATE_SPEC)
        return frozen_array(physics, shape=(-1,), dtype=np.float64, name="physics")

    def restore(self, physics: FloatArray) -> None:
        """Continue from what `physics` gave, to the last bit: the solver's warm start too."""
        physics = physics.copy()
        mujoco.mj_setState(self.model, self.data, physics, _STATE_SPEC)
        mujoco.mj_forward(self.model, self.data)
        mujoco.mj_setState(self.model, self.data, physics, _STATE_SPEC)

    def ee_in_base(self) -> tuple[FloatArray, FloatArray]:
        """Of the end effector: position [m] and quat_xyzw."""
        site = self.data.site(self._ee)
        return self._point_in_base(site.xpos), self._quat_in_base(site.xmat.reshape(3, 3))

    def gripper_opening(self) -> float:
        """0 closed … 1 open."""
        low, high = arm.FINGER_RANGE_M
        return float(np.clip((self.data.qpos[_FINGERS].mean() - low) / (high - low), 0.0, 1.0))

    def joints_rad(self) -> FloatArray:
        """Of the arm, from base to wrist, shape (6,)."""
        return np.array(self.data.qpos[_ARM])

    def source_in_world(self) -> FloatArray:
        """Centre of the source, shape (3,) [m]; the caller's own."""
        return np.array(self.data.body(self._source.name).xpos)

    def poses(self) -> WorldPoses:
        """Everything that an expert may want to know."""
        stage, target = self.task.stage, self.task.target
        source_body, target_body = self.data.body(self._source.name), self.data.body(target.name)
        base_m = stage.base_position_m[2]
        grip = self._source.grip
        assert grip is not None, "every source can be held"
        return WorldPoses(
            *self.ee_in_base(),
            self.gripper_opening(),
            self._point_in_base(source_body.xpos),
            self._quat_in_base(source_body.xmat.reshape(3, 3)),
            self._point_in_base(target_body.xpos),
            self._quat_in_base(target_body.xmat.reshape(3, 3)),
            np.array(self._source.half_size_m),
            np.array(target.half_size_m),
            grip,
            stage.source_floor_m - base_m,
            stage.target_floor_m - base_m,
            stage.obstacle_top_m - base_m,
        )

    def camera_in_base(self) -> tuple[FloatArray, FloatArray]:
        """Of the camera's optical frame (x right, y down, z forward): position [m] and quat_xyzw."""
        camera = self.data.camera(scene.CAMERA_NAME)
        optical = camera.xmat.reshape(3, 3) * [1.0, -1.0, -1.0]  # MuJoCo's looks back along z, with y up
        return self._point_in_base(camera.xpos), self._quat_in_base(optical)

    def is_success(self, contacts: Contacts) -> bool:
        """The task's rule on the present state."""
        target = self.task.target
        offset = self.source_in_world() - self.data.body(target.name).xpos
        halves = np.array(self._source.half_size_m), np.array(target.half_size_m)
        rule = self.task.rule
        return rule.is_on_target(offset, *halves) and rule.allows(contacts, target=target.name)

    def contacts(self) -> Contacts:
        """What the source touches; furniture is called "table"."""
        model, data = self.model, self.data
        source = model.body(self._source.name).id
        pads = {model.geom(name).id: index for index, name in enumerate(_PADS)}
        forces, bodies, wrench = [0.0, 0.0], set(), np.zeros(6)
        for index in range(data.ncon):
            pair = (int(data.contact.geom1[index]), int(data.contact.geom2[index]))
            owners = (int(model.geom_bodyid[pair[0]]), int(model.geom_bodyid[pair[1]]))
            if source not in owners:
                continue
            other = 1 - owners.index(source)
            bodies.add("table" if owners[other] == 0 else model.body(owners[other]).name)
            if pair[other] in pads:
                mujoco.mj_contactForce(model, data, index, wrench)
                forces[pads[pair[other]]] += abs(float(wrench[0]))
        return Contacts(frozenset(bodies), *forces)

    def _ik(self, position_m: FloatArray, quat_xyzw: FloatArray) -> FloatArray:
        rotation = self._base_rotation @ _matrix(quat_xyzw[[3, 0, 1, 2]])
        position = self._base_position + self._base_rotation @ position_m
        start = self.data.qpos[_ARM].copy()
        return solve_ik(
            self.model, self._scratch, site_id=self._ee, position_m=position, rotation=rotation, start_rad=start
        )

    def _point_in_base(self, point_m: FloatArray) -> FloatArray:
        return np.asarray(self._base_rotation.T @ (point_m - self._base_position))

    def _quat_in_base(self, rotation: FloatArray) -> FloatArray:
        quat = np.empty(4)
        mujoco.mju_mat2Quat(quat, (self._base_rotation.T @ rotation).ravel())
        return quat[[1, 2, 3, 0]]


def _matrix(quat_wxyz: FloatArray) -> FloatArray:
    matrix = np.empty(9)
    mujoco.mju_quat2Mat(matrix, np.ascontiguousarray(quat_wxyz, dtype=np.float64))
    return matrix.reshape(3, 3)
