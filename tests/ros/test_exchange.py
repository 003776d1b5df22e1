"""Policies change places on one thread: what their own threads answer late, and what is released when."""

import gc
import threading
import time
import weakref
from dataclasses import replace

import numpy as np
import pytest
import rclpy
import rclpy.task
from rclpy.lifecycle import LifecycleNode

from magma_ros import arms
from magma_ros.errors import CheckpointError
from magma_ros.msg import MotionStatus, PolicyStatus
from magma_ros.ros import arm_rest, interface, policy_setup, policy_swap
from magma_ros.ros.acting import Acting
from magma_ros.ros.diagnostics import Diagnostics
from magma_ros.ros.inference_worker import Answer
from magma_ros.ros.measured_state import MeasuredState
from magma_ros.ros.policy_setup import build, build_beside
from magma_ros.ros.policy_swap import PREVIOUS, PolicySwap
from magma_ros.ros.status import StatusReporter
from magma_ros.ros.swap_trial import TrialBound
from magma_ros.stops import Stop, StopReason
from magma_ros.types import ActionChunk, Observation
from tests.ros.arm_messages import joint_state, picture, pose_stamped, rest
from tests.ros.test_policy_setup import contract

ARM = arms.load("sim")
PARAMETERS = {row.name: row.default for row in interface.POLICY_PARAMETERS} | {"control_rate_hz": 100.0}
ROWS = {"a": (0.0, 0.0, 0.01), "b": (0.01, 0.0, 0.0), "c": (0.0, 0.01, 0.0), "misfit": ()}


class HeldPolicy:
    """Answers with its own direction once it is let go."""

    def __init__(self, name):
        self.contract = replace(contract("image"), control_rate_hz=100.0)
        self.row = [*ROWS[name], 0.0, 0.0, 0.0, 1.0]
        self.go, self.asked, self.closed = threading.Event(), threading.Event(), False
        self.go.set()

    def infer(self, observation):
        self.asked.set()
        assert self.go.wait(timeout=10)
        return ActionChunk(np.array([self.row]), "base_link", observation.stamp_s, np.empty((0, 7), np.int64))

    def reset(self):
        pass

    def close(self):
        self.closed = True


class Stage:
    """The parts of a policy node that nothing spins, acting with policy `a`; names are checkpoints."""

    def __init__(self, node):
        self.policies, self.published = {}, []
        self.measured, self.status = MeasuredState(ARM), StatusReporter(node)
        diagnostics = Diagnostics(node, hardware_id="test")
        self.acting = Acting(node, status=self.status, diagnostics=diagnostics, refusal=lambda: "")
        self.acting._actions = self
        self.swap = PolicySwap(
            node, acting=self.acting, diagnostics=diagnostics, prepare=self.prepare, announce=lambda *_: None
        )
        self.acting.load(self.prepare("a"), max_consecutive_stops=0)

    def prepare(self, name, make_room=lambda: None, _is_given_up=lambda: False):
        if name not in ROWS:
            raise CheckpointError(f"no checkpoint {name}")
        make_room()
        if name == "misfit":
            raise CheckpointError("it does not fit")
        self.policies[name] = HeldPolicy(name)
        return build(
            PARAMETERS | {"checkpoint": name}, arm=ARM, measured=self.measured, load=lambda *_: self.policies[name]
        )

    def publish(self, message):
        """The publisher of actions: where each of them leads."""
        self.published.append((message.translation_m.x, message.translation_m.y, message.translation_m.z))

    def see(self):
        now_s = time.time()
        self.measured.keep_joints(joint_state(rest(ARM, gripper=0.5), stamp_s=now_s))
        self.measured.keep_pose(pose_stamped(ARM.frames.base, stamp_s=now_s))
        self.acting.see("image", picture(now_s, shade=int(1000 * now_s) % 251))

    def ask(self, name):
        """The future answer to a swap."""
        answer = rclpy.task.Future()
        refusal = self.swap._refusal(name)
        assert not refusal, refusal
        self.swap._begin(name, answer)
        return answer

    def watch_until(self, condition, *, seeing=False, hearing=None):
        end = time.monotonic() + 10.0
        while not condition():
            assert time.monotonic() < end, "it did not come true"
            if hearing is not None:
                self.swap.hear(hearing)
            if seeing:
                self.see()
            self.swap.watch()
            self.acting.watch()
            time.sleep(0.002)

    def swapped(self, name, **more):
        answer = self.ask(name)
        self.watch_until(answer.done, **more)
        return answer.result()


