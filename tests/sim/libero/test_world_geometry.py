"""Poses, extents and contacts of a scene that is small enough to know, without LIBERO's own simulation."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import mujoco
import numpy as np
import pytest

from magma_ros.errors import EnvError
from magma_ros.sim.libero.world import World

SCENE = """
<mujoco>
  <asset><mesh name="wedge" vertex="0 0 0  0.3 0 0  0 0.6 0  0 0 0.9" inertia="convex"/></asset>
  <worldbody>
    <body name="robot0_base" pos="0.1 0.2 0.9" euler="0 0 90">
      <joint name="arm" type="hinge" axis="0 0 1"/>
      <geom type="sphere" size="0.01" contype="0" conaffinity="0"/>
      <body pos="0.4 0 0.3" euler="180 0 0">
        <site name="grip"/>
        <geom type="sphere" size="0.01" contype="0" conaffinity="0"/>
        <body>
          <joint name="left" type="slide" axis="0 1 0"/><geom type="sphere" size="0.01" contype="0" conaffinity="0"/>
        </body>
        <body>
          <joint name="right" type="slide" axis="0 1 0"/><geom type="sphere" size="0.01" contype="0" conaffinity="0"/>
        </body>
      </body>
    </body>
    <body name="ball" pos="0.1 1.2 0.9"><freejoint/><geom type="sphere" size="0.02"/></body>
    <body name="can" pos="0.1 0.2 1.9"><geom type="cylinder" size="0.02 0.05"/></body>
    <body name="pill" pos="0.1 0.2 1.9"><geom type="capsule" size="0.02 0.05"/></body>
    <body name="egg" pos="0.1 0.2 1.9"><geom type="ellipsoid" size="0.01 0.02 0.03"/></body>
    <body name="crate" pos="0.1 0.2 1.9" euler="0 0 90"><geom type="box" size="0.01 0.02 0.03"/></body>
    <body name="wedge" pos="0.1 0.2 1.9"><geom type="mesh" mesh="wedge"/></body>
    <body name="ghost" pos="5 0 0"><geom type="box" size="1 1 1" group="1"/></body>
    <body name="cabinet" pos="3 0 0">
      <geom type="box" size="0.1 0.1 0.1"/>
      <geom type="box" size="9 9 9" group="1" contype="0" conaffinity="0"/>
      <body name="drawer" pos="0 0 0.15">
        <joint name="drawer" type="slide" axis="1 0 0"/>
        <geom type="box" size="0.05 0.05 0.05"/>
        <site name="drawer_region" pos="0 0 0.2" size="0.3 0.3 0.3"/>
        <body name="knob" pos="0.05 0 0">
          <joint name="knob" type="hinge" axis="1 0 0"/><geom type="sphere" size="0.01" contype="0" conaffinity="0"/>
        </body>
      </body>
      <body name="lamp" pos="0 5 0">
        <joint type="ball"/><geom type="sphere" size="0.01" contype="0" conaffinity="0"/>
      </body>
    </body>
    <body name="stone" pos="3 0.1 0"><freejoint/><geom type="box" size="0.02 0.02 0.02"/></body>
    <body name="far" pos="3 0 4"><freejoint/><geom type="box" size="0.02 0.02 0.02"/></body>
  </worldbody>
</mujoco>
"""
NAMES = ("ball", "can", "pill", "egg", "crate", "wedge", "ghost", "cabinet", "stone", "far")


@dataclass
class Scene:
    """What `World` wants of a simulation."""

    is_solved: bool = False

    def __post_init__(self) -> None:
        self.model = mujoco.MjModel.from_xml_string(SCENE)
        self.data = mujoco.MjData(self.model)
        body = {name: self.model.body(name).id for name in NAMES}
        self.domain = SimpleNamespace(
            objects_dict=dict.fromkeys(["stone", "ball"]),
            object_sites_dict={"drawer_region": SimpleNamespace(size=[0.01, 0.02, 0.03]), "a_region": None},
            parsed_problem={"goal_state": [["on", "ball", "can"]]},
            obj_body_id=body,
        )
        address = {name: int(self.model.joint(name).qposadr[0]) for name in ("arm", "left", "right")}
        self.robot = SimpleNamespace(
            robot_model=SimpleNamespace(root_body="robot0_base"),
            eef_site_id=self.model.site("grip").id,
            _ref_gripper_joint_pos_indexes=[address["left"], address["right"]],
            _ref_joint_pos_indexes=[address["arm"]],
        )
        self.forward()

    def forward(self, **joints: float) -> None:
        for name, position in joints.items():
            self.data.joint(name).qpos = position
        mujoco.mj_forward(self.model, self.data)

    def goal_holds(self) -> bool:
        return self.is_solved


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def world(scene) -> World:
    return World(scene)


def bounds(world: World, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest corner along the base axes."""
    return world.points(name).min(axis=0), world.points(name).max(axis=0)


def test_names_are_sorted_and_predicates_are_tuples(world) -> None:
    """In whatever order upstream lists them."""
    assert world.objects == ("ball", "stone")
    assert world.regions == ("a_region", "drawer_region")
    assert world.goal == (("on", "ball", "can"),)


def test_the_simulation_says_whether_the_goal_holds(scene, world) -> None:
    """By upstream's rule, at this moment."""
    assert not world.goal_holds()
    scene.is_solved = True
    assert world.goal_holds()


