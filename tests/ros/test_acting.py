"""Pictures in, actions out, on one thread and a clock that the tests set."""

import threading
from dataclasses import replace

import numpy as np
import pytest
import rclpy
from rclpy.lifecycle import LifecycleNode

from magma_ros import arms
from magma_ros.msg import PolicyStatus
from magma_ros.ros import interface
from magma_ros.ros.acting import Acting
from magma_ros.ros.diagnostics import Diagnostics
from magma_ros.ros.goal import Assignment
from magma_ros.ros.inference_worker import Answer
from magma_ros.ros.measured_state import MeasuredState
from magma_ros.ros.policy_setup import build
from magma_ros.ros.status import StatusReporter
from magma_ros.ros.talk import Talk
from magma_ros.stops import Stop, StopReason
from magma_ros.types import ActionChunk
from tests.ros.arm_messages import joint_state, picture, pose_stamped, rest
from tests.ros.test_policy_setup import contract

ARM = arms.load("sim")
RATE_HZ = 0.5
"""So slow that a picture which is not due may well be older than an answer may be."""


class HeldPolicy:
    """Answers with a small motion once it is let go."""

    def __init__(self):
        self.contract = replace(contract("image"), control_rate_hz=RATE_HZ)
        self.go = threading.Event()
        self.go.set()

    def infer(self, observation):
        self.go.wait(timeout=10)
        row = np.array([[0.0, 0.0, 0.01, 0.0, 0.0, 0.0, 1.0]])
        return ActionChunk(row, "base_link", observation.stamp_s, np.empty((0, 7), np.int64))

    def reset(self):
        pass

    def close(self):
        pass


class Stage:
    """`Acting` on a node that nothing spins; `at` sets the time."""

    def __init__(self, node, folder):
        self.policy, self.measured, self.now_s = HeldPolicy(), MeasuredState(ARM), 0.0
        self.status = StatusReporter(node)
        diagnostics = Diagnostics(node, hardware_id="test")
        self.acting = Acting(node, status=self.status, diagnostics=diagnostics, refusal=lambda: "")
        self.acting._now_s = lambda: self.now_s
        self.acting._answered, self.answered = self, threading.Event()
        parameters = {row.name: row.default for row in interface.POLICY_PARAMETERS} | {"checkpoint": str(folder)}
        setup = build(parameters, arm=ARM, measured=self.measured, load=lambda *_: self.policy)
        self.max_age_s, self.camera_timeout_s = setup.max_observation_age_s, setup.camera_timeout_s
        self.acting.load(setup, max_consecutive_stops=0)
        self.at(100.0)

    def trigger(self):
        self.answered.set()

    def at(self, now_s):
        self.now_s = now_s
        self.measured.keep_joints(joint_state(rest(ARM, gripper=0.5), stamp_s=now_s))
        self.measured.keep_pose(pose_stamped(ARM.frames.base, stamp_s=now_s))

    def see(self):
        self.acting.see("image", picture(self.now_s, shade=int(100 * self.now_s) % 251))

    def see_and_answer(self):
        self.answered.clear()
        self.see()
        assert self.answered.wait(timeout=10)


@pytest.fixture
def stage(tmp_path):
    context = rclpy.Context()
    rclpy.init(context=context)
    node = LifecycleNode("acting", context=context)
    node.trigger_configure()
    node.trigger_activate()
    made = Stage(node, tmp_path)
    yield made
    made.policy.go.set()
    made.acting.release()
    node.destroy_node()
    rclpy.shutdown(context=context)


def test_a_slow_pace_is_no_silence_of_the_policy(stage):
    """While every picture that was due is answered, the arm is not held, however long ago the last answer was."""
    stage.acting.instructions.follow("lift")
    stage.see_and_answer()
    for n in range(1, 6):
        stage.at(100.0 + n * 0.3)
        stage.see()
        stage.acting.watch()
    assert stage.now_s - 100.0 > 2 * max(stage.max_age_s, stage.camera_timeout_s)
    assert PolicyStatus.ACTING == stage.status._latest.state


def test_a_picture_that_stays_unanswered_holds_the_arm(stage):
    """Pictures go on coming, but one that was due is not answered within the age that an answer may have."""
    stage.acting.instructions.follow("lift")
    stage.policy.go.clear()
    stage.see()
    stage.at(100.0 + stage.max_age_s - 0.01)
    stage.see()
    stage.acting.watch()
    assert PolicyStatus.ACTING == stage.status._latest.state
    stage.at(100.0 + stage.max_age_s + 0.01)
    stage.see()
    stage.acting.watch()
    assert (PolicyStatus.STOPPED, StopReason.POLICY_FAILED.value) == (
        stage.status._latest.state,
        stage.status._latest.stop_reason,
    )


def test_a_picture_right_after_the_last_step_is_not_acted_upon(stage):
    """The step that ends an assignment is counted before the next picture, though nothing woke the executor for it."""
    stage.acting.instructions._begin(Assignment("lift", 1, step_budget=1))
    stage.see_and_answer()
    submitted = []
    stage.acting._worker.submit = submitted.append
    stage.at(100.0 + 1.0 / RATE_HZ)
    stage.see()
    assert [] == submitted
    assert stage.acting.instructions.current is None


def test_nothing_is_inferred_while_a_person_has_the_arm(stage):
    """Pictures are let go by without a hold, and the policy begins afresh when it has the arm again."""
    submitted = []
    stage.acting.instructions.follow("lift")
    stage.see_and_answer()
    stage.acting._worker.submit = submitted.append
    stage.acting.wait_for_person(person_acts=True)
    for n in range(1, 8):
        stage.at(100.0 + n)
        stage.see()
        stage.acting.watch()
    assert [] == submitted
    assert PolicyStatus.ACTING == stage.status._latest.state
    stage.acting.wait_for_person(person_acts=False)
    stage.at(110.0)
    stage.see()
    (job,) = submitted
    assert job.epoch == stage.acting.instructions.current.epoch
    assert job.epoch > 1
    early = Answer(replace(job, epoch=1), Stop(StopReason.NO_OBSERVATION, ""), None, 0.0)
    assert stage.acting._unwanted(early, stage.acting.instructions.current)


def test_a_question_ends_when_another_policy_takes_over(stage):
    """Whoever asked the policy that goes is told, and the one that comes is not asked."""
    go = threading.Event()

    def answer():
        assert go.wait(timeout=10)
        yield "too late"

    talk = Talk(answer)
    stage.acting.say(talk)
    stage.acting.paused = "a swap was asked for"
    leaving = stage.acting.exchange(stage.acting.start(stage.acting.setup))
    assert talk.ended.is_set()
    assert "another policy has taken over" == talk.fault
    go.set()
    assert leaving.worker.close()


def test_words_have_time_only_while_nothing_is_acted_on_or_before_the_next_picture(stage):
    """Idle there is all the time; acting, what is left until the next picture is due; none before the first."""
    assert float("inf") == stage.acting._spare_s()
    stage.acting.instructions.follow("lift")
    assert stage.acting._spare_s() < 0
    stage.see_and_answer()
    assert 0.8 / RATE_HZ < stage.acting._spare_s() <= 1.0 / RATE_HZ
    stage.at(100.0 + 1.0 / RATE_HZ)
    assert stage.acting._spare_s() <= 0
    stage.acting.wait_for_person(person_acts=True)
    assert float("inf") == stage.acting._spare_s()
