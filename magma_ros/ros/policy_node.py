"""The policy as a lifecycle node: pictures and an instruction in, end-effector displacements out; wiring only."""

from __future__ import annotations

import sys
import traceback

from geometry_msgs.msg import PoseStamped
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from sensor_msgs.msg import Image, JointState

from magma_ros.errors import MagmaRosError, PolicyError
from magma_ros.policies import open_policy
from magma_ros.ros import conversions, interface
from magma_ros.ros.goal import Ending, Outcome
from magma_ros.ros.inference_worker import Answer, InferenceWorker, Job
from magma_ros.ros.instruction_server import InstructionServer
from magma_ros.ros.parameters import declare, refuse_changes, values
from magma_ros.ros.policy_setup import LoadPolicy, Setup, build
from magma_ros.ros.spin import run
from magma_ros.ros.status import StatusReporter
from magma_ros.types import SafeAction, Stop, StopReason

_WATCHDOG_PERIOD_S = 0.1
_DONE, _FAILED = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class PolicyNode(LifecycleNode):
    """Loads on configure, commands only while active, and holds the arm by sending nothing."""

    def __init__(self, *, load: LoadPolicy = open_policy) -> None:
        """Declare the graph; with the parameter `autostart`, configure and activate too.

        Raises:
            PolicyError: `autostart` is set and the node could not become active.
        """
        super().__init__("policy_node")
        self._load = load
        self._setup: Setup | None = None
        self._worker: InferenceWorker | None = None
        self._is_active = False
        self._last_step_s = 0.0
        declare(self, interface.POLICY_PARAMETERS)
        refuse_changes(self, interface.POLICY_PARAMETERS, when=self._parameter_lock)
        self._status = StatusReporter(self)
        self._commands = interface.EE_DELTA.managed_publisher(self)
        self._chunks = interface.ACTION_CHUNK.managed_publisher(self)
        interface.JOINTS.subscribe(self, self._on_measured_state)
        interface.EE_POSE.subscribe(self, self._on_measured_state)
        interface.CAMERA.subscribe(self, self._on_picture)
        self._answered = self.create_guard_condition(self._on_answers)
        self._instructions = InstructionServer(
            self, refusal=self._refusal, now_s=self._now_s, on_change=self._on_assignment
        )
        self.create_timer(_WATCHDOG_PERIOD_S, self._watch)
        self._status.unconfigured()
        if self.get_parameter("autostart").value:
            self._start_by_itself()

    # Lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:  # noqa: ARG002  rclpy's signature
        """Load the checkpoint; a refused one leaves the node unconfigured and says why in the log and the status."""
        parameters = values(self, interface.POLICY_PARAMETERS)
        try:
            self._setup = build(parameters, load=self._load)
        except MagmaRosError as error:
            self.get_logger().error(f"not configured: {error}")
            self._status.unconfigured(str(error))
            return _FAILED
        except BaseException:  # rclpy would drop the traceback
            self.get_logger().error(f"not configured:\n{traceback.format_exc()}")
            raise
        self._instructions.max_consecutive_stops = parameters["max_consecutive_stops"]
        self._worker = InferenceWorker(
            self._setup.controller, now_s=self._now_s, wake=self._answered.trigger, log_error=self.get_logger().error
        )
        contract = self._setup.policy.contract
        self.get_logger().info(f"loaded {self._setup.checkpoint}: {contract}")
        self._status.loaded(self._setup.checkpoint, fingerprint=self._setup.fingerprint, frame=contract.frame)
        return _DONE

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Take instructions; follow the parameter `instruction` if there is one."""
        super().on_activate(state)
        self._is_active = True
        self._status.idle()
        instruction = self.get_parameter("instruction").value
        if instruction:
            self._instructions.follow(instruction)
        return _DONE

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop acting: the arm holds, because nothing is sent."""
        self._stop_acting("the node was deactivated")
        self._status.idle("inactive")
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:  # noqa: ARG002  rclpy's signature
        """Release the checkpoint."""
        self._release()
        self._status.unconfigured()
        return _DONE

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:  # noqa: ARG002  rclpy's signature
        """Stop acting and release the checkpoint, from whatever state."""
        self.close()
        return _DONE

    def close(self) -> None:
        """Stop acting and end the worker, before the node is destroyed."""
        self._stop_acting("the node is shutting down")
        self._release()
        self._status.unconfigured("the node is shutting down")

    # Ticks: a picture starts one, its answer ends it

    def _on_measured_state(self, message: JointState | PoseStamped) -> None:
        if self._setup is not None:
            self._setup.observer.keep(message)

    def _on_picture(self, message: Image) -> None:
        assignment, setup = self._instructions.current, self._setup
        if assignment is None or setup is None or self._worker is None:
            return
        seen = setup.observer.observe(message, instruction=assignment.instruction)
        if isinstance(seen, Stop):
            self._step(seen)
        else:
            self._worker.submit(Job(seen, message.header.stamp, assignment.epoch))

    def _on_answers(self) -> None:
        while self._worker is not None and (answer := self._worker.take_answer()) is not None:
            assignment, setup = self._instructions.current, self._setup
            if assignment is None or setup is None or assignment.epoch != answer.job.epoch:
                continue
            age_s = self._now_s() - answer.job.observation.stamp_s
            self._status.inference_s, self._status.observation_age_s = answer.inference_s, age_s
            self._step(answer.if_fresh(age_s=age_s, max_age_s=setup.max_observation_age_s), answer)

    def _step(self, decision: SafeAction | Stop, answer: Answer | None = None) -> None:
        assert self._setup is not None
        command = None
        if answer is not None and answer.chunk is not None:
            contract = self._setup.policy.contract
            self._chunks.publish(conversions.chunk_message(answer.chunk, contract=contract, stamp=answer.job.stamp))
        if answer is not None and isinstance(decision, SafeAction):
            command = conversions.action_message(decision.action, stamp=answer.job.stamp)
            self._commands.publish(command)
        self._last_step_s = self._now_s()
        self._instructions.record(decision, command=command, inference_s=answer.inference_s if answer else 0.0)
        if self._instructions.current is not None:
            self._status.stepped(self._instructions.current, decision)

    def _watch(self) -> None:
        self._instructions.check_deadline()
        if self._instructions.current is None or self._setup is None:
            return
        silent_s = self._now_s() - self._last_step_s
        if silent_s > self._setup.max_observation_age_s:
            self._step(Stop(StopReason.NO_OBSERVATION, f"no picture was answered for {silent_s:.2f} s"))

    def _on_assignment(self, ending: Ending | None) -> None:
        self._last_step_s = self._now_s()
        if ending is not None:
            self._status.ended(ending)
        elif self._instructions.current is not None:
            self._status.began(self._instructions.current)

    def _stop_acting(self, why: str) -> None:
        self._is_active = False
        self._instructions.end(Ending(Outcome.STOPPED, why))

    def _release(self) -> None:
        if self._worker is not None and not self._worker.close():
            self.get_logger().error("the inference under way did not end")
        if self._setup is not None:
            self._setup.policy.close()
        self._setup = self._worker = None

    def _refusal(self) -> str:
        return "" if self._is_active else "the policy node is not active: configure and activate it first"

    def _parameter_lock(self) -> str:
        return "" if self._setup is None else "takes effect on configure, clean up first"

    def _start_by_itself(self) -> None:
        if self.trigger_configure() != _DONE or self.trigger_activate() != _DONE:
            raise PolicyError("autostart: the policy node could not become active; the reason is in the log above")

    def _now_s(self) -> float:
        return conversions.seconds(self.get_clock().now().to_msg())


def main() -> int:
    """Run the policy node until SIGINT or SIGTERM; returns the exit status."""
    return run(PolicyNode)


if __name__ == "__main__":
    sys.exit(main())
