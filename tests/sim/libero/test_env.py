import pickle
import subprocess
import sys
from pathlib import Path

import mujoco
import numpy as np
import pytest

from magma_ros import images
from magma_ros.contract import CameraSpec
from magma_ros.errors import EnvError
from magma_ros.safety import SafetyFilter
from magma_ros.sim.envs import make_env
from magma_ros.sim.libero.convention import FRAME
from magma_ros.sim.libero.env import LiberoEnv
from magma_ros.sim.libero.protocol import AGENTVIEW, WRIST
from magma_ros.sim.libero.resources import init_states
from magma_ros.sim.libero.simulation import NUM_TRIAL_STATES
from magma_ros.sim.suites import FIRST_DEMO_SEED, find_suite
from magma_ros.types import Action, SafeAction
from tests.sim.libero import golden
from tests.sim.libero.golden import SEED, SUITE, TASK, digest, golden_actions, numbers, roll_out

ROOT = Path(__file__).parents[3]
REST = Action(np.zeros(3), np.zeros(3), 1.0, FRAME)
SAME_CPU_OR_NOT_M = 1e-4
"""The controller is compiled for the CPU at hand (Numba) and its linear algebra picks its kernels by it (OpenBLAS), so
that the last bits of a state differ between CPUs; in 20 steps they do not grow to a tenth of a millimetre."""


@pytest.fixture(scope="module")
def trial(blind):
    """The golden trial, rolled out without pictures: observations and states."""
    return roll_out(blind)


def test_a_trial_is_the_one_in_the_repository(trial) -> None:
    """Joints, fixtures and gripper of 20 steps agree with those stored; bit by bit only on a CPU of the same kind."""
    with np.load(golden.STATES) as stored:
        for name, values in numbers(trial[1]).items():
            np.testing.assert_allclose(values, stored[name], atol=SAME_CPU_OR_NOT_M, err_msg=name)


def test_a_trial_repeats_in_another_process(trial) -> None:
    """A fresh process takes the same steps to the last bit."""
    program = (
        "from tests.sim.libero.golden import *\n"
        "env = LiberoEnv(SUITE, TASK, render=False)\nprint(digest(roll_out(env)[1]))\nenv.close()"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=100)
    assert digest(trial[1]) == done.stdout.strip()


def test_a_trial_does_not_depend_on_those_before(blind, trial) -> None:
    """After another seed's trial, left in the middle with the gripper closed, the trial repeats to the last bit."""
    blind.reset(seed=SEED + 1)
    for action in golden_actions()[10:15]:
        blind.step(action)
    assert digest(trial[1]) == digest(roll_out(blind)[1])


def test_the_seed_places_the_fixtures(blind, trial) -> None:
    """Two seeds with one official state differ in where the cabinet stands; NumPy's own generator is left alone."""
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the generator that robosuite uses
    _, info = blind.reset(seed=SEED + 50)
    after = np.random.get_state()[1]  # noqa: NPY002 - same
    assert SEED == info["init_state"]
    assert not np.array_equal(trial[1][0].fixture_positions_m, blind.get_state().fixture_positions_m)
    np.testing.assert_array_equal(before, after)


def test_demonstrations_begin_between_official_states(blind) -> None:
    """Their objects lie elsewhere than in any official state, within the rectangle that those fill; a seed repeats."""
    blind.reset(seed=0)
    model = blind.world().simulation.model
    official = np.stack([objects_m(model, state[1:]) for state in init_states(SUITE, TASK)[NUM_TRIAL_STATES:]])
    places = []
    for seed in (FIRST_DEMO_SEED, FIRST_DEMO_SEED + 1, FIRST_DEMO_SEED):
        _, info = blind.reset(seed=seed)
        assert info["init_state"] is None
        places.append(objects_m(model, blind.world().simulation.data.qpos))
    assert (places[0] >= official.min(axis=0) - 0.01).all()
    assert (places[0] <= official.max(axis=0) + 0.01).all()
    assert np.abs(official - places[0]).max(axis=(1, 2)).min() > 1e-3
    assert np.abs(places[1] - places[0]).max() > 1e-3
    np.testing.assert_array_equal(places[0], places[2])


def objects_m(model, joints):
    """Where the objects of a scene lie, shape (k, 2) [m]."""
    free = np.flatnonzero(model.jnt_type == mujoco.mjtJoint.mjJNT_FREE)
    return np.stack([joints[model.jnt_qposadr[joint] :][:2] for joint in free])


def test_twenty_drawn_steps(drawn, trial) -> None:
    """With pictures the physics are the same to the last bit, and the last picture is the one in the repository."""
    observations, states = roll_out(drawn)
    assert digest(trial[1]) == digest(states)
    for step, observation in enumerate(observations):
        assert (128, 128, 3) == observation.images[AGENTVIEW].shape
        assert step / 20 == pytest.approx(observation.stamp_s)
    stored = images.decode(golden.PICTURE.read_bytes())
    difference = np.abs(observations[-1].images[AGENTVIEW].astype(int) - stored)
    assert difference.mean() < 1.5  # graphics drivers differ at edges; one step earlier is further off
    assert difference.mean() < np.abs(observations[-6].images[AGENTVIEW].astype(int) - stored).mean()


