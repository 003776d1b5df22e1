"""What room the hand has: free space around an open hand anywhere, what lies between its pads, how high the way is.

Asked with a copy of the physics, in which the hand's shapes are moved about; the world itself is left alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from magma_ros.types import FloatArray

NEAR_M = 0.02
"""Gaps are measured up to this."""
_HAND_REACH_M = 0.2
_HAND_GEOMS = ("hand", "finger1", "finger2", "finger1_pad", "finger2_pad")
_PADS = (3, 4)
_OPEN_JOINTS_M = (0.04, -0.04)
_RAY_DEPTHS_M = (-0.002, 0.003, 0.008)
_WAY_SAMPLES = 12


@dataclass(frozen=True, slots=True)
class GripPose:
    """A pose of the point between the finger tips, the tool pointing straight down.

    Attributes:
        position_m: In the robot's base frame, shape (3,) [m].
        yaw_rad: Direction in which the fingers open, about the vertical, from the base's x axis.
    """

    position_m: FloatArray
    yaw_rad: float

    @property
    def rotation(self) -> FloatArray:
        """Its axes in the base frame, shape (3, 3): x opens the fingers, z is the tool."""
        cos, sin = np.cos(self.yaw_rad), np.sin(self.yaw_rad)
        return np.array([[cos, sin, 0.0], [sin, -cos, 0.0], [0.0, 0.0, -1.0]])


class Surroundings:
    """The shapes of a LIBERO scene that can be run into; `update` first, the rest is about that state.

    Lengths are in metres in the robot's base frame, whose axes are the world's.

    Args:
        model: The physics. Where its fixtures stand may change between two updates.
        source_body: Root body of the object that is to be gripped.

    Attributes:
        finger_depth_m: How far the fingers reach beyond the point between their tips, along the tool.
    """

    def __init__(self, model: mujoco.MjModel, *, source_body: int) -> None:
        self._model, self._data = model, mujoco.MjData(model)
        self._site = model.site("gripper0_grip_site").id
        self._hand = np.array([model.geom(f"gripper0_{name}_collision").id for name in _HAND_GEOMS])
        roots = model.body_rootid[model.geom_bodyid]
        robot = model.body_rootid[model.site_bodyid[self._site]]
        solid = ((model.geom_contype | model.geom_conaffinity) != 0) & (roots != robot)
        self._planes = np.flatnonzero(solid & (model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE))
        solid[self._planes] = False
        self._source = np.flatnonzero(solid & (roots == source_body))
        self._shapes = np.concatenate([self._source, np.flatnonzero(solid & (roots != source_body))])
        self._base = model.body("robot0_base").id
        self._ghost_positions, self._ghost_rotations = self._measure_hand()
        half_sizes = self._half_sizes(self._hand, self._ghost_rotations)
        self.finger_depth_m = float((self._ghost_positions + half_sizes)[1:, 2].max())

    def _measure_hand(self) -> tuple[FloatArray, FloatArray]:
        """Poses of the open hand's shapes in the axes of the grip, (5, 3) and (5, 3, 3)."""
        model, data = self._model, self._data
        for joint, position in zip(("finger_joint1", "finger_joint2"), _OPEN_JOINTS_M, strict=True):
            data.qpos[model.joint(f"gripper0_{joint}").qposadr] = position
        mujoco.mj_kinematics(model, data)
        rotation = data.site_xmat[self._site].reshape(3, 3)
        positions = (data.geom_xpos[self._hand] - data.site_xpos[self._site]) @ rotation
        return positions, rotation.T @ data.geom_xmat[self._hand].reshape(-1, 3, 3)

    def update(self, qpos: FloatArray) -> None:
        """Go to these joint positions, shape (nq,)."""
        self._data.qpos[:] = qpos
        mujoco.mj_kinematics(self._model, self._data)
        self._hand_pose = self._data.geom_xpos[self._hand].copy(), self._data.geom_xmat[self._hand].copy()
        self._boxes = self._half_sizes(self._shapes, self._data.geom_xmat[self._shapes].reshape(-1, 3, 3))
        middle = self._data.geom_xpos[self._source].mean(axis=0)
        near = self._distances(self._data.geom_xpos[self._shapes], self._boxes, middle) < _HAND_REACH_M
        near[: len(self._source)] = False
        self._near = np.flatnonzero(near)

    def clearance_m(self, pose: GripPose) -> tuple[float, float]:
        """Gap between the open hand at `pose` and (the source, everything else); negative inside, `NEAR_M` at most."""
        data = self._data
        positions, rotations = self._ghost(pose)
        data.geom_xpos[self._hand], data.geom_xmat[self._hand] = positions, rotations.reshape(-1, 9)
        source_gap, gap = self._gap(np.arange(len(self._source))), self._gap(self._near)
        data.geom_xpos[self._hand], data.geom_xmat[self._hand] = self._hand_pose
        floor = (data.geom_xpos[self._planes, 2] - data.xpos[self._base][2]).max(initial=-np.inf)
        return source_gap, min(gap, float(pose.position_m[2] - self.finger_depth_m - floor))

    def rays_through_source(self, pose: GripPose | None = None) -> int:
        """How many of three lines from pad to pad meet the source, with the hand as it is or open at `pose`."""
        if pose is None:
            positions, tool = self._hand_pose[0], self._data.site_xmat[self._site].reshape(3, 3)[:, 2]
        else:
            positions, tool = self._ghost(pose)[0], pose.rotation[:, 2]
        start, end = positions[_PADS[0]], positions[_PADS[1]]
        return sum(self._meets_source(start + depth * tool, end - start) for depth in _RAY_DEPTHS_M)

    def top_between_m(self, start_m: FloatArray, end_m: FloatArray, *, radius_m: float, with_source: bool) -> float:
        """Height of the highest thing within `radius_m` of the line between two points as seen from above."""
        first = 0 if with_source else len(self._source)
        centre = (self._data.geom_xpos[self._shapes] - self._data.xpos[self._base])[first:]
        half = self._boxes[first:]
        samples = np.linspace(start_m[:2], end_m[:2], _WAY_SAMPLES)
        outside = np.maximum(np.abs(samples[:, None] - centre[:, :2]) - half[:, :2], 0.0)
        near = np.linalg.norm(outside, axis=2).min(axis=0) < radius_m
        return float((centre[:, 2] + half[:, 2])[near].max(initial=-np.inf))

    def _ghost(self, pose: GripPose) -> tuple[FloatArray, FloatArray]:
        rotation = pose.rotation
        positions = self._data.xpos[self._base] + pose.position_m + self._ghost_positions @ rotation.T
        return positions, rotation @ self._ghost_rotations

    def _gap(self, rows: NDArray[np.intp]) -> float:
        """From the hand to the nearest of these rows of `_shapes`."""
        model, data, smallest = self._model, self._data, NEAR_M
        geoms, boxes = self._shapes[rows], self._boxes[rows]
        for part in self._hand[: _PADS[0]]:
            half_sizes = self._half_sizes(part[None], data.geom_xmat[part].reshape(1, 3, 3))
            apart = self._distances(data.geom_xpos[geoms], boxes + half_sizes, data.geom_xpos[part])
            for geom in geoms[apart < smallest]:
                smallest = min(smallest, mujoco.mj_geomDistance(model, data, part, geom, smallest, None))
        return float(smallest)

    @staticmethod
    def _distances(centres: FloatArray, half_sizes: FloatArray, point: FloatArray) -> FloatArray:
        """From a point to upright boxes, shape (n,)."""
        return np.asarray(np.linalg.norm(np.maximum(np.abs(centres - point) - half_sizes, 0.0), axis=1))

    def _meets_source(self, start: FloatArray, along: FloatArray) -> bool:
        model, data = self._model, self._data
        offsets = data.geom_xpos[self._source] - start
        nearest = np.clip(offsets @ along / (along @ along), 0.0, 1.0)[:, None] * along
        near = np.linalg.norm(offsets - nearest, axis=1) < model.geom_rbound[self._source]
        return any(0.0 <= self._ray(geom, start, along) <= 1.0 for geom in self._source[near])

    def _ray(self, geom: int, start: FloatArray, along: FloatArray) -> float:
        """Where the line enters a shape, as a share of `along`; -1 when it does not."""
        model, data = self._model, self._data
        if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_MESH:
            return float(mujoco.mj_rayMesh(model, data, geom, start, along))
        place = data.geom_xpos[geom], data.geom_xmat[geom]
        return float(mujoco.mju_rayGeom(*place, model.geom_size[geom], start, along, model.geom_type[geom]))

    def _half_sizes(self, geoms: NDArray[np.intp], rotations: FloatArray) -> FloatArray:
        """Half sizes of upright boxes about the shapes' origins that hold the shapes, shape (n, 3)."""
        centre, half = self._model.geom_aabb[geoms, :3], self._model.geom_aabb[geoms, 3:]
        offset = np.abs(np.einsum("nij,nj->ni", rotations, centre))
        return np.asarray(offset + np.einsum("nij,nj->ni", np.abs(rotations), half))
