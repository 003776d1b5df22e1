"""The status topic: what the policy node does, and why it holds the arm when it does."""

from __future__ import annotations

import threading

import numpy as np
from rclpy.node import Node

from magma_ros.msg import PolicyStatus
from magma_ros.ros.goal import Assignment, Ending, Outcome
from magma_ros.ros.inference_worker import Answer
from magma_ros.ros.interface import STATUS
from magma_ros.stops import Stop
from magma_ros.types import SafeAction


class StatusReporter:
    """Publishes `PolicyStatus` in every lifecycle state, the newest one latched.

    Attributes:
        frame, checkpoint, fingerprint: Of the loaded checkpoint; empty while none is loaded.
        inference_s, observation_age_s: Of the latest tick [s]; 0 before the first one of an assignment.
        entropy_nats: Mean over the latest action's tokens [nat]; 0 when not known.
        lock: Held while a status is published; whoever holds it publishes an action with nothing in between.
    """

    def __init__(self, node: Node) -> None:
        self.frame = self.checkpoint = self.fingerprint = ""
        self.inference_s = self.observation_age_s = self.entropy_nats = 0.0
        self.lock = threading.RLock()
        self._clock = node.get_clock()
        self._publisher = STATUS.publisher(node)
        self._latest = PolicyStatus()

    def unconfigured(self, detail: str = "") -> None:
        """No checkpoint is loaded."""
        self.frame = self.checkpoint = self.fingerprint = ""
        self._publish(PolicyStatus(state=PolicyStatus.UNCONFIGURED, detail=detail))

    def loaded(self, checkpoint: str, *, fingerprint: str, frame: str) -> None:
        """A checkpoint was loaded; the node is inactive."""
        self.names(checkpoint, fingerprint=fingerprint, frame=frame)
        self.idle("inactive")

    def names(self, checkpoint: str, *, fingerprint: str, frame: str) -> None:
        """The next reports are about this checkpoint."""
        self.checkpoint, self.fingerprint, self.frame = checkpoint, fingerprint, frame

    def idle(self, detail: str = "") -> None:
        """A checkpoint is loaded and nothing is commanded."""
        self._publish(PolicyStatus(state=PolicyStatus.IDLE, detail=detail))

    def began(self, assignment: Assignment) -> None:
        """An assignment began."""
        self.inference_s = self.observation_age_s = self.entropy_nats = 0.0
        self._publish(_about(assignment, PolicyStatus(state=PolicyStatus.ACTING)))

    def answered(self, answer: Answer, *, observation_age_s: float) -> None:
        """The next reports tell how long `answer` took and how sure it is."""
        entropy = np.empty(0) if answer.chunk is None else answer.chunk.entropy_nats
        self.inference_s, self.observation_age_s = answer.inference_s, observation_age_s
        self.entropy_nats = float(entropy.mean()) if entropy.size else 0.0

    def stopped(self, why: str) -> None:
        """Nothing is done any more, and the arm is to rest."""
        self._publish(PolicyStatus(state=PolicyStatus.STOPPED, detail=why))

    def stepped(self, assignment: Assignment, decision: SafeAction | Stop) -> None:
        """A step of `assignment` was taken or held."""
        status = _about(assignment, PolicyStatus(state=PolicyStatus.ACTING))
        if isinstance(decision, Stop):
            status.state, status.stop_reason, status.detail = (
                PolicyStatus.STOPPED,
                decision.reason.value,
                decision.detail,
            )
        else:
            status.detail = ", ".join(decision.limited_by)
        self._publish(status)

    def ended(self, ending: Ending) -> None:
        """An assignment ended: its last action is finished when all its steps were taken, and broken off otherwise."""
        done = ending.outcome is Outcome.BUDGET_SPENT
        status = PolicyStatus(state=PolicyStatus.IDLE if done else PolicyStatus.STOPPED, detail=ending.message)
        status.stop_reason = ending.reason
        self._publish(status)

    def repeat(self) -> None:
        """The latest report once more, as a sign of life."""
        with self.lock:
            self._publish(self._latest)

    def _publish(self, status: PolicyStatus) -> None:
        with self.lock:
            status.header.stamp = self._clock.now().to_msg()
            status.header.frame_id = self.frame
            status.checkpoint, status.fingerprint = self.checkpoint, self.fingerprint
            status.inference_s, status.observation_age_s = self.inference_s, self.observation_age_s
            status.entropy_nats = self.entropy_nats
            self._latest = status
            self._publisher.publish(status)


def _about(assignment: Assignment, status: PolicyStatus) -> PolicyStatus:
    status.instruction = assignment.instruction
    status.step, status.step_budget = assignment.num_steps, assignment.step_budget
    return status
