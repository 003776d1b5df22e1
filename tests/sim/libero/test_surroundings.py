"""Room around a hand of boxes, in a scene whose every distance is a difference of round numbers."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from magma_ros.sim.libero.surroundings import NEAR_M, GripPose, Surroundings

BASE_M = np.array([0.1, 0.2, 0.8])
SOURCE_QPOS, WALL_QPOS = slice(3, 10), slice(10, 17)
SCENE = """
<mujoco>
  <asset><mesh name="brick" vertex="{brick}"/></asset>
  <worldbody>
    <geom type="plane" size="2 2 0.1" pos="0 0 0.78"/>
    <body name="robot0_base" pos="0.1 0.2 0.8">
      <body pos="0.5 0 0.03" quat="0 1 0 0">
        <joint name="lift" type="slide" axis="0 0 -1"/>
        <site name="gripper0_grip_site"/>
        <geom name="gripper0_hand_collision" type="box" size="0.06 0.03 0.03" pos="0 0 -0.06"/>
        <body>
          <joint name="gripper0_finger_joint1" type="slide" axis="1 0 0"/>
          <geom name="gripper0_finger1_collision" type="box" size="0.01 0.01 0.02" pos="0.01 0 -0.01"/>
          <geom name="gripper0_finger1_pad_collision" type="box" size="0.002 0.008 0.008" pos="0.002 0 0"/>
        </body>
        <body>
          <joint name="gripper0_finger_joint2" type="slide" axis="1 0 0"/>
          <geom name="gripper0_finger2_collision" type="box" size="0.01 0.01 0.02" pos="-0.01 0 -0.01"/>
          <geom name="gripper0_finger2_pad_collision" type="box" size="0.002 0.008 0.008" pos="-0.002 0 0"/>
        </body>
      </body>
    </body>
    <body name="source"><freejoint/>
      <geom {shape}/>
      <geom type="box" size="0.09 0.09 0.09" contype="0" conaffinity="0" mass="0"/>
    </body>
    <body name="wall"><freejoint/>
      <geom type="box" size="0.05 0.01 0.05" contype="0" conaffinity="1"/>
    </body>
    <body name="shelf" pos="0.9 0.2 0.8"><geom type="box" size="0.01 0.01 0.15"/></body>
  </worldbody>