def test_a_picture_is_drawn_when_it_is_looked_at_and_shows_its_own_moment(drawn, trial, monkeypatch) -> None:
    """Looked at after the arm went on, or another seed placed the fixtures anew, it is what a look at once gives."""
    drawings: list[object] = []
    draw = drawn._renderer.render
    monkeypatch.setattr(drawn._renderer, "render", lambda *seen: drawings.append(seen) or draw(*seen))
    at_once = [drawn.reset(seed=SEED)[0].images[AGENTVIEW]]
    at_once += [drawn.step(action)[0].images[AGENTVIEW] for action in golden_actions()[:5]]
    drawings.clear()
    late = [drawn.reset(seed=SEED)[0]]
    late += [drawn.step(action)[0] for action in golden_actions()[:5]]
    assert [] == drawings
    np.testing.assert_array_equal(at_once[3], late[3].images[AGENTVIEW])
    assert 1 == len(drawings)
    late = late[:1]  # who holds a picture can look at it; the others will never be drawn
    drawn.reset(seed=SEED + 50)
    assert 3 == len(drawings)  # of both cameras
    np.testing.assert_array_equal(at_once[0], late[0].images[AGENTVIEW])
    elsewhere = drawn.reset(seed=SEED + 50)[0].images[AGENTVIEW]
    assert not np.array_equal(at_once[0], elsewhere)
    held, _ = drawn.reset(seed=SEED + 50)
    drawn.set_state(trial[1][0])
    np.testing.assert_array_equal(elsewhere, held.images[AGENTVIEW])


def test_a_trial_without_pictures_is_drawn_afterwards_and_continued(drawn, blind, trial) -> None:
    """States of a blind trial give the pictures of a drawn one in a drawing environment, and go on to the last bit."""
    states = trial[1]
    seen = [drawn.set_state(pickle.loads(pickle.dumps(state))) for state in (states[12], states[5])]  # noqa: S301 - ours
    assert digest([states[5]]) == digest([drawn.get_state()])
    actions = golden_actions()
    for step in range(5, 12):
        last, *_ = drawn.step(actions[step])
        assert digest([states[step + 1]]) == digest([drawn.get_state()])
    np.testing.assert_array_equal(seen[0].images[AGENTVIEW], last.images[AGENTVIEW])
    np.testing.assert_array_equal(seen[0].proprio.ee_position_m, trial[0][12].proprio.ee_position_m)
    assert {} == blind.set_state(states[3]).images


def test_it_terminates_when_the_goal_holds(blind) -> None:
    """The bowl, put on the plate by hand, ends the trial with reward 1 at the first step; before, none does."""
    blind.reset(seed=0)
    _, reward, terminated, truncated, info = blind.step(REST)
    assert (0.0, False, False, False) == (reward, terminated, truncated, info["success"])
    put_on_plate(blind)
    _, reward, terminated, truncated, info = blind.step(REST)
    assert (1.0, True, False, True) == (reward, terminated, truncated, info["success"])


def put_on_plate(env: LiberoEnv) -> None:
    """Move the bowl of the task onto the plate, at rest."""
    data = env.world().simulation.data
    plate = data.body("plate_1_main").xpos
    data.joint("akita_black_bowl_1_joint0").qpos[:3] = plate + np.array([0.0, 0.0, 0.008])
    data.joint("akita_black_bowl_1_joint0").qvel[:] = 0.0


def test_a_push_asks_for_more_than_a_step_can_do(blind) -> None:
    """Five full pushes along x move the arm by about 4 cm, not 25, along x alone: each adds to the measured pose."""
    start, _ = blind.reset(seed=0)
    for _ in range(5):
        observation, *_ = blind.step(Action([0.05, 0, 0], np.zeros(3), 1.0, FRAME))
    moved = observation.proprio.ee_position_m - start.proprio.ee_position_m
    assert 0.02 < moved[0] < 0.06
    assert np.abs(moved[1:]).max() < 0.01


def test_the_gripper_closes_and_opens(blind) -> None:
    """Told to close, the fingers are together after 20 steps; told to open, apart again after 20 more."""
    blind.reset(seed=0)
    openings = []
    for goal in (0.0, 1.0):
        for _ in range(20):
            observation, *_ = blind.step(Action(np.zeros(3), np.zeros(3), goal, FRAME))
        openings.append(observation.proprio.gripper_opening)
    assert openings[0] < 0.1
    assert openings[1] > 0.9


def test_it_is_made_by_name_and_used_in_order() -> None:
    """By its suite's protocol, within its limits; before a reset and after a close there is nothing to step or ask."""
    suite = find_suite("libero_object")
    env = make_env(suite, suite.task("pick_up_the_milk_and_place_it_in_the_basket"), render=False)
    assert isinstance(env, LiberoEnv)
    for use in (lambda: env.step(REST), env.get_state, env.world):
        with pytest.raises(EnvError, match="reset"):
            use()
    observation, _ = env.reset(seed=0)
    decision = SafetyFilter(suite.limits, env.contract).filter(
        REST, stamp_s=0.0, now_s=0.0, ee_position_m=observation.proprio.ee_position_m
    )
    assert isinstance(decision, SafeAction)
    assert () == decision.limited_by
    assert (0, 3) == env.get_state().fixture_positions_m.shape  # a scene without fixtures has a state, too
    env.close()
    with pytest.raises(EnvError, match="closed"):
        env.reset(seed=0)


def test_unknown_tasks_are_refused_before_anything_is_loaded() -> None:
    """A task of another suite is refused with the suite's own."""
    with pytest.raises(EnvError, match="put_the_bowl_on_the_stove"):
        LiberoEnv("libero_goal", TASK)


def test_the_contract_names_what_is_drawn(drawn) -> None:
    """Two cameras of the drawn size, to be turned by the pipeline."""
    assert drawn.contract.cameras == tuple(
        CameraSpec(name, 128, 128, rotate_180=True, resampling="lanczos3") for name in (AGENTVIEW, WRIST)
    )
    assert (
        "pick up the black bowl in the top drawer of the wooden cabinet and place it on the plate" == drawn.instruction
    )
    assert "libero_spatial" == SUITE
