"""What simulators and their experts look like: Gymnasium's five-tuple, typed with our observation and action."""

from __future__ import annotations

from typing import Any, Protocol

from magma_ros.contract import ActionContract
from magma_ros.types import Action, Observation


class Env(Protocol):
    """A world with one arm and one task; `Observation.stamp_s` is simulated time since `reset` [s]."""

    @property
    def contract(self) -> ActionContract:
        """What the actions that `step` accepts mean."""
        ...

    @property
    def instruction(self) -> str:
        """The sentence that the task is asked with."""
        ...

    def reset(self, *, seed: int) -> tuple[Observation, dict[str, Any]]:
        """Begin the trial of `seed`; the same seed gives the same world and the same first frame."""
        ...

    def step(self, action: Action) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """One control period: (observation, reward, terminated, truncated, info); info has "success": bool.

        Raises:
            EnvError: called before `reset` or after `close`.
            InvalidInputError: the action is not finite or is given in another frame.
        """
        ...

    def close(self) -> None:
        """Release the renderer and the physics; the environment is not used again."""
        ...


class RecordableEnv(Env, Protocol):
    """An environment whose states can be kept, so that a trial is rolled out without pictures and drawn afterwards."""

    def get_state(self) -> Any:
        """Everything that picture and physics depend on now; small, and it pickles."""
        ...

    def set_state(self, state: Any) -> Observation:
        """Go to a state that `get_state` gave in an environment of the same task; what is seen there."""
        ...


class Expert(Protocol):
    """A script that reads the state of the world; the same state gives the same action."""

    def act(self) -> Action:
        """What it would do now."""
        ...
