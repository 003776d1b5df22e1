"""The policy as a lifecycle node: pictures and an instruction in, wanted displacements out; wiring only."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from sensor_msgs.msg import CompressedImage, Image

from magma_ros import arms
from magma_ros.errors import MagmaRosError, PolicyError
from magma_ros.msg import MotionStatus
from magma_ros.policies import open_policy
from magma_ros.ros import conversions, interface
from magma_ros.ros.acting import Acting
from magma_ros.ros.camera_topics import camera_topics
from magma_ros.ros.diagnostics import Diagnostics
from magma_ros.ros.goal import Ending, Outcome
from magma_ros.ros.measured_state import MeasuredState
from magma_ros.ros.parameters import declare, refuse_changes, values
from magma_ros.ros.policy_setup import LoadPolicy, Setup, apart, build, build_beside
from magma_ros.ros.policy_swap import PolicySwap
from magma_ros.ros.polling import PolledSubscription
from magma_ros.ros.spin import keep_quick, run
from magma_ros.ros.status import StatusReporter
from magma_ros.ros.swap_trial import TrialBound
from magma_ros.ros.words import Words

_HEARTBEAT_S = 0.02
_DONE, _FAILED = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class PolicyNode(LifecycleNode):
    """Loads on configure and acts only while active; the motion node is who commands the arm."""

    def __init__(self, *, load: LoadPolicy = open_policy) -> None:
        """Declare the graph; with the parameter `autostart`, configure and activate too.

        Raises:
            ArmConfigError: there is no such arm, or its file has faults.
            PolicyError: `autostart` is set and the node could not become active.
        """
        super().__init__("policy_node")
        self._load = load
        self._is_active, self._halted = False, ""
        declare(self, interface.POLICY_PARAMETERS)
        refuse_changes(self, interface.POLICY_PARAMETERS, when=self._parameter_lock)
        parameters = values(self, interface.POLICY_PARAMETERS)
        self._arm = arms.load(parameters["arm"])
        self._status = StatusReporter(self)
        diagnostics = Diagnostics(self, hardware_id=self._arm.name)
        self._acting = Acting(self, status=self._status, diagnostics=diagnostics, refusal=self._refusal)
        self._configured: dict[str, Any] = {}
        self._swap = PolicySwap(
            self, acting=self._acting, diagnostics=diagnostics, prepare=self._prepare, announce=self._on_swap
        )
        self._contracts = interface.ACTION_CONTRACT.publisher(self)
        self._measured = MeasuredState(self._arm)
        self._measured.subscribe(self)
        self._words = Words(self, arm=self._arm, acting=self._acting, measured=self._measured, diagnostics=diagnostics)
        transport = {name: parameters[name] for name in ("camera_topic", "image_transport")}
        for camera, topic in camera_topics(self._arm, **transport).items():
            topic.subscribe(self, partial(self._see, camera))
        self._motion_status = PolledSubscription(self, interface.MOTION_STATUS, self._on_motion_status)
        self.create_timer(_HEARTBEAT_S, self._watch, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._status.unconfigured()
        if parameters["autostart"] and (self.trigger_configure() != _DONE or self.trigger_activate() != _DONE):
            raise PolicyError("autostart: the policy node could not become active; the reason is in the log above")

    # Lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:  # noqa: ARG002  rclpy's signature
        """Load the checkpoint; a refused one leaves the node unconfigured and says why in the log and the status."""
        parameters = values(self, interface.POLICY_PARAMETERS)
        try:
            setup = build(parameters, arm=self._arm, measured=self._measured, load=self._load)
        except MagmaRosError as error:
            self.get_logger().error(f"not configured: {error}")
            self._status.unconfigured(str(error))
            return _FAILED
        except BaseException:  # rclpy would drop the traceback
            self.get_logger().error(f"not configured:\n{traceback.format_exc()}")
            raise
        self._acting.load(setup, max_consecutive_stops=parameters["max_consecutive_stops"])
        self._swap.configure(TrialBound(parameters["swap_trial_steps"], parameters["swap_max_bad_share"]))
        self._words.configure(parameters)
        self._configured = parameters
        keep_quick()
        self._contracts.publish(conversions.contract_message(setup.contract))
        self.get_logger().info(f"loaded {setup.checkpoint}: {setup.contract}")
        self._status.loaded(setup.checkpoint, fingerprint=setup.fingerprint, frame=setup.contract.frame)
        return _DONE

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Take instructions; follow the parameter `instruction` if there is one."""
        super().on_activate(state)
        self._is_active = True
        self._status.idle()
        instruction = self.get_parameter("instruction").value
        if instruction:
            self._acting.instructions.follow(instruction)
        return _DONE

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop acting: the status tells the motion node to bring the arm to rest."""
        self._stop_acting("the node was deactivated")
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:  # noqa: ARG002  rclpy's signature
        """Release the checkpoint, and the one beside it."""
        self._swap.forget("the node was cleaned up")
        self._words.forget("the node was cleaned up")
        self._acting.release()
        self._status.unconfigured()
        return _DONE

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:  # noqa: ARG002  rclpy's signature
        """Stop acting and release the checkpoint, from whatever state."""
        self.close()
        return _DONE

    def close(self) -> None:
        """Stop acting and end the worker, before the node is destroyed."""
        self._stop_acting("the node is shutting down")
        self._swap.forget("the node is shutting down")
        self._words.forget("the node is shutting down")
        self._acting.release()
        self._status.unconfigured("the node is shutting down")

    # Another policy in the place of the one that acts

    def _prepare(self, checkpoint: str, make_room: Callable[[], object], is_given_up: Callable[[], bool]) -> Setup:
        parameters = {**self._configured, "checkpoint": checkpoint}
        load = apart(self._load, is_given_up=is_given_up)
        return build_beside(parameters, arm=self._arm, measured=self._measured, load=load, make_room=make_room)

    def _on_swap(self, setup: Setup, why: str) -> None:
        self._contracts.publish(conversions.contract_message(setup.contract))
        self._status.names(setup.checkpoint, fingerprint=setup.fingerprint, frame=setup.contract.frame)
        if self._acting.instructions.current is None:
            self._status.idle(why if self._is_active else "inactive")

    # The arm's side, and what the node answers to it

    def _watch(self) -> None:
        self._motion_status.read()
        self._measured.read()  # so that little waits to be read when a picture comes, and a policy for it
        self._swap.watch()
        self._acting.watch()
        self._status.repeat()
        self._words.watch()

    def _see(self, camera: str, message: Image | CompressedImage) -> None:
        self._acting.see(camera, message)
        self._words.see(camera, message)

    def _on_motion_status(self, message: MotionStatus) -> None:
        self._swap.hear(message)
        self._acting.wait_for_person(person_acts=message.actor == MotionStatus.PERSON)
        self._halted = f"{message.reason}: {message.detail}" if message.state == MotionStatus.HALTED else ""
        if self._halted:
            self._acting.instructions.end(Ending(Outcome.STOPPED, f"the arm is halted: {self._halted}", message.reason))

    def _stop_acting(self, why: str) -> None:
        self._is_active = False
        self._acting.instructions.end(Ending(Outcome.STOPPED, why))
        self._status.stopped(why)

    def _refusal(self) -> str:
        if self._halted:
            return f"the arm is halted ({self._halted}): mend that, then call reset_halt"
        return "" if self._is_active else "the policy node is not active: configure and activate it first"

    def _parameter_lock(self) -> str:
        return "takes effect on configure, clean up first" if self._acting.is_loaded else ""


def main() -> int:
    """Run the policy node until SIGINT or SIGTERM; returns the exit status."""
    return run(PolicyNode)


if __name__ == "__main__":
    sys.exit(main())
