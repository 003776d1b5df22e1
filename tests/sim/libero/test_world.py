import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from magma_ros.errors import EnvError
from magma_ros.sim.libero.env import LiberoEnv

BOWL, DRAWER = "akita_black_bowl_1", "wooden_cabinet_1_top_region"


def holds(world, predicate) -> bool:
    """Whether a predicate is true now, by upstream's rule."""
    return bool(world.simulation.domain._eval_predicate(list(predicate)))


@pytest.fixture
def world(blind):
    blind.reset(seed=3)
    return blind.world()


def test_the_scene_is_named_as_in_the_task(world) -> None:
    """Objects, regions and predicates have the names of the BDDL file."""
    assert {BOWL, "akita_black_bowl_2", "cookies_1", "plate_1"} <= set(world.objects)
    assert DRAWER in world.regions
    assert (("on", BOWL, "plate_1"),) == world.goal


def test_the_bowl_starts_in_the_open_drawer(world) -> None:
    """Its predicates hold, the goal does not."""
    assert holds(world, ("in", BOWL, DRAWER))
    assert holds(world, ("open", DRAWER))
    assert not world.goal_holds()
    assert not holds(world, world.goal[0])
    pose, half_size_m = world.region(DRAWER)
    assert np.linalg.norm(pose.position_m - world.pose(BOWL).position_m) < 0.15
    assert (half_size_m > 0.01).all()


def test_extents_are_those_of_the_shapes_that_collide(world) -> None:
    """The bowl is 10.7 cm across and 5.1 cm high, around the place of its own frame."""
    corners = world.points(BOWL)
    low, high = corners.min(axis=0), corners.max(axis=0)
    np.testing.assert_allclose(high - low, [0.107, 0.107, 0.051], atol=0.01)
    np.testing.assert_allclose((low + high)[:2] / 2, world.pose(BOWL).position_m[:2], atol=0.01)


def test_poses_are_in_the_base_frame(world, blind) -> None:
    """The base stands 0.66 m behind the middle of the table and its axes are the world's; the tool points down."""
    data = blind.world().simulation.data
    base = data.body("robot0_base").xpos
    expected = data.body("plate_1_main").xpos - base
    np.testing.assert_allclose(world.pose("plate_1").position_m, expected, atol=1e-12)
    proprio = world.proprio()
    tool = Rotation.from_quat(proprio.ee_quat_xyzw).apply([0, 0, 1])
    np.testing.assert_allclose(tool, [0, 0, -1], atol=0.2)
    assert 0.3 < proprio.ee_position_m[0] < 0.6
    assert proprio.gripper_opening > 0.9
    assert (7,) == proprio.joint_positions_rad.shape


def test_the_bowl_stays_on_the_ramekin() -> None:
    """After settling it still stands where its task begins; with a newer MuJoCo it slides off (docs/libero.md)."""
    env = LiberoEnv("libero_spatial", "pick_up_the_black_bowl_on_the_ramekin_and_place_it_on_the_plate", render=False)
    env.reset(seed=0)
    assert holds(env.world(), ("on", BOWL, "glazed_rim_porcelain_ramekin_1"))
    env.close()


def test_what_touches_what(world) -> None:
    """The plate stands on the table; nothing touches itself."""
    assert "plate_1_main" not in world.touching("plate_1")
    assert len(world.touching("plate_1")) > 0
    assert any(name.startswith("wooden_cabinet_1") for name in world.touching(BOWL))


@pytest.mark.parametrize("ask", ["pose", "region", "points", "touching"])
def test_unknown_names_are_refused_with_those_that_exist(world, ask) -> None:
    """The message lists what the scene has."""
    with pytest.raises(EnvError, match="expected one of"):
        getattr(world, ask)("sofa_1")
