"""Arms that are against a wall, pushed away, turned by hand or late: none is driven where no action leads."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from magma_ros import arms
from magma_ros.servoing import TwistTracker
from magma_ros.stops import StopReason
from magma_ros.supervision import Command, Supervisor, SupervisorOptions
from magma_ros.types import Action, Pose, StampedPose
from tests.examples import CONTRACT

TICK_S = 0.02
TICKS_AN_ACTION = 10
UPRIGHT = np.array([0.0, 0.0, 0.0, 1.0])


class TwistArm:
    """A ur5e that integrates what it is told, as far as `limit` lets it, under its supervisor."""

    def __init__(self, limit: Callable[[np.ndarray], np.ndarray] = lambda position: position) -> None:
        self.arm = arms.load("ur5e")
        self.supervisor = Supervisor(self.arm, options=SupervisorOptions())
        self.supervisor.adopt(dataclasses.replace(CONTRACT, frame=self.arm.frames.base))
        self.tracker = TwistTracker(self.arm.limits)
        self.position = np.array(self.arm.home.ee_position_m)
        self.rotation = Rotation.from_quat(UPRIGHT)
        self.now_s, self._limit = 100.0, limit

    def run(self, num_ticks: int, step_m: tuple[float, float, float] | None) -> tuple[list[Command], np.ndarray]:
        """Commands, and places of shape (num_ticks, 3), of so many ticks with an action of `step_m` at every tenth."""
        commands, places = [], []
        for count in range(num_ticks):
            self.now_s += TICK_S
            measured = StampedPose(Pose(self.position, self.rotation.as_quat()), self.now_s)
            self.supervisor.policy_said(ended=None, now_s=self.now_s)
            if step_m is not None and count % TICKS_AN_ACTION == 0:
                action = Action(np.array(step_m), np.zeros(3), 1.0, self.arm.frames.base)
                self.supervisor.offer(action, stamp_s=self.now_s - 0.01, now_s=self.now_s, measured=measured)
            commands.append(self.supervisor.tick(self.now_s, steady_s=self.now_s, measured=measured))
            setpoint = commands[-1].setpoint
            assert setpoint is not None
            linear, angular = self.tracker.twist(setpoint, measured.pose, now_s=self.now_s)
            self.position = self._limit(self.position + TICK_S * linear)
            self.rotation = Rotation.from_rotvec(TICK_S * angular) * self.rotation
            places.append(self.position)
        return commands, np.array(places)


def reasons(commands: list[Command]) -> set[StopReason]:
    return {command.stop.reason for command in commands if command.stop is not None}


def test_an_arm_against_a_wall_stays_there() -> None:
    """Forty centimetres are asked for, a wall comes after three: it does not back off, and the reason is told."""
    start_m = arms.load("ur5e").home.ee_position_m[0]
    rig = TwistArm(lambda position: np.minimum(position, [start_m + 0.03, np.inf, np.inf]))
    commands, places = rig.run(400, (0.01, 0.0, 0.0))
    assert {StopReason.ARM_BEHIND} == reasons(commands)
    touched = int(np.argmax(places[:, 0] >= start_m + 0.03 - 1e-9))
    assert 0 < touched < 100
    assert places[touched:, 0].min() >= start_m + 0.025
    np.testing.assert_allclose(np.zeros((400, 2)), places[:, 1:] - places[0, 1:], atol=1e-3)


@pytest.mark.parametrize("moves_on", [(0.01, 0.0, 0.0), None])
def test_an_arm_that_is_pushed_away_is_not_driven_on(moves_on: tuple[float, float, float] | None) -> None:
    """A hand moves it by five centimetres to the side: it stays there, and the next actions count from there."""
    rig = TwistArm()
    rig.run(20, (0.01, 0.0, 0.0))
    pushed_m = rig.position = rig.position + np.array([0.0, 0.05, 0.0])
    commands, places = rig.run(200, moves_on)
    assert StopReason.ARM_BEHIND in reasons(commands)
    assert np.abs(places[:, 1] - pushed_m[1]).max() <= 5e-3
    assert (places[-1, 0] - pushed_m[0] > 0.05) == (moves_on is not None)


def test_an_arm_that_was_turned_by_hand_at_rest_goes_on_as_it_stands() -> None:
    """Turned by 0.6 rad where it rests, it moves as its actions say, and does not turn any further, or back."""
    rig = TwistArm()
    rig.run(60, (0.002, 0.0, 0.0))
    rig.rotation = Rotation.from_rotvec([0.0, 0.0, 0.6]) * rig.rotation
    begin_m = rig.position
    _, places = rig.run(200, (0.002, 0.0, 0.0))
    assert rig.rotation.as_rotvec()[2] == pytest.approx(0.6, abs=0.05)
    np.testing.assert_allclose([0.038, 0.0, 0.0], places[-1] - begin_m, atol=4e-3)


def test_a_late_arm_is_not_led_through_the_floor_of_its_box() -> None:
    """The goal is ahead of an arm that is a tenth of a second late; it is the goal that ends at the wall."""
    arm = arms.load("wx250s")
    supervisor = Supervisor(arm, options=SupervisorOptions())
    supervisor.adopt(dataclasses.replace(CONTRACT, frame=arm.frames.base))
    floor_m = arm.limits.workspace.min_m[2]
    told = [np.array([*arm.home.ee_position_m[:2], floor_m + 0.1])] * 6
    for count in range(150):
        now_s = 100.0 + TICK_S * count
        measured = StampedPose(Pose(told[-6], UPRIGHT), now_s)
        supervisor.policy_said(ended=None, now_s=now_s)
        if count % TICKS_AN_ACTION == 0:
            down = Action(np.array([0.0, 0.0, -0.03]), np.zeros(3), 1.0, arm.frames.base)
            supervisor.offer(down, stamp_s=now_s - 0.01, now_s=now_s, measured=measured)
        setpoint = supervisor.tick(now_s, steady_s=now_s, measured=measured).setpoint
        assert setpoint is not None
        told.append(setpoint.pose.position_m)
    assert min(place[2] for place in told) == pytest.approx(floor_m, abs=1e-6)