@pytest.fixture
def stage(monkeypatch):
    monkeypatch.setattr(arm_rest, "_REST_S", 0.02)
    monkeypatch.setattr(policy_swap, "_SETTLE_S", 0.02)
    context = rclpy.Context()
    rclpy.init(context=context)
    node = LifecycleNode("exchange", context=context)
    node.trigger_configure()
    node.trigger_activate()
    made = Stage(node)
    yield made
    for policy in made.policies.values():
        policy.go.set()
    made.swap.forget("the test is over")
    made.acting.release()
    node.destroy_node()
    rclpy.shutdown(context=context)


def test_an_answer_that_comes_after_the_change_of_places_moves_nothing(stage):
    """The old policy thinks while it is sent away: what it says then is of nobody, and the new one acts."""
    old = stage.policies["a"]
    stage.acting.instructions.follow("lift")
    old.asked.clear()
    old.go.clear()
    stage.see()
    assert old.asked.wait(timeout=10)
    worker = stage.acting._worker
    assert "" == stage.swapped("b")
    before = list(stage.published)
    old.go.set()
    assert worker.close()
    assert before == stage.published
    stage.watch_until(lambda: len(stage.published) >= len(before) + 3, seeing=True)
    assert {ROWS["b"]} == set(stage.published[len(before) :])


def test_nothing_is_sent_while_policies_change_places(stage):
    """From the first hold until the new policy's first picture there is no action, whatever the old one answers."""
    stage.acting.instructions.follow("lift")
    stage.watch_until(lambda: len(stage.published) >= 3, seeing=True)
    answer = stage.ask("b")
    stage.watch_until(lambda: stage.acting.paused, seeing=True)
    before = len(stage.published)
    stage.watch_until(answer.done, seeing=True)
    assert before == len(stage.published)
    stopped = stage.status._latest
    assert (PolicyStatus.STOPPED, StopReason.SWAPPING.value) == (stopped.state, stopped.stop_reason)
    stage.watch_until(lambda: len(stage.published) >= before + 2, seeing=True)
    assert {ROWS["b"]} == set(stage.published[before:])


def test_an_arm_that_does_not_come_to_rest_keeps_its_policy(stage, monkeypatch):
    """The swap is refused, the policy that was loaded for nothing is closed, and the old one acts on."""
    monkeypatch.setattr(policy_swap, "_REST_TIMEOUT_S", 0.1)
    why = stage.swapped("b", hearing=MotionStatus(speed_m_s=0.1))
    assert "the arm rests" in why
    assert "" == stage.acting.paused
    assert stage.policies["b"].closed
    assert not stage.policies["a"].closed
    assert "a" == stage.acting.setup.checkpoint


def test_the_way_back_waits_for_rest_as_long_as_it_takes(stage, monkeypatch):
    """A policy that did badly gets no picture while the arm still moves, even beyond the time that a wish is given."""
    monkeypatch.setattr(policy_swap, "_REST_TIMEOUT_S", 0.05)
    stage.swap.configure(TrialBound(4, 0.0))
    assert "" == stage.swapped("b")
    stage.swap.hear(MotionStatus(num_refused=0))
    stage.swap.hear(MotionStatus(num_refused=1))
    end = time.monotonic() + 0.2
    stage.watch_until(lambda: time.monotonic() > end, hearing=MotionStatus(speed_rad_s=0.1, num_refused=1))
    assert "was sent back" in stage.acting.paused
    assert "b" == stage.acting.setup.checkpoint
    stage.watch_until(lambda: not stage.acting.paused, hearing=MotionStatus(num_refused=1))
    assert "a" == stage.acting.setup.checkpoint


def test_there_are_never_more_than_two(stage):
    """The policy before the last swap is closed before the third one loads, and is not there to go back to."""
    assert "" == stage.swapped("b")
    assert not stage.policies["a"].closed
    assert "" == stage.swapped("c")
    assert (True, False) == (stage.policies["a"].closed, stage.policies["b"].closed)
    assert "" == stage.swapped(PREVIOUS)
    assert "b" == stage.acting.setup.checkpoint