</mujoco>
"""
SHAPES = {"box": 'type="box" size="0.03 0.015 0.02"', "mesh": 'type="mesh" mesh="brick"'}
UPRIGHT = (1.0, 0.0, 0.0, 0.0)


class Scene:
    """The hand hangs 3 cm above the base's height; a brick of 6 by 3 by 4 cm stands there, a wall of 10 cm beside it.

    Everything in the base frame: the brick's middle at (0.5, 0, 0.02), the wall's from y 0.09 to 0.11 and up to 0.10.
    """

    def __init__(self, shape: str) -> None:
        brick = " ".join(f"{x} {y} {z}" for x in (-0.03, 0.03) for y in (-0.015, 0.015) for z in (-0.02, 0.02))
        self.model = mujoco.MjModel.from_xml_string(SCENE.format(brick=brick, shape=SHAPES[shape]))
        self.room = Surroundings(self.model, source_body=self.model.body("source").id)
        self.qpos = np.zeros(self.model.nq)
        self.move(source=(0.5, 0.0, 0.02), wall=(0.5, 0.1, 0.05))

    def move(self, source=None, wall=None, quat_wxyz=UPRIGHT, **joints) -> None:
        for place, position_m in ((SOURCE_QPOS, source), (WALL_QPOS, wall)):
            if position_m is not None:
                self.qpos[place] = [*(BASE_M + position_m), *quat_wxyz]
        for name, position in joints.items():
            self.qpos[self.model.joint(name).qposadr] = position
        self.room.update(self.qpos)

    def gaps(self, x_m=0.5, y_m=0.0, z_m=0.03, yaw_rad=0.0) -> tuple[float, float]:
        return self.room.clearance_m(GripPose(np.array([x_m, y_m, z_m]), yaw_rad))

    def rays(self, x_m=0.5, y_m=0.0, z_m=0.03, yaw_rad=0.0) -> int:
        return self.room.rays_through_source(GripPose(np.array([x_m, y_m, z_m]), yaw_rad))

    def top(self, start, end, radius_m=0.05, *, with_source=True) -> float:
        return self.room.top_between_m(np.array(start), np.array(end), radius_m=radius_m, with_source=with_source)


@pytest.fixture(params=SHAPES)
def scene(request) -> Scene:
    """With the brick as a box, and as a mesh: whatever holds for one holds for the other."""
    return Scene(request.param)


@pytest.mark.parametrize(
    ("yaw_rad", "opens", "across"), [(0.0, (1, 0, 0), (0, -1, 0)), (np.pi / 2, (0, 1, 0), (1, 0, 0))]
)
def test_the_tool_points_down_and_the_fingers_open_along_the_yaw(yaw_rad, opens, across) -> None:
    """Columns of a right-handed rotation: x opens the fingers, z is down."""
    rotation = GripPose(np.zeros(3), yaw_rad).rotation
    np.testing.assert_allclose(rotation.T, [opens, across, (0, 0, -1)], atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1.0)


def test_the_fingers_reach_beyond_the_point_between_their_tips(scene) -> None:
    """By 1 cm; the pads, 8 mm, and the palm do not count."""
    assert scene.room.finger_depth_m == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("place", "expected_m"),
    [
        ({}, 0.01),
        ({"x_m": 0.504}, 0.006),
        ({"x_m": 0.496}, 0.006),
        ({"x_m": 0.515}, -0.005),
        ({"z_m": 0.017}, 0.007),
        ({"z_m": 0.005}, -0.005),
        ({"yaw_rad": np.pi / 2}, NEAR_M),
        ({"yaw_rad": np.pi / 2, "y_m": 0.017}, 0.008),
        ({"z_m": 0.2}, NEAR_M),
        ({"x_m": 0.8}, NEAR_M),
    ],
)
def test_the_gap_to_the_source_is_that_of_the_nearest_part_of_the_open_hand(scene, place, expected_m) -> None:
    """Fingers 8 cm apart around 6 cm, a palm 3 cm above the tips; less than nothing inside, 2 cm at most."""
    assert scene.gaps(**place)[0] == pytest.approx(expected_m, abs=1e-5)


@pytest.mark.parametrize(
    ("place", "expected_m"),
    [
        ({}, NEAR_M),
        ({"y_m": 0.055}, 0.005),
        ({"y_m": 0.065}, -0.005),
        ({"y_m": 0.02, "yaw_rad": np.pi / 2}, 0.01),
        ({"z_m": 0.01}, NEAR_M),
        ({"z_m": 0.005}, 0.015),
        ({"z_m": -0.01}, 0.0),
        ({"z_m": -0.02}, -0.01),
    ],
)
def test_the_gap_to_everything_else_counts_walls_and_the_floor(scene, place, expected_m) -> None:
    """The wall's face is at y 0.09, the floor 2 cm below the base; the tips are 1 cm below their point."""
    assert scene.gaps(**place)[1] == pytest.approx(expected_m, abs=1e-5)


@pytest.mark.parametrize(("face_m", "gap_m"), [(0.199, 0.0), (0.201, NEAR_M)])
def test_what_is_more_than_20_cm_from_the_source_is_left_out(scene, face_m, gap_m) -> None:
    """The hand is near the source when it matters: a wall that begins 20.1 cm behind it is not looked at."""
    scene.move(wall=(0.5 + face_m + 0.05, 0.0, 0.02))
    assert scene.gaps(x_m=0.5 + face_m - 0.06, z_m=0.03)[1] == pytest.approx(gap_m, abs=1e-5)


def test_asking_moves_nothing(scene) -> None:
    """The lines of the hand as it is meet the source as before, wherever room was asked for."""
    scene.move(gripper0_finger_joint1=0.035, gripper0_finger_joint2=-0.035)
    before = scene.gaps(), scene.room.rays_through_source()
    scene.gaps(x_m=0.2, z_m=0.2)
    assert (scene.gaps(), scene.room.rays_through_source()) == before
    assert before[1] == 3


