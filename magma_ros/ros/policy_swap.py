"""Another policy in the place of the one that acts, while the node runs; and back again when the new one does badly.

Loading, gate and first inference run on a thread, beside the policy that acts. Everything else runs on the executor's
thread, one step of it fifty times a second: the arm is held until it rests, the policies change places, the motion node
gets a moment to hear of the new contract, and then pictures are acted on again. The policy that went stays loaded.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import rclpy.task
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node

from magma_ros.errors import ContractError
from magma_ros.msg import MotionStatus
from magma_ros.ros.acting import Acting, ActingPolicy
from magma_ros.ros.arm_rest import ArmRest
from magma_ros.ros.diagnostics import Diagnostics, Level
from magma_ros.ros.inference_worker import Answer
from magma_ros.ros.interface import SWAP_POLICY
from magma_ros.ros.policy_loader import PolicyLoader, Prepare
from magma_ros.ros.policy_setup import Setup
from magma_ros.ros.spin import keep_quick
from magma_ros.ros.swap_trial import SwapTrial, TrialBound
from magma_ros.srv import SwapPolicy
from magma_ros.stops import Stop, StopReason
from magma_ros.types import SafeAction

PREVIOUS = "previous"
"""Asks for the policy before the last swap."""

_REST_TIMEOUT_S = 5.0
"""Longest wait for the arm to come to rest [s]."""

_SETTLE_S = 0.2
"""What the motion node gets to hear of the new contract, before the first action that it means [s]."""


class _Phase(Enum):
    IDLE = "idle"
    LOADING = "loading"
    RESTING = "coming to rest"
    SETTLING = "settling"


@dataclass(slots=True)
class _Swap:
    """The swap under way.

    Attributes:
        name: What was asked for.
        began_s: When its phase began, by `time.monotonic` [s].
        answer: Gets why it was refused, or an empty text; None when nobody asked for it.
        arriving: What takes over, once it is loaded.
        why: What sends the acting policy away, if it does badly.
    """

    name: str
    began_s: float
    answer: rclpy.task.Future | None = None
    arriving: ActingPolicy | None = None
    why: str = ""


class PolicySwap:
    """Offers the service; `watch` does the work."""

    def __init__(
        self,
        node: Node,
        *,
        acting: Acting,
        diagnostics: Diagnostics,
        prepare: Prepare,
        announce: Callable[[Setup, str], None],
    ) -> None:
        """Swap what `acting` acts with.

        Args:
            node: Who offers the service.
            acting: It is paused while policies change places.
            diagnostics: Told of every swap.
            prepare: Loads a checkpoint, once there is room for it, and asks it once; called on a thread of its own.
            announce: Tells the graph whose policy acts from now on, and a sentence about why.
        """
        self._logger, self._diagnostics = node.get_logger(), diagnostics
        self._acting, self._announce = acting, announce
        self._bound = TrialBound(0, 1.0)
        self._phase, self._swap = _Phase.IDLE, _Swap("", 0.0)
        self._previous: ActingPolicy | None = None
        self._failed: ActingPolicy | None = None
        self._trial: SwapTrial | None = None
        self._loader = PolicyLoader(prepare, log_error=self._logger.error)
        self._rest = ArmRest()
        acting.on_step = self._on_step
        # A group of its own: a callback that waits for its answer would block every other one of its group.
        self._group = ReentrantCallbackGroup()
        node.create_service(SWAP_POLICY.interface, SWAP_POLICY.name, self._on_request, callback_group=self._group)

    def configure(self, bound: TrialBound) -> None:
        """Watch the first steps of each new policy by `bound`, from the next swap on."""
        self._bound = bound

    def hear(self, message: MotionStatus) -> None:
        """What the motion node says: whether the arm moves, and what it refused."""
        self._rest.hear(message)
        if self._trial is not None and self._phase is _Phase.IDLE:
            self._trial.hear(message.num_refused)

    def watch(self) -> None:
        """Go on with the swap under way, or look how the new policy does; called often, on the executor's thread."""
        if self._phase is _Phase.IDLE:
            self._judge()
        elif self._phase is _Phase.LOADING:
            self._take_loaded()
        elif self._phase is _Phase.RESTING:
            self._change_places()
        elif time.monotonic() - self._swap.began_s >= _SETTLE_S:
            self._finish("")

    def forget(self, why: str) -> None:
        """Refuse the swap under way, and release what is loaded beside the policy that acts."""
        if self._phase is not _Phase.IDLE:
            self._refuse(why)
        self._release_previous()
        self._trial = None

    # The service

    async def _on_request(self, request: SwapPolicy.Request, response: SwapPolicy.Response) -> SwapPolicy.Response:
        why = self._refusal(request.checkpoint)
        if not why:
            answer = rclpy.task.Future()
            self._begin(request.checkpoint, answer)
            why = await answer
        response.accepted = not why
        response.message = why or f"{self._acting.setup.checkpoint} acts"
        if why:
            self._logger.warning(f"swap refused: {why}")  # noqa: G004  rclpy formats nothing itself
        return response

    def _refusal(self, name: str) -> str:
        """Why no swap can begin now; empty when one can."""
        if not self._acting.is_loaded:
            return "the policy node is not configured: configure it with the checkpoint instead"
        if self._phase is not _Phase.IDLE:
            return f"another swap is under way, to {self._swap.name!r} ({self._phase.value})"
        if name == PREVIOUS:
            return "" if self._previous is not None else "no policy was swapped out, or it is not loaded any more"
        if not name.strip():
            return f"checkpoint: expected a folder, a name, a hub id, a server's address or {PREVIOUS!r}, got none"
        if self._trial is not None and not self._trial.is_over:
            return (
                f"{self._acting.setup.checkpoint} is on trial ({self._trial}): "
                f"ask for {PREVIOUS!r} first, or wait until it is over"
            )
        return ""

    def _begin(self, name: str, answer: rclpy.task.Future) -> None:
        self._swap = _Swap(name, time.monotonic(), answer)
        if name == PREVIOUS:
            self._come_to_rest(self._previous)
            return
        self._logger.info(f"swap to {name}: loading; the present policy acts on")  # noqa: G004  same
        self._trial = None
        self._loader.begin(name, make_room=self._release_previous)  # never more than two in memory
        self._phase = _Phase.LOADING

    # Phase by phase

    def _take_loaded(self) -> None:
        loaded = self._loader.result()
        if isinstance(loaded, str):
            self._refuse(loaded)
        elif loaded is not None:
            try:
                self._acting.setup.contract.require_same_motion(loaded.contract, who=loaded.checkpoint)
            except ContractError as error:
                loaded.policy.close()
                self._refuse(str(error))
                return
            self._come_to_rest(self._acting.start(loaded))

    def _come_to_rest(self, arriving: ActingPolicy | None) -> None:
        assert arriving is not None
        self._swap.arriving, self._swap.began_s = arriving, time.monotonic()
        self._phase = _Phase.RESTING
        self._acting.paused = f"{self._swap.why or 'a swap was asked for'}; {arriving.setup.checkpoint} takes over"

    def _change_places(self) -> None:
        began_s = self._swap.began_s
        if not self._rest.has_lasted(since_s=began_s, last_step_s=self._acting.setup.contract.control_period_s):
            if time.monotonic() - began_s > _REST_TIMEOUT_S and not self._swap.why:
                self._refuse(f"the motion node did not say within {_REST_TIMEOUT_S} s that the arm rests")
            return
        arriving, self._swap.arriving = self._swap.arriving, None
        assert arriving is not None
        leaving = self._acting.exchange(arriving)
        is_proven = arriving is self._previous and arriving is not self._failed
        self._trial = None if is_proven or not self._bound.num_steps else SwapTrial(self._bound)
        self._previous, self._failed = leaving, leaving if self._swap.why else None
        self._tell(arriving.setup, self._swap.why or f"in the place of {leaving.setup.checkpoint}")
        keep_quick()
        self._phase, self._swap.began_s = _Phase.SETTLING, time.monotonic()

    def _judge(self) -> None:
        """Send a policy on trial away that does badly, and end the trial of one that did well."""
        trial = self._trial
        if trial is None:
            return
        if trial.has_failed and self._previous is not None:
            why = f"{self._acting.setup.checkpoint} was sent back: {trial}"
            self._swap = _Swap(PREVIOUS, time.monotonic(), why=why)
            self._come_to_rest(self._previous)
        elif trial.is_over:
            self._logger.info(f"{self._acting.setup.checkpoint} passed its trial: {trial}")  # noqa: G004  same
            self._trial = None

    def _on_step(self, decision: SafeAction | Stop, answer: Answer | None) -> None:
        if self._trial is not None and self._phase is _Phase.IDLE and not self._trial.is_over:
            self._trial.step(decision, answered=answer is not None and _was_asked(answer, decision))

    # How it ends

    def _refuse(self, why: str) -> None:
        """The old policy acts on; what was loaded for nothing is released."""
        if self._swap.arriving is not self._previous:
            self._release(self._swap.arriving)
        self._loader.abandon()
        self._diagnostics.count("policy swaps", "refused")
        self._finish(why)

    def _finish(self, why: str) -> None:
        self._phase, self._acting.paused = _Phase.IDLE, ""
        if self._swap.answer is not None:
            self._swap.answer.set_result(why)

    def _tell(self, setup: Setup, why: str) -> None:
        self._announce(setup, why)
        if self._swap.why:
            self._logger.error(f"{setup.checkpoint} acts again: {why}")  # noqa: G004  same
            self._diagnostics.count("policy swaps", "sent back")
        else:
            self._logger.info(f"{setup.checkpoint} acts, {why}")  # noqa: G004  same
        self._diagnostics.level(Level.WARN if self._swap.why else Level.OK, f"{setup.checkpoint} acts: {why}")

    def _release_previous(self) -> None:
        previous, self._previous, self._failed = self._previous, None, None
        self._release(previous)

    def _release(self, policy: ActingPolicy | None) -> None:
        if policy is not None and not policy.close():
            self._logger.error(f"{policy.setup.checkpoint}: the inference under way did not end")  # noqa: G004  same


def _was_asked(answer: Answer, decision: SafeAction | Stop) -> bool:
    """Not for a picture that was too old before anybody was asked about it."""
    is_stale = isinstance(decision, Stop) and decision.reason is StopReason.STALE_OBSERVATION
    return answer.chunk is not None or not is_stale
