"""One tick: an observation in, a safe action or a reason to stop out; no loop, clock, sleep or thread."""

from __future__ import annotations

from magma_ros.chunking import RecedingHorizon
from magma_ros.contract import ActionContract
from magma_ros.errors import ActionDecodeError, MagmaRosError, ServerGoneError
from magma_ros.policy import Policy
from magma_ros.safety import SafetyFilter, SafetyLimits
from magma_ros.stops import Stop, StopReason
from magma_ros.types import ActionChunk, Observation, SafeAction


class Controller:
    """A policy behind its chunking and its safety filter.

    Attributes:
        last_chunk: The newest chunk, for telemetry; None before the first.
        last_observation: The observation that `last_chunk` was computed from.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        limits: SafetyLimits,
        execution_horizon: int = 1,
        contract: ActionContract | None = None,
    ) -> None:
        """Drive an arm that allows `limits` with `policy`, executing `execution_horizon` actions of each chunk.

        Args:
            policy: Asked for chunks.
            limits: Of each action.
            execution_horizon: At least 1.
            contract: The policy's, at another rate than its own if it is asked at one.

        Raises:
            ContractError: the limits do not fit the contract.
            InvalidInputError: a horizon below 1.
        """
        contract = contract or policy.contract
        self._policy = policy
        self._safety = SafetyFilter(limits, contract)
        self._cameras = frozenset(camera.name for camera in contract.cameras)
        self._horizon = RecedingHorizon(execution_horizon, control_period_s=contract.control_period_s)
        self.last_chunk: ActionChunk | None = None
        self.last_observation: Observation | None = None

    @property
    def policy(self) -> Policy:
        """The policy that is driven."""
        return self._policy

    @property
    def limits(self) -> SafetyLimits:
        """What each action is kept within."""
        return self._safety.limits

    def reset(self) -> None:
        """Start an episode: the arm is at rest and nothing is remembered."""
        self._policy.reset()
        self._safety.reset()
        self._horizon.reset()
        self.last_chunk, self.last_observation = None, None

    def tick(self, observation: Observation | None, now_s: float) -> SafeAction | Stop:
        """What the arm does now; after a `Stop` the next tick asks the policy afresh.

        Args:
            observation: The newest one, or None when none has come.
            now_s: The present, in the clock of the observation's stamp [s].
        """
        decision = self._decide(observation, now_s)
        if isinstance(decision, Stop):
            self._safety.reset()
            self._horizon.reset()
        return decision

    def _decide(self, observation: Observation | None, now_s: float) -> SafeAction | Stop:
        if observation is None:
            return Stop(StopReason.NO_OBSERVATION, "no observation has come yet")
        if not observation.instruction.strip():
            return Stop(StopReason.NO_INSTRUCTION, "no instruction is set")
        stale = self._safety.check_age(observation.stamp_s, now_s)
        if stale is not None:
            return stale
        if self.last_observation is not None and observation.instruction != self.last_observation.instruction:
            self._horizon.reset()
        if self._horizon.needs_chunk(now_s):
            failure = self._ask(observation)
            if failure is not None:
                return failure
        action = self._horizon.next_action(now_s)
        if action is None:
            return Stop(StopReason.POLICY_FAILED, "the policy's chunk holds no action that is still due")
        assert self.last_chunk is not None
        proprio, entropy = observation.proprio, self.last_chunk.entropy_nats
        return self._safety.filter(
            action,
            stamp_s=observation.stamp_s,
            now_s=now_s,
            ee_position_m=None if proprio is None else proprio.ee_position_m,
            entropy_nats=float(entropy.mean()) if entropy.size else 0.0,
        )

    def _ask(self, observation: Observation) -> Stop | None:
        try:
            chunk = self._policy.infer(observation.seen_by(self._cameras))
            self._horizon.push(chunk)
        except ActionDecodeError as error:
            return Stop(StopReason.UNDECODABLE, str(error))
        except ServerGoneError as error:
            return Stop(StopReason.SERVER_GONE, str(error))
        except MagmaRosError as error:
            return Stop(StopReason.POLICY_FAILED, f"{type(error).__name__}: {error}")
        self.last_chunk, self.last_observation = chunk, observation
        return None
