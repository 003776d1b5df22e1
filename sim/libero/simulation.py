"""One LIBERO task in robosuite, state only: reset to an official state, step, and states that can be kept.

Everything in LIBERO and robosuite that would make a seed mean something else the second time is undone here:

* the model is loaded once: each further load doubles the samplers of drawers and knobs, so that the same seed would
  place the fixtures elsewhere (`hard_reset=False`);
* NumPy's global generator, which places the fixtures, is seeded for each reset and given back as it was;
* the gripper's rate-limited command survives a soft reset and is zeroed;
* the solver's warm start survives the placing of the official state and is zeroed;
* upstream's wrapper swallows every exception of a reset and tries for ever: it is not used for resets.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import mujoco
import numpy as np

from magma_ros.errors import EnvError
from magma_ros.sim.bridge.gl import require_gl
from magma_ros.sim.libero.guard import require_libero
from magma_ros.sim.libero.resources import init_states, problem_file
from magma_ros.sim.suites import FIRST_DEMO_SEED
from magma_ros.types import FloatArray, frozen_array

PICTURE_STEP = 24
"""robosuite takes its pictures after this one of a control step's 25 physics steps, with the geometry of its beginning.

Its sampling clock is updated twice before the first step (reset, official state), ticks 25 times a step and comes round
on the 23rd tick; the next one samples. So upstream's picture is 4 ms older than the state that it comes with.
"""
NUM_TRIAL_STATES = 10
"""Official states, from the first, that demonstrations leave to trials: published results are of so many."""
_MAX_PLACEMENTS = 100
_STATE_SPEC = mujoco.mjtState.mjSTATE_INTEGRATION


@dataclass(frozen=True, slots=True)
class Sight:
    """What a picture depends on: the joints at the moment it shows, and which of the stoves' rings glow.

    Attributes:
        joints: `qpos`, shape (nq,).
        site_alpha: Opacity of every site, shape (nsite,).
    """

    joints: FloatArray
    site_alpha: FloatArray


@dataclass(frozen=True, slots=True)
class LiberoState:
    """Everything that the next step and the present picture depend on; about 5 kB.

    Attributes:
        physics: MuJoCo's integration state with the solver's warm start, shape (n,).
        fixture_positions_m, fixture_quats_wxyz: Where cabinet, stove … were placed, shapes (k, 3) and (k, 4).
        gripper_command: The fingers' rate-limited command, shape (2,).
        goal_position_m, goal_rotation: What the arm's controller goes to, in the world, shapes (3,) and (3, 3).
        sight: What the picture shows.
        num_steps: Control steps since the reset.
    """

    physics: FloatArray
    fixture_positions_m: FloatArray
    fixture_quats_wxyz: FloatArray
    gripper_command: FloatArray
    goal_position_m: FloatArray
    goal_rotation: FloatArray
    sight: Sight
    num_steps: int


class Simulation:
    """A LIBERO scene without a camera.

    Attributes:
        model, data: MuJoCo's, owned by robosuite; whoever reads them writes nothing.
        domain: LIBERO's environment, for its predicates and names.
    """

    def __init__(self, suite: str, task: str) -> None:
        require_libero()
        require_gl()  # robosuite imports an OpenGL library whether or not something is drawn
        self._init_states = init_states(suite, task)
        with _seeded(0):
            self.domain = _load(str(problem_file(suite, task)))
        self.model: mujoco.MjModel = self.domain.sim.model._model  # noqa: SLF001 - the wrapper lacks what states need
        self.data: mujoco.MjData = self.domain.sim.data._data  # noqa: SLF001 - same
        self.robot = self.domain.robots[0]
        fixtures = [self.domain.obj_body_id[name] for name in sorted(self.domain.fixtures_dict)]
        self._fixtures = np.array(fixtures, dtype=np.intp)
        self.domain._observables.clear()  # noqa: SLF001 - 40 sensors, asked 25 times a step, that nobody reads
        self.domain._pre_action = partial(self._before_physics, self.domain._pre_action)  # noqa: SLF001 - see PICTURE_STEP
        self._physics_step = 0
        self._seen_joints = self.data.qpos.copy()
        self.sight = self._present_sight()
        self.num_steps = 0

    def reset(self, *, seed: int) -> int | None:
        """Fixtures placed by `seed`, everything else in an official state; the index of that state.

        From `FIRST_DEMO_SEED` on the objects lie between two official states that no trial of ten uses: None.

        Raises:
            EnvError: no place was found for the objects.
        """
        with _seeded(seed):
            self._place()
        index = None if seed >= FIRST_DEMO_SEED else seed % len(self._init_states)
        time_and_joints = self._between_states(seed) if index is None else self._init_states[index]
        nq = self.model.nq
        self.data.time = time_and_joints[0]
        self.data.qpos[:], self.data.qvel[:] = time_and_joints[1 : 1 + nq], time_and_joints[1 + nq :]
        self.data.qacc_warmstart[:] = 0.0
        self._refresh()
        self.domain._post_process()  # noqa: SLF001 - upstream's wrapper does so: lights the rings of a stove that is on
        self.sight = self._present_sight()
        self.num_steps = 0
        return index

    def step(self, osc: Sequence[float] | FloatArray) -> bool:
        """One control step of upstream's, 25 of physics; whether the goal's predicates hold after it."""
        alpha = self._site_alpha()
        *_, success, _ = self.domain.step(np.asarray(osc, dtype=np.float64))
        self.sight = Sight(self._seen_joints, alpha)
        self.num_steps += 1
        self._refresh()
        return bool(success)

    def get_state(self) -> LiberoState:
        """The present state; a value of its own."""
        controller = self.robot.controller
        return LiberoState(
            physics=self._physics(),
            fixture_positions_m=_kept(self.model.body_pos[self._fixtures]),
            fixture_quats_wxyz=_kept(self.model.body_quat[self._fixtures]),
            gripper_command=_kept(self.robot.gripper.current_action),
            goal_position_m=_kept(controller.goal_pos),
            goal_rotation=_kept(controller.goal_ori),
            sight=self.sight,
            num_steps=self.num_steps,
        )

    def set_state(self, state: LiberoState) -> None:
        """Continue from `state`, which may come from another simulation of the same task."""
        self.model.body_pos[self._fixtures] = state.fixture_positions_m
        self.model.body_quat[self._fixtures] = state.fixture_quats_wxyz
        mujoco.mj_setState(self.model, self.data, state.physics.copy(), _STATE_SPEC)
        self._refresh()
        self.robot.gripper.current_action = state.gripper_command.copy()
        controller = self.robot.controller
        controller.goal_pos, controller.goal_ori = state.goal_position_m.copy(), state.goal_rotation.copy()
        controller.new_update = True
        self.domain._post_process()  # noqa: SLF001 - as after a step
        self.sight, self.num_steps = state.sight, state.num_steps

    def goal_holds(self) -> bool:
        """Whether all predicates of the task's goal are true now."""
        return bool(self.domain._check_success())  # noqa: SLF001 - upstream's only way to ask

    def close(self) -> None:
        """Free robosuite's simulation."""
        self.domain.close()

    def _place(self) -> None:
        from robosuite.utils.errors import RandomizationError  # noqa: PLC0415 - LIBERO is an extra

        self.robot.gripper.current_action = np.zeros(2)
        for _ in range(_MAX_PLACEMENTS):
            with contextlib.suppress(RandomizationError):  # objects that collide: upstream draws again, too
                self.domain.reset()
                return
        raise EnvError(f"LIBERO found no place for the objects in {_MAX_PLACEMENTS} draws")

    def _between_states(self, seed: int) -> FloatArray:
        """An official state whose objects are moved towards where they lie in another one, each by the same share.

        Each object's places fill a rectangle of the task's, so that it stays in there, and on what it stands on.
        """
        generator = np.random.default_rng(seed)
        numbers = generator.choice(np.arange(NUM_TRIAL_STATES, len(self._init_states)), 2, replace=False)
        one, other = (self._init_states[number] for number in numbers)
        mixed, share = np.array(one), generator.uniform()
        for joint in np.flatnonzero(self.model.jnt_type == mujoco.mjtJoint.mjJNT_FREE):
            first = 1 + int(self.model.jnt_qposadr[joint])  # the time comes before the joints
            place = slice(first, first + 3)
            mixed[place] += share * (other[place] - one[place])
        return mixed

    def _before_physics(self, act: Any, action: Any, policy_step: bool = False) -> None:  # noqa: FBT001, FBT002 - upstream's
        self._physics_step = 1 if policy_step else self._physics_step + 1
        if self._physics_step == PICTURE_STEP:
            self._seen_joints = _kept(self.data.qpos)
        act(action, policy_step)

    def _refresh(self) -> None:
        """Poses and contacts of the present joints, where a step leaves those of 2 ms ago; the state stays as it is."""
        physics = self._physics().copy()
        mujoco.mj_forward(self.model, self.data)
        mujoco.mj_setState(self.model, self.data, physics, _STATE_SPEC)

    def _physics(self) -> FloatArray:
        physics = np.empty(mujoco.mj_stateSize(self.model, _STATE_SPEC))
        mujoco.mj_getState(self.model, self.data, physics, _STATE_SPEC)
        return _kept(physics)

    def _present_sight(self) -> Sight:
        return Sight(_kept(self.data.qpos), self._site_alpha())

    def _site_alpha(self) -> FloatArray:
        return _kept(self.model.site_rgba[:, 3])


def _load(problem: str) -> Any:
    """LIBERO's environment for a BDDL file, with neither window nor camera, that never ends by itself."""
    with _quietly():
        from libero.libero.envs.env_wrapper import ControlEnv  # noqa: PLC0415 - LIBERO is an extra

        return ControlEnv(
            bddl_file_name=problem,
            hard_reset=False,
            has_offscreen_renderer=False,
            use_camera_obs=False,
            ignore_done=True,
        ).env


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """NumPy's global generator as `seed` sets it, and afterwards as it was."""
    before = np.random.get_state()  # noqa: NPY002 - what robosuite draws from
    np.random.seed(seed)  # noqa: NPY002 - same
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002 - same


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Neither robosuite's advice about a private macro file and its own deprecated lines nor what LIBERO prints."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            for category in (DeprecationWarning, SyntaxWarning):
                warnings.filterwarnings("ignore", category=category, module=".*robosuite")
            yield
    finally:
        logging.disable(level)


def _kept(values: Any) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    return frozen_array(array, shape=(-1,) * array.ndim, dtype=np.float64, name="state")
