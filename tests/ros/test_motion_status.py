"""What the motion node says of itself, and when; a clock by hand."""

from __future__ import annotations

import numpy as np
import pytest

from magma_ros import arms
from magma_ros.msg import MotionStatus
from magma_ros.ros.motion_status import MotionReporter
from magma_ros.setpoint import Setpoint
from magma_ros.stops import Stop, StopReason
from magma_ros.supervision import Command, MotionState, Supervisor, SupervisorOptions
from magma_ros.types import Pose
from tests.ros.plain_node import PlainNode

ARM = arms.load("stand_in")
PRESSED = Stop(StopReason.EMERGENCY_STOP, "pressed")
SETPOINT = Setpoint(
    Pose(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0])),
    linear_velocity_m_s=np.array([0.02, -0.01, 0.02]),
    linear_acceleration_m_s2=np.ones(3),
    angular_velocity_rad_s=np.array([0.0, 0.3, -0.4]),
    angular_acceleration_rad_s2=np.ones(3),
    done=False,
    expired=False,
    waiting=False,
    stopped=False,
    dropped_m=0.125,
    dropped_rad=0.25,
)
MOVING = Command(SETPOINT, MotionState.MOVING, None)
RESTING = Command(SETPOINT, MotionState.HOLDING, None)


def holding(detail="0.4 s old", reason=StopReason.STALE_STATE):
    return Command(SETPOINT, MotionState.HOLDING, Stop(reason, detail))


class Desk:
    """A reporter, and what it has said."""

    def __init__(self, *, dry_run=False):
        self.node, self.person_acts = PlainNode(), False
        self.supervisor = Supervisor(ARM, options=SupervisorOptions())
        self.reporter = MotionReporter(
            self.node, base_frame="fr3_link0", dry_run=dry_run, person_acts=lambda: self.person_acts
        )
        self.said = self.node.published["motion_status"]

    def command(self, command=RESTING, *, now_s=0.0):
        self.node.now_s = now_s
        self.reporter.commanded(command, self.supervisor)
        return self.said[-1]

    @property
    def warnings(self):
        return [text for level, text in self.node.lines if level == "warning"]


@pytest.fixture
def desk():
    return Desk()


def test_a_command_is_told_with_its_speeds(desk):
    """Speeds are the lengths of the velocities, |(2, -1, 2)| = 3 and |(0, 3, -4)| = 5; losses are the setpoint's."""
    status = desk.command(MOVING)
    assert (MotionStatus.MOVING, "", "") == (status.state, status.reason, status.detail)
    np.testing.assert_allclose([0.03, 0.5], [status.speed_m_s, status.speed_rad_s], rtol=1e-12)
    assert (0.125, 0.25) == (status.dropped_m, status.dropped_rad)


def test_without_a_setpoint_nothing_is_fast(desk):
    """Before a pose was measured, speeds and losses are zero."""
    status = desk.command(Command(None, MotionState.HOLDING, None))
    assert [0.0] * 4 == [status.speed_m_s, status.speed_rad_s, status.dropped_m, status.dropped_rad]


@pytest.mark.parametrize(
    ("state", "number"), [(MotionState.HOLDING, 1), (MotionState.MOVING, 2), (MotionState.HALTED, 3)]
)
def test_a_state_is_told_by_its_number(desk, state, number):
    """The numbers are those that MotionStatus.msg documents, and a stop's two parts stand beside them."""
    status = desk.command(Command(SETPOINT, state, PRESSED))
    assert (number, "emergency_stop", "pressed") == (status.state, status.reason, status.detail)


def test_an_inactive_node_says_so_or_why_it_is_halted(desk):
    """Nothing is commanded; a halt from before the activation is shown with its reason."""
    desk.reporter.inactive(desk.supervisor)
    desk.supervisor.halt(PRESSED)
    desk.reporter.inactive(desk.supervisor)
    assert [(0, "", ""), (3, "emergency_stop", "pressed")] == [(s.state, s.reason, s.detail) for s in desk.said]


@pytest.mark.parametrize("dry_run", [True, False])
def test_every_report_has_its_stamp_frame_and_counts(dry_run):
    """Refusals are added up over all reasons; a dry run is marked in every message."""
    desk = Desk(dry_run=dry_run)
    desk.supervisor.num_taken = 7
    desk.supervisor.refused.update({"too_soon": 2, "wrong_frame": 3})
    status = desk.command(now_s=12.25)
    assert (12, 250_000_000, "fr3_link0") == (
        status.header.stamp.sec,
        status.header.stamp.nanosec,
        status.header.frame_id,
    )
    assert (dry_run, 7, 5) == (status.dry_run, status.num_taken, status.num_refused)


def test_an_unchanged_state_is_told_ten_times_a_second(desk):
    """A report that comes sooner is left out, and the tenth of a second counts from the last one that was not."""
    for now_s in (0.0, 0.09, 0.1, 0.15, 0.19, 0.21):
        desk.command(now_s=now_s)
    assert [0, 100_000_000, 210_000_000] == [status.header.stamp.nanosec for status in desk.said]


@pytest.mark.parametrize(
    "news", [RESTING, holding(reason=StopReason.NO_PROPRIO), Command(SETPOINT, MotionState.HALTED, PRESSED)]
)
def test_news_are_told_at_once(desk, news):
    """Another state or another reason does not wait."""
    desk.command(holding())
    desk.command(news, now_s=0.01)
    assert 2 == len(desk.said)


def test_another_sentence_is_no_news(desk):
    """An age that grows in the sentence is told with the next report of ten a second."""
    desk.command(holding("0.4 s old"))
    desk.command(holding("0.5 s old"), now_s=0.01)
    desk.command(holding("0.6 s old"), now_s=0.1)
    assert ["0.4 s old", "0.6 s old"] == [status.detail for status in desk.said]
    assert ["stale_state: 0.4 s old"] == desk.warnings


def test_a_clock_that_was_set_back_silences_nothing(desk):
    """A report of an hour ahead does not hold back that of now."""
    desk.command(now_s=3600.0)
    assert 1 == desk.command(now_s=1.0).header.stamp.sec


def test_a_person_who_takes_the_arm_is_told_at_once(desk):
    """The actor is news, and giving back too."""
    actors = []
    for now_s, acts in ((0.0, False), (0.01, True), (0.02, False)):
        desk.person_acts = acts
        actors.append(desk.command(now_s=now_s).actor)
    assert [MotionStatus.POLICY, MotionStatus.PERSON, MotionStatus.POLICY] == actors


def test_each_new_reason_is_logged_once(desk):
    """Neither its repetition, nor another actor, nor the end of the fault is a line; the same fault again is one."""
    commands = (holding("a"), holding("b"), holding("c", StopReason.NO_PROPRIO), RESTING, holding("d"))
    for index, command in enumerate(commands):
        desk.command(command, now_s=float(index))
    desk.person_acts = True
    desk.command(holding("e"), now_s=5.0)
    assert 6 == len(desk.said)
    assert ["stale_state: a", "no_proprio: c", "stale_state: d"] == desk.warnings


def test_a_hold_that_becomes_a_halt_is_logged_again(desk):
    """The reason is the same, what follows from it is not."""
    desk.command(Command(SETPOINT, MotionState.HOLDING, PRESSED))
    desk.command(Command(SETPOINT, MotionState.HALTED, PRESSED), now_s=0.01)
    assert ["emergency_stop: pressed"] * 2 == desk.warnings
