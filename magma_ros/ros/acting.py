"""From pictures to published actions, for the assignment under way.

A motion is published on the thread that inferred it, at once: waking the executor for it costs a millisecond or two.
Everything else, and all that is counted, runs on the executor's thread. Who makes the arm rest first changes what the
other thread asks (`_wanted`), then publishes the status: so no motion follows a hold that came before it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue

from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import CompressedImage, Image

from magma_ros.msg import EndEffectorDelta
from magma_ros.ros import conversions, interface
from magma_ros.ros.diagnostics import Diagnostics
from magma_ros.ros.goal import Assignment, Ending
from magma_ros.ros.inference_worker import Answer, InferenceWorker, Job
from magma_ros.ros.instruction_server import InstructionServer
from magma_ros.ros.policy_setup import Setup
from magma_ros.ros.status import StatusReporter
from magma_ros.ros.talk import Talk
from magma_ros.stops import Stop, StopReason
from magma_ros.types import Observation, SafeAction


@dataclass(frozen=True, slots=True)
class ActingPolicy:
    """A policy with the thread that asks it; both live on while another one acts."""

    setup: Setup
    worker: InferenceWorker

    def close(self) -> bool:
        """End the thread and close the policy; False when the inference under way did not end."""
        has_ended = self.worker.close()
        self.setup.policy.close()
        return has_ended


class Acting:
    """A picture starts a tick, its answer ends it; silence of camera or policy brings the arm to rest.

    Attributes:
        instructions: The assignment under way, and who may change it.
        paused: Why the arm rests whatever the policy answers; empty when it does not.
        on_step: Told of each step and of the answer that it follows from, if there is one.
    """

    def __init__(
        self,
        node: LifecycleNode,
        *,
        status: StatusReporter,
        diagnostics: Diagnostics,
        refusal: Callable[[], str],
    ) -> None:
        """Publish on `node`; `refusal` says why no instruction can be taken now, empty when one can."""
        self._clock, self._logger = node.get_clock(), node.get_logger()
        self._status, self._diagnostics = status, diagnostics
        self._actions = interface.POLICY_ACTION.managed_publisher(node)
        self._chunks = interface.ACTION_CHUNK.managed_publisher(node)
        self._answered = node.create_guard_condition(self._take_answers)
        self._answers: SimpleQueue[tuple[Answer, SafeAction | Stop, EndEffectorDelta | None]] = SimpleQueue()
        self.instructions = InstructionServer(node, refusal=refusal, now_s=self._now_s, on_change=self._on_assignment)
        self.paused = ""
        self.on_step: Callable[[SafeAction | Stop, Answer | None], None] | None = None
        self._setup: Setup | None = None
        self._worker: InferenceWorker | None = None
        self._last_step_s = self._seen_s = self._held_s = 0.0
        self._asked_s: float | None = None  # capture time of the first picture that is not answered yet
        self._waits = False

    @property
    def is_loaded(self) -> bool:
        """Whether there is a policy to act with."""
        return self._setup is not None

    @property
    def assignment_acted_on(self) -> Assignment | None:
        """The assignment under way, unless the arm rests or a person has it."""
        return None if self._setup is None or self.paused or self._waits else self.instructions.current

    @property
    def setup(self) -> Setup:
        """What acts; there is something."""
        assert self._setup is not None
        return self._setup

    def load(self, setup: Setup, *, max_consecutive_stops: int) -> None:
        """Act with `setup` from now on; so many held steps in a row end a goal."""
        self._setup, self._worker = setup, self.start(setup).worker
        self.instructions.max_consecutive_stops = max_consecutive_stops

    def start(self, setup: Setup) -> ActingPolicy:
        """`setup` and a thread that waits for pictures; it acts once it is exchanged for what acts now."""
        answered = partial(self._on_answer, setup)
        worker = InferenceWorker(
            setup.controller,
            now_s=self._now_s,
            on_answer=answered,
            log_error=self._logger.error,
            spare_s=self._spare_s,
        )
        return ActingPolicy(setup, worker)

    def say(self, talk: Talk) -> None:
        """Let the policy, which there is, answer in words when it has time to; the question before is given up."""
        assert self._worker is not None
        self._worker.begin(talk)

    def exchange(self, arriving: ActingPolicy) -> ActingPolicy:
        """Act with `arriving` from the next picture on, and give back what acted; the caller has paused the arm.

        No answer of the one that leaves goes out any more, and the one that arrives remembers nothing.
        """
        assert self.paused
        assert self._worker is not None
        leaving = ActingPolicy(self.setup, self._worker)
        leaving.worker.hush("another policy has taken over")
        with self._status.lock:
            self._setup, self._worker = arriving.setup, arriving.worker
        self._asked_s = None
        arriving.setup.pacer.reset()
        self.instructions.renew()
        return leaving

    def release(self) -> None:
        """End the worker and close the policy, if there is one."""
        if self._worker is not None and not ActingPolicy(self.setup, self._worker).close():
            self._logger.error("the inference under way did not end")
        self._setup = self._worker = None

    def see(self, camera: str, message: Image | CompressedImage) -> None:
        """A picture of `camera` came."""
        received_s = time.perf_counter()
        self._take_answers()  # the step that they end may have been the assignment's last one
        assignment, setup = self.instructions.current, self._setup
        if assignment is None or setup is None or self._worker is None or self._waits:
            return
        self._diagnostics.rate(camera).tick(self._now_s())
        seen = setup.observer.observe(camera, message, instruction=assignment.instruction)
        if isinstance(seen, Observation):
            self._seen_s = min(seen.stamp_s, self._now_s())
            self._diagnostics.stage("capture to callback").add(self._now_s() - seen.stamp_s)
            if not self.paused and setup.pacer.is_due(seen.stamp_s):
                stamp = conversions.time_message(seen.stamp_s)
                self._worker.submit(Job(seen, stamp, assignment.epoch, received_s))
                self._asked_s = self._seen_s if self._asked_s is None else self._asked_s
        elif isinstance(seen, Stop):
            self._diagnostics.count("refused pictures", seen.reason.value)
            if seen.reason is not StopReason.NO_OBSERVATION:  # a broken picture is dropped: silence is what holds
                self._hold(seen)

    def watch(self) -> None:
        """Look for what did not happen; called often."""
        self.instructions.check_deadline()
        if self.instructions.current is None or self._setup is None or self._waits:
            return
        if self.paused:
            self._hold(Stop(StopReason.SWAPPING, self.paused))
            return
        unseen_s = self._now_s() - self._seen_s
        unanswered_s = 0.0 if self._asked_s is None else self._now_s() - self._asked_s
        if unseen_s > self._setup.camera_timeout_s:
            self._hold(Stop(StopReason.STALE_OBSERVATION, f"the newest usable picture is {unseen_s:.2f} s old"))
        elif unanswered_s > self._setup.max_observation_age_s:
            self._hold(Stop(StopReason.POLICY_FAILED, f"a picture of {unanswered_s:.2f} s ago is not answered"))

    def wait_for_person(self, *, person_acts: bool) -> None:
        """While a person has the arm nothing is inferred, and nothing from before is acted on afterwards."""
        if person_acts == self._waits:
            return
        self._waits = person_acts
        self._last_step_s = self._seen_s = self._now_s()
        self._asked_s = None
        self.instructions.renew()

    def _on_answer(self, setup: Setup, answer: Answer) -> None:
        """On the thread of `setup`: a motion goes out, and the executor is told what became of the answer."""
        if setup is not self._setup:
            return
        decision = answer.if_fresh(age_s=self._age_s(answer), max_age_s=setup.max_observation_age_s)
        action = None
        if isinstance(decision, SafeAction):
            action = conversions.action_message(decision.action, stamp=answer.job.stamp)
            with self._status.lock:
                assignment = self.instructions.current  # the executor may end it meanwhile, and says so after us
                if assignment is None or setup is not self._setup or self._unwanted(answer, assignment):
                    action = None
                else:
                    self._status.answered(answer, observation_age_s=self._age_s(answer))
                    self._status.stepped(assignment, decision)  # before the action: an earlier hold must not end it
                    self._measure(answer)  # publishing gives Python's lock away, and its return may wait for it
                    self._actions.publish(action)
        self._answers.put((answer, decision, action))
        self._answered.trigger()

    def _take_answers(self) -> None:
        while not self._answers.empty():
            answer, decision, action = self._answers.get_nowait()
            self._asked_s = None
            unwanted = self._unwanted(answer, self.instructions.current)
            if not unwanted:
                self._step(decision, answer, action)
            elif action is None:
                self._diagnostics.count("dropped answers", unwanted)

    def _unwanted(self, answer: Answer, assignment: Assignment | None) -> str:
        """Why nothing may follow from an answer any more; empty where it may."""
        if assignment is None or assignment.epoch != answer.job.epoch:
            return "of an ended assignment"
        if self.paused:
            return "while policies change places"
        return "to a picture from before the hold" if answer.job.received_s < self._held_s else ""

    def _step(
        self, decision: SafeAction | Stop, answer: Answer | None = None, action: EndEffectorDelta | None = None
    ) -> None:
        """One step was decided: a hold is reported, a motion has been; either is counted."""
        assert self._setup is not None
        assert self.instructions.current is not None
        self._last_step_s = self._now_s()
        if isinstance(decision, Stop):
            if answer is not None:
                self._status.answered(answer, observation_age_s=self._age_s(answer))
            self._status.stepped(self.instructions.current, decision)
            self._diagnostics.count("held steps", decision.reason.value)
        if answer is not None and answer.chunk is not None:
            contract = self._setup.contract
            self._chunks.publish(conversions.chunk_message(answer.chunk, contract=contract, stamp=answer.job.stamp))
        if self.on_step is not None:
            self.on_step(decision, answer)
        self.instructions.record(decision, command=action, inference_s=answer.inference_s if answer else 0.0)

    def _measure(self, answer: Answer) -> None:
        passed_s = time.perf_counter() - answer.job.received_s
        self._diagnostics.stage("inference").add(answer.inference_s)
        self._diagnostics.stage("callback to action, without inference").add(passed_s - answer.inference_s)
        self._diagnostics.stage("capture to action").add(self._age_s(answer))

    def _hold(self, stop: Stop) -> None:
        """Bring the arm to rest at once; steps are counted at the control rate all the same."""
        assert self._setup is not None
        self._held_s = time.perf_counter()
        if self._now_s() - self._last_step_s >= self._setup.contract.control_period_s:
            self._step(stop)
        elif self.instructions.current is not None:
            self._status.stepped(self.instructions.current, stop)

    def _on_assignment(self, ending: Ending | None) -> None:
        self._last_step_s = self._seen_s = self._now_s()
        self._asked_s = None
        if ending is not None:
            self._status.ended(ending)
        elif self.instructions.current is not None and self._setup is not None:
            self._setup.pacer.reset()
            self._status.began(self.instructions.current)

    def _spare_s(self) -> float:
        """Time until a picture may come that is acted on [s]; infinite while none is."""
        setup = self._setup
        if setup is None or self.assignment_acted_on is None:
            return float("inf")
        return setup.pacer.next_s - self._now_s()

    def _age_s(self, answer: Answer) -> float:
        return self._now_s() - answer.job.observation.stamp_s

    def _now_s(self) -> float:
        return conversions.seconds(self._clock.now().to_msg())
