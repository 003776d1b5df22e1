"""What only a simulator knows of a LIBERO scene: poses, extents, predicates; for experts and tests, never a policy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import mujoco
import numpy as np

from magma_ros.errors import EnvError
from magma_ros.sim.libero.convention import gripper_opening
from magma_ros.sim.libero.simulation import Simulation
from magma_ros.types import FloatArray, Pose, Proprio

Predicate = tuple[str, ...]
"""As BDDL has it, in lower case: ("on", "akita_black_bowl_1", "plate_1") or ("open", "wooden_cabinet_1_top_region")."""

_COLLISION_GROUP = 0  # robosuite draws group 1 and lets group 0 collide
_CORNERS = np.array([[x, y, z] for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-1.0, 1.0)])


class World:
    """The scene at this moment, everything in the robot's base frame; reads, and changes nothing.

    Attributes:
        simulation: Whose scene it is.
        objects: Names of what can be moved, such as `akita_black_bowl_1`.
        regions: Names of the boxes that predicates speak of, such as `basket_1_contain_region`.
        goal: The predicates that must all hold.
    """

    def __init__(self, simulation: Simulation) -> None:
        domain = simulation.domain
        self.simulation = simulation
        self._model, self._data = simulation.model, simulation.data
        self.objects = tuple(sorted(domain.objects_dict))
        self.regions = tuple(sorted(domain.object_sites_dict))
        self.goal = _predicates(domain.parsed_problem["goal_state"])
        self._base = self._model.body(simulation.robot.robot_model.root_body).id
        self._grip_site = simulation.robot.eef_site_id
        self._fingers = simulation.robot._ref_gripper_joint_pos_indexes  # noqa: SLF001 - robosuite's only list of them
        self._arm = simulation.robot._ref_joint_pos_indexes  # noqa: SLF001 - same

    def proprio(self) -> Proprio:
        """The measured arm; its end effector is the point between the finger tips that OSC moves, tool along +z."""
        ee = self._pose(self._data.site_xpos[self._grip_site], self._data.site_xmat[self._grip_site])
        opening = gripper_opening(self._data.qpos[self._fingers])
        return Proprio(ee.position_m, ee.quat_xyzw, opening, self._data.qpos[self._arm])

    def pose(self, name: str) -> Pose:
        """Of an object's or a fixture's own frame."""
        body = self._body(name)
        return self._pose(self._data.xpos[body], self._data.xmat[body])

    def region(self, name: str) -> tuple[Pose, FloatArray]:
        """A region's pose and the half sizes of its box along its own axes, shape (3,) [m].

        Raises:
            EnvError: the scene has no such region.
        """
        if name not in self.regions:
            raise EnvError(f"region: expected one of {list(self.regions)}, got {name!r}")
        site = self._data.site(name)
        return self._pose(site.xpos, site.xmat), np.array(self.simulation.domain.object_sites_dict[name].size, float)

    def points(self, name: str) -> FloatArray:
        """Corners of everything of an object or fixture that collides, shape (n, 3) [m]: its extent at any angle."""
        body = self._body(name)
        geoms = [geom for geom in range(self._model.ngeom) if self._collides(geom) and self._is_part(geom, body)]
        if not geoms:
            raise EnvError(f"{name}: expected a shape that collides, got none")
        return np.concatenate([self._geom_points(geom) for geom in geoms])

    def goal_holds(self) -> bool:
        """Whether every predicate of `goal` is true now."""
        return self.simulation.goal_holds()

    def touching(self, name: str) -> frozenset[str]:
        """Names of the bodies that an object or fixture touches, its own parts left out."""
        body = self._body(name)
        return frozenset(self._model.body(other).name for own, other in self._contacts() if self._is_below(own, body))

    def _contacts(self) -> Iterator[tuple[int, int]]:
        """Bodies of each contact, in both orders, unless they are parts of one thing."""
        roots = self._model.body_rootid
        for contact in self._data.contact[: self._data.ncon]:
            first, second = (int(self._model.geom_bodyid[geom]) for geom in (contact.geom1, contact.geom2))
            if roots[first] != roots[second]:
                yield first, second
                yield second, first

    def _body(self, name: str) -> int:
        bodies = self.simulation.domain.obj_body_id
        if name not in bodies:
            raise EnvError(f"name: expected one of {sorted(bodies)}, got {name!r}")
        return int(bodies[name])

    def _collides(self, geom: int) -> bool:
        return bool(self._model.geom_group[geom] == _COLLISION_GROUP)

    def _is_part(self, geom: int, body: int) -> bool:
        return self._is_below(int(self._model.geom_bodyid[geom]), body)

    def _is_below(self, part: int, body: int) -> bool:
        while part not in (0, body):
            part = int(self._model.body_parentid[part])
        return part == body

    def _geom_points(self, geom: int) -> FloatArray:
        model, data = self._model, self._data
        if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_MESH:
            mesh = model.geom_dataid[geom]
            first = model.mesh_vertadr[mesh]
            points = model.mesh_vert[first : first + model.mesh_vertnum[mesh]]
        else:
            points = _CORNERS * _half_sizes(int(model.geom_type[geom]), model.geom_size[geom])
        in_world = points @ data.geom_xmat[geom].reshape(3, 3).T + data.geom_xpos[geom]
        return np.asarray((in_world - data.xpos[self._base]) @ data.xmat[self._base].reshape(3, 3))

    def _pose(self, position_m: FloatArray, matrix: FloatArray) -> Pose:
        rotation = self._data.xmat[self._base].reshape(3, 3)
        quat_wxyz = np.empty(4)
        mujoco.mju_mat2Quat(quat_wxyz, (rotation.T @ matrix.reshape(3, 3)).ravel())
        return Pose(rotation.T @ (position_m - self._data.xpos[self._base]), quat_wxyz[[1, 2, 3, 0]])


def _predicates(rows: Sequence[Sequence[str]]) -> tuple[Predicate, ...]:
    return tuple(tuple(str(word) for word in row) for row in rows)


def _half_sizes(kind: int, size: FloatArray) -> FloatArray:
    """Of the box around a primitive, along its own axes."""
    if kind == mujoco.mjtGeom.mjGEOM_SPHERE:
        return np.repeat(size[0], 3)
    if kind == mujoco.mjtGeom.mjGEOM_CYLINDER:
        return np.array([size[0], size[0], size[1]])
    if kind == mujoco.mjtGeom.mjGEOM_CAPSULE:
        return np.array([size[0], size[0], size[0] + size[1]])
    return np.array(size)
