"""The status topic: what the policy node does, and why it holds the arm when it does."""

from __future__ import annotations

from rclpy.node import Node

from magma_ros.msg import PolicyStatus
from magma_ros.ros.goal import Assignment, Ending, Outcome
from magma_ros.ros.interface import STATUS
from magma_ros.types import SafeAction, Stop


class StatusReporter:
    """Publishes `PolicyStatus` in every lifecycle state, the newest one latched.

    Attributes:
        frame, checkpoint, fingerprint: Of the loaded checkpoint; empty while none is loaded.
        inference_s, observation_age_s: Of the latest tick [s]; 0 before the first one of an assignment.
    """

    def __init__(self, node: Node) -> None:
        self.frame = self.checkpoint = self.fingerprint = ""
        self.inference_s = self.observation_age_s = 0.0
        self._clock = node.get_clock()
        self._publisher = STATUS.publisher(node)

    def unconfigured(self, detail: str = "") -> None:
        """No checkpoint is loaded."""
        self.frame = self.checkpoint = self.fingerprint = ""
        self._publish(PolicyStatus(state=PolicyStatus.UNCONFIGURED, detail=detail))

    def loaded(self, checkpoint: str, *, fingerprint: str, frame: str) -> None:
        """A checkpoint was loaded; the node is inactive."""
        self.checkpoint, self.fingerprint, self.frame = checkpoint, fingerprint, frame
        self.idle("inactive")

    def idle(self, detail: str = "") -> None:
        """A checkpoint is loaded and nothing is commanded."""
        self._publish(PolicyStatus(state=PolicyStatus.IDLE, detail=detail))

    def began(self, assignment: Assignment) -> None:
        """An assignment began."""
        self.inference_s = self.observation_age_s = 0.0
        self._publish(_about(assignment, PolicyStatus(state=PolicyStatus.ACTING)))

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
        """An assignment ended; only a stop stays visible as one."""
        status = PolicyStatus(state=PolicyStatus.IDLE, detail=ending.message)
        if ending.outcome is Outcome.STOPPED:
            status.state, status.stop_reason = PolicyStatus.STOPPED, ending.reason
        self._publish(status)

    def _publish(self, status: PolicyStatus) -> None:
        status.header.stamp = self._clock.now().to_msg()
        status.header.frame_id = self.frame
        status.checkpoint, status.fingerprint = self.checkpoint, self.fingerprint
        status.inference_s, status.observation_age_s = self.inference_s, self.observation_age_s
        self._publisher.publish(status)


def _about(assignment: Assignment, status: PolicyStatus) -> PolicyStatus:
    status.instruction = assignment.instruction
    status.step, status.step_budget = assignment.num_steps, assignment.step_budget
    return status