def test_fixtures_may_be_moved_between_two_updates() -> None:
    """A shelf that the next seed puts beside the source is seen there, 1 cm from the open hand."""
    scene = Scene("box")
    assert scene.gaps()[1] == pytest.approx(NEAR_M)
    scene.model.body("shelf").pos[:] = np.add(BASE_M, (0.58, 0.0, 0.0))
    scene.room.update(scene.qpos)
    assert scene.gaps()[1] == pytest.approx(0.01, abs=1e-5)


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ({}, 3),
        ({"z_m": 0.037}, 3),
        ({"z_m": 0.0385}, 2),
        ({"z_m": 0.0425}, 2),
        ({"z_m": 0.0435}, 1),
        ({"z_m": 0.0475}, 1),
        ({"z_m": 0.0485}, 0),
        ({"y_m": 0.0145}, 3),
        ({"y_m": 0.0155}, 0),
        ({"x_m": 0.56}, 3),
        ({"x_m": 0.575}, 0),
        ({"x_m": 0.425}, 0),
        ({"yaw_rad": np.pi / 2, "x_m": 0.525}, 3),
        ({"yaw_rad": np.pi / 2, "x_m": 0.535}, 0),
    ],
)
def test_lines_between_the_pads_meet_what_is_between_them(scene, place, expected) -> None:
    """2 mm above, 3 and 8 mm below the point between the tips, from one pad's middle to the other's and no further."""
    assert scene.rays(**place) == expected


@pytest.mark.parametrize(("lift_m", "expected"), [(0.0, 3), (0.0135, 1), (0.03, 0)])
def test_the_hand_as_it_is_has_lines_too(scene, lift_m, expected) -> None:
    """Without a pose the measured joints count: lifted by 13.5 mm only the lowest line meets the brick."""
    scene.move(lift=lift_m, gripper0_finger_joint1=0.031, gripper0_finger_joint2=-0.031)
    assert scene.room.rays_through_source() == expected


def test_fingers_that_have_closed_beside_the_source_hold_nothing(scene) -> None:
    """Lines that end 0.7 cm from the middle miss a brick that begins 1 cm from it; those of 1.2 cm meet it."""
    scene.move(source=(0.46, 0.0, 0.02), gripper0_finger_joint1=0.01, gripper0_finger_joint2=-0.005)
    assert scene.room.rays_through_source() == 0
    scene.move(gripper0_finger_joint1=0.01, gripper0_finger_joint2=-0.01)
    assert scene.room.rays_through_source() == 3


@pytest.mark.parametrize(
    ("end_y_m", "radius_m", "expected_m"), [(0.0, 0.0899, 0.04), (0.0, 0.0901, 0.10), (0.05, 0.0401, 0.10)]
)
def test_the_highest_thing_on_the_way_counts(scene, end_y_m, radius_m, expected_m) -> None:
    """As seen from above, within the radius of the line: the brick's top at 4 cm, the wall's at 10 cm."""
    assert scene.top((0.3, 0.0, 0.5), (0.5, end_y_m, 0.0), radius_m) == pytest.approx(expected_m, abs=1e-6)


def test_the_source_does_not_stand_in_its_own_way(scene) -> None:
    """Without it there is nothing between two points on the table; with nothing, the height is minus infinity."""
    assert scene.top((0.3, 0.0, 0.0), (0.5, 0.0, 0.0), with_source=False) == -np.inf
    assert scene.top((0.3, 0.0, 0.0), (0.5, 0.0, 0.0)) == pytest.approx(0.04, abs=1e-6)
    assert scene.top((0.3, 0.1, 0.0), (0.5, 0.1, 0.0), with_source=False) == pytest.approx(0.10, abs=1e-6)


def test_things_between_start_and_end_count(scene) -> None:
    """A shelf 0.8 m ahead, 15 cm high, is met half-way, but not 5.5 cm beyond either end of the line."""
    assert scene.top((0.6, 0.0, 0.0), (1.0, 0.0, 0.0)) == pytest.approx(0.15)
    assert scene.top((0.6, 0.0, 0.0), (0.735, 0.0, 0.0), with_source=False) == -np.inf
    assert scene.top((0.865, 0.0, 0.0), (1.0, 0.0, 0.0), with_source=False) == -np.inf


def test_a_thing_that_lies_on_its_side_is_as_high_as_it_is_then(scene) -> None:
    """The brick on its short end, 6 cm high around its middle."""
    scene.move(source=(0.5, 0.0, 0.03), quat_wxyz=(0.5**0.5, 0.0, 0.5**0.5, 0.0))
    assert scene.top((0.5, 0.0, 0.0), (0.5, 0.0, 0.0)) == pytest.approx(0.06, abs=1e-6)
    assert scene.gaps(z_m=0.04)[0] == pytest.approx(0.01, abs=1e-5)
