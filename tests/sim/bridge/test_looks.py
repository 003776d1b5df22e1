"""Variants: seeded, one axis at a time, without effect on the physics unless there are other things to touch."""

import colorsys
import pickle

import numpy as np
import pytest

from magma_ros.sim.bridge.distractors import RADIUS_M
from magma_ros.sim.bridge.env import BridgeEnv
from magma_ros.sim.bridge.experts import expert_for
from magma_ros.sim.bridge.layouts import layout_of_seed
from magma_ros.sim.bridge.looks import MATCHING, SHIFTED, look_of_seed
from magma_ros.sim.bridge.tasks import CARROT_ON_PLATE, STACK_CUBE, TASKS
from magma_ros.sim.suites import VARIANT_AXES
from magma_ros.types import Action

SEEDS = dict(zip(VARIANT_AXES, range(6), strict=True))
"""Axis → the first seed that has it."""
ROWS = [[0.01, 0.004 * (-1) ** step, -0.02, 0.0, 0.02, 0.05, step % 3 > 0] for step in range(6)]


def run(env, seed):
    """The trial of `seed` under `ROWS`: (info of the reset, observations, states)."""
    observation, info = env.reset(seed=seed)
    seen, states = [observation], [env.get_state()]
    for row in ROWS:
        seen.append(env.step(Action.from_array(row, frame="base_link"))[0])
        states.append(env.get_state())
    return info, seen, states


@pytest.mark.parametrize("first", [0, 6, 24, 1_000_002])
def test_axes_take_turns(first):
    """Any six seeds from a multiple of six on have each axis once."""
    assert set(VARIANT_AXES) == {look_of_seed(first + step, CARROT_ON_PLATE).axis for step in range(6)}


def test_no_axis_keeps_to_one_yaw():
    """Within the 24 official episodes every axis meets both yaws of the carrot."""
    for axis in VARIANT_AXES:
        seeds = [seed for seed in range(24) if look_of_seed(seed, CARROT_ON_PLATE).axis == axis]
        assert {0, 1} == {seed % 2 for seed in seeds}


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_a_look_is_a_value_that_its_seed_fixes(task):
    """The same seed draws the same look, another seed of the same axis another, and a look pickles."""
    for axis, seed in SEEDS.items():
        look = look_of_seed(seed, task)
        assert (axis, look) == (look.axis, look_of_seed(seed, task))
        assert look == pickle.loads(pickle.dumps(look))  # noqa: S301 - our own value
    assert look_of_seed(0, task) != look_of_seed(11, task)


@pytest.mark.parametrize("axis", ["light", "table", "camera", "colours"])
def test_what_is_only_seen_changes_no_state(axis):
    """Light, table, camera and colours leave every bit of the physics as in visual matching, and change the picture."""
    plain, varied = (
        BridgeEnv("stack_cube", image_size_px=32),
        BridgeEnv("stack_cube", image_size_px=32, look="variants"),
    )
    info, seen, states = run(varied, SEEDS[axis])
    _, expected_seen, expected_states = run(plain, SEEDS[axis])
    assert info["variant"] == axis
    for expected, state in zip(expected_states, states, strict=True):
        assert expected.physics.tobytes() == state.physics.tobytes()
    changed = np.abs(expected_seen[0].images["image"].astype(int) - seen[0].images["image"]).max(axis=2) > 8
    assert changed.sum() > 10
    plain.close()
    varied.close()


def test_a_state_brings_its_look_along():
    """What was rolled out without pictures, in variants, is drawn by an environment of visual matching as it looked."""
    blind = BridgeEnv("carrot_on_plate", render=False, look="variants")
    eyes, painter = (BridgeEnv("carrot_on_plate", image_size_px=32, look=look) for look in ("variants", "matching"))
    for axis in ("distractors", "colours", "unseen_object"):
        _, expected, _ = run(eyes, SEEDS[axis])
        _, _, states = run(blind, SEEDS[axis])
        drawn = [painter.set_state(pickle.loads(pickle.dumps(state))) for state in states]  # noqa: S301 - our own
        for index in (0, -1):
            np.testing.assert_array_equal(expected[index].images["image"], drawn[index].images["image"])
    for env in (blind, eyes, painter):
        env.close()


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_distractors_are_never_in_the_way(task):
    """They stand apart from each other, from all that source and target can cover, and from the gripper's way."""
    seeds = [seed for seed in range(300) if look_of_seed(seed, task).axis == "distractors"]
    layouts = [layout_of_seed(seed, task.placement) for seed in range(200)]
    work = np.array([xy for layout in layouts for xy in (layout.source_xy_m, layout.target_xy_m)])
    low, high = work.min(axis=0) - 0.05, work.max(axis=0) + 0.05  # the open fingers reach 4 cm
    numbers = set()
    for seed in seeds:
        look = look_of_seed(seed, task)
        places = np.array([distractor.position_m[:2] for distractor in look.distractors])
        apart = np.linalg.norm(places[:, None] - places[None], axis=2) + np.eye(len(places))
        assert apart.min() > 2 * RADIUS_M
        outside = np.maximum(np.maximum(low - places, places - high), 0.0)
        assert np.linalg.norm(outside, axis=1).min() > RADIUS_M
        numbers.add(len(places))
    assert {2, 3, 4} >= numbers
    assert len(numbers) > 1


@pytest.mark.parametrize("task", TASKS)
def test_distractors_do_not_hinder_the_expert(task):
    """With them the expert's trial goes as without them, to the last bit of every joint."""
    plain, varied = BridgeEnv(task, render=False), BridgeEnv(task, render=False, look="variants")
    experts = expert_for(plain), expert_for(varied)
    for env in (plain, varied):
        env.reset(seed=SEEDS["distractors"])
    for _ in range(45):
        expected, seen = (env.step(expert.act())[0] for env, expert in zip((plain, varied), experts, strict=True))
        np.testing.assert_array_equal(expected.proprio.joint_positions_rad, seen.proprio.joint_positions_rad)
    np.testing.assert_array_equal(plain.poses().source_position_m, varied.poses().source_position_m)


def test_colours_keep_the_names_of_things_true():
    """A green block stays green and a yellow one yellow."""
    for seed in (seed for seed in range(300) if look_of_seed(seed, STACK_CUBE).axis == "colours"):
        look = look_of_seed(seed, STACK_CUBE)
        green, yellow = (colorsys.rgb_to_hsv(*coat.rgb)[0] for coat in (look.source_coat, look.target_coat))
        assert 0.25 < green < 0.42
        assert 0.12 < yellow < 0.17


def test_visual_matching_names_no_variant():
    """The fixed look is every seed's, and its info is the plain one."""
    env = BridgeEnv("carrot_on_plate", render=False)
    _, info = env.reset(seed=3)
    assert "variant" not in info
    assert MATCHING == env.get_state().look


def test_the_shifted_robot_sees_the_same_trial_from_elsewhere():
    """Every trial has its one other look, no variant, the states of visual matching to the bit, and other pictures."""
    worlds = [BridgeEnv("stack_cube", image_size_px=32, look=look) for look in ("matching", "shifted")]
    (info, plain, states), (moved_info, moved, moved_states) = (run(world, 3) for world in worlds)
    looks = {worlds[1].reset(seed=seed) and worlds[1].get_state().look for seed in (3, 4)}
    for world in worlds:
        world.close()
    assert {SHIFTED} == looks
    assert info.keys() == moved_info.keys()
    for state, other in zip(states, moved_states, strict=True):
        assert state.physics.tobytes() == other.physics.tobytes()
    assert np.abs(plain[0].images["image"].astype(int) - moved[0].images["image"]).mean() > 10