def test_the_policy_that_was_released_is_held_by_nobody(stage):
    """No thread, answer or cycle keeps it: what is loaded is out of the garbage collector's sight."""
    gc.collect()
    gc.disable()
    try:
        stage.acting.instructions.follow("lift")
        stage.watch_until(lambda: len(stage.published) >= 3, seeing=True)
        assert "" == stage.swapped("b", seeing=True)
        assert "" == stage.swapped("c", seeing=True)
        released = weakref.ref(stage.policies.pop("a"))
        assert released() is None
    finally:
        gc.enable()


def test_a_refused_third_policy_leaves_none_to_go_back_to(stage):
    """Room was made for it in vain: the acting policy acts on, and `previous` says that it is gone."""
    assert "" == stage.swapped("b")
    assert "it does not fit" == stage.swapped("misfit")
    assert "b" == stage.acting.setup.checkpoint
    assert "not loaded any more" in stage.swap._refusal(PREVIOUS)


def test_a_name_that_is_not_found_costs_nothing(stage):
    """A slip of the pen leaves the previous policy loaded, and it takes over when it is asked for."""
    assert "" == stage.swapped("b")
    assert "no checkpoint d" == stage.swapped("d")
    assert "" == stage.swapped(PREVIOUS)
    assert "a" == stage.acting.setup.checkpoint


@pytest.mark.parametrize("phase", ["loading", "resting"])
def test_what_is_forgotten_is_closed(stage, phase):
    """A swap that the node's end interrupts answers its caller and leaves nothing open beside the acting policy."""
    answer = stage.ask("b")
    if phase == "resting":
        stage.watch_until(lambda: stage.acting.paused)
    stage.swap.forget("cleaned up")
    assert "cleaned up" == answer.result()
    stage.swap._loader._thread.submit(lambda: None).result(timeout=10)
    assert stage.policies["b"].closed
    assert not stage.policies["a"].closed
    assert "" == stage.acting.paused


def test_a_policy_that_was_sent_back_is_on_trial_again(stage):
    """`previous` after the way back is the policy that failed: it is watched anew, and the good one is not."""
    stage.swap.configure(TrialBound(4, 0.0))
    assert "" == stage.swapped("b")
    for count in range(2):
        stage.swap.hear(MotionStatus(num_refused=count))
    stage.watch_until(lambda: stage.acting.setup.checkpoint == "a" and not stage.acting.paused, hearing=MotionStatus())
    assert stage.swap._trial is None
    assert "" == stage.swapped(PREVIOUS, hearing=MotionStatus())
    assert stage.swap._trial is not None


def test_a_picture_that_was_old_before_anybody_was_asked_is_no_step_of_the_trial(stage):
    """A busy machine hands pictures over too late: that is not the policy's doing, while an answer too late is."""
    stage.swap.configure(TrialBound(4, 1.0))
    assert "" == stage.swapped("b")
    stale = Stop(StopReason.STALE_OBSERVATION, "old")
    chunk = stage.policies["b"].infer(Observation({"image": np.zeros((8, 8, 3), np.uint8)}, "lift", 0.0))
    for given, num_steps in ((None, 0), (chunk, 1)):
        stage.swap._on_step(stale, Answer(None, stale, given, 0.1))
        assert num_steps == stage.swap._trial.num_steps


def test_a_policy_that_finds_no_room_is_not_loaded(monkeypatch, tmp_path):
    """Where memory is too small for two the loader is not even asked; a server's address needs no room."""

    def refuse(name, options):
        raise CheckpointError(f"no room for {name} in {options.dtype}")

    monkeypatch.setattr(policy_setup, "require_room", refuse)
    made_room = []

    def beside(name, load):
        parts = {"arm": ARM, "measured": MeasuredState(ARM), "make_room": lambda: made_room.append(name)}
        return build_beside(PARAMETERS | {"checkpoint": name}, load=load, **parts)

    with pytest.raises(CheckpointError, match="no room"):
        beside(str(tmp_path), lambda *_: pytest.fail("loaded"))
    with pytest.raises(CheckpointError, match="expected a checkpoint folder"):
        beside(str(tmp_path / "nowhere"), lambda *_: pytest.fail("loaded"))
    address = "ws://127.0.0.1:8000"
    assert address == beside(address, lambda *_: HeldPolicy("a")).checkpoint
    assert [str(tmp_path), address] == made_room