def test_poses_are_seen_from_a_base_that_is_turned(world) -> None:
    """The base looks along the world's y: what is 1 m along y is 1 m ahead of it, and turned back by 90 degrees."""
    ball, crate = world.pose("ball"), world.pose("crate")
    np.testing.assert_allclose(ball.position_m, [1.0, 0.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(ball.quat_xyzw, [0.0, 0.0, -(0.5**0.5), 0.5**0.5], atol=1e-12)
    np.testing.assert_allclose(crate.position_m, [0.0, 0.0, 1.0], atol=1e-12)
    np.testing.assert_allclose(crate.quat_xyzw, [0.0, 0.0, 0.0, 1.0], atol=1e-12)


def test_the_measured_arm_is_in_the_base_frame(scene, world) -> None:
    """The grip is 0.4 m ahead and 0.3 m up with the tool down; fingers 2 and 4 cm out are open by three quarters."""
    scene.forward(left=0.02, right=-0.04)
    proprio = world.proprio()
    np.testing.assert_allclose(proprio.ee_position_m, [0.4, 0.0, 0.3], atol=1e-12)
    np.testing.assert_allclose(np.abs(proprio.ee_quat_xyzw), [1.0, 0.0, 0.0, 0.0], atol=1e-12)
    assert proprio.gripper_opening == pytest.approx(0.75)
    np.testing.assert_array_equal(proprio.joint_positions_rad, [0.0])
    scene.forward(arm=0.4)
    np.testing.assert_array_equal(world.proprio().joint_positions_rad, [0.4])


@pytest.mark.parametrize(
    ("name", "half_m"),
    [
        ("can", (0.02, 0.02, 0.05)),
        ("pill", (0.02, 0.02, 0.07)),
        ("egg", (0.02, 0.01, 0.03)),
        ("crate", (0.01, 0.02, 0.03)),
    ],
)
def test_extents_are_those_of_the_shape_along_the_base_axes(world, name, half_m) -> None:
    """A capsule is as long as its cylinder and both its caps; what is turned with the base is not turned for it."""
    assert world.points(name).shape == (8, 3)
    low, high = bounds(world, name)
    np.testing.assert_allclose(low, [-half_m[0], -half_m[1], 1.0 - half_m[2]], atol=1e-9)
    np.testing.assert_allclose(high, [half_m[0], half_m[1], 1.0 + half_m[2]], atol=1e-9)


def test_a_sphere_is_as_wide_on_every_side(world) -> None:
    """2 cm to each side of a ball's middle."""
    low, high = bounds(world, "ball")
    np.testing.assert_allclose(low, [0.98, -0.02, -0.02], atol=1e-9)
    np.testing.assert_allclose(high, [1.02, 0.02, 0.02], atol=1e-9)


def test_a_mesh_has_its_own_corners(world) -> None:
    """Four, not those of a box around it; the world's x is the base's -y and its y the base's x."""
    expected = {(0.0, 0.0, 1.0), (0.0, -0.3, 1.0), (0.6, 0.0, 1.0), (0.0, 0.0, 1.9)}
    assert {tuple(row) for row in np.round(world.points("wedge"), 6) + 0.0} == expected


def test_the_parts_of_a_thing_count_and_what_is_only_seen_does_not(world) -> None:
    """A cabinet of 20 cm, its drawer of 10 cm above, two small spheres; not the picture of 18 m around it."""
    assert world.points("cabinet").shape == (32, 3)
    low, high = bounds(world, "cabinet")
    assert high[2] - low[2] == pytest.approx(0.30)
    assert low[2] == pytest.approx(-1.0)


def test_a_thing_that_nothing_can_touch_has_no_extent(world) -> None:
    """An error that names it, not an empty array."""
    with pytest.raises(EnvError, match=r"^ghost: expected a shape that collides, got none$"):
        world.points("ghost")


def test_a_region_moves_with_its_drawer(scene, world) -> None:
    """Its pose is its site's, its half sizes are upstream's and not the drawn ones."""
    shut, half_m = world.region("drawer_region")
    np.testing.assert_allclose(shut.position_m, [-0.2, -2.9, -0.55], atol=1e-12)
    np.testing.assert_array_equal(half_m, [0.01, 0.02, 0.03])
    scene.forward(drawer=0.07)
    np.testing.assert_allclose(world.region("drawer_region")[0].position_m, [-0.2, -2.97, -0.55], atol=1e-12)


def test_both_sides_know_what_they_touch(world) -> None:
    """A stone within a cabinet's wall touches the cabinet and is touched by it; a drawer is no stranger to its own."""
    assert world.touching("stone") == {"cabinet"}
    assert world.touching("cabinet") == {"stone"}
    assert world.touching("far") == frozenset()


def test_a_thing_touches_with_its_parts(scene, world) -> None:
    """The stone lies on the drawer, which is named by itself; for the cabinet it is the stone that is touched."""
    address = scene.model.jnt_qposadr[scene.model.body("stone").jntadr[0]]
    scene.data.qpos[address : address + 3] = [3.0, 0.0, 0.215]
    scene.forward()
    assert world.touching("stone") == {"drawer"}
    assert world.touching("cabinet") == {"stone"}


@pytest.mark.parametrize("ask", ["pose", "points", "touching"])
def test_a_name_that_is_not_there_is_refused_with_all_that_are(world, ask) -> None:
    """Sorted, and the wrong one is quoted."""
    known = r"\['ball', 'cabinet', 'can', 'crate', 'egg', 'far', 'ghost', 'pill', 'stone', 'wedge'\]"
    with pytest.raises(EnvError, match=f"^name: expected one of {known}, got 'sofa'$"):
        getattr(world, ask)("sofa")


def test_a_region_that_is_not_there_is_refused() -> None:
    """An object's name is no region."""
    with pytest.raises(EnvError, match=r"^region: expected one of \['a_region', 'drawer_region'\], got 'ball'$"):
        World(Scene()).region("ball")
