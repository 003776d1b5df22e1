import pytest

from magma_ros.msg import MotionStatus
from magma_ros.ros.arm_rest import ArmRest

STEP_S = 0.2


class Clock:
    now_s = 100.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


def test_an_arm_that_nobody_commands_rests(clock):
    """Without a motion node the arm rests a quarter of a second and a step after its last action, and not sooner."""
    rest = ArmRest(now_s=clock)
    clock.now_s = 100.44
    assert not rest.has_lasted(since_s=100.0, last_step_s=STEP_S)
    clock.now_s = 100.46
    assert rest.has_lasted(since_s=100.0, last_step_s=STEP_S)


@pytest.mark.parametrize("speed", [{"speed_m_s": 0.1}, {"speed_rad_s": 0.1}])
def test_a_moving_arm_does_not_rest(clock, speed):
    """As long as the setpoint moves or turns it is no rest, and the wait begins anew with each report of motion."""
    rest = ArmRest(now_s=clock)
    for _ in range(10):
        clock.now_s += 0.1
        rest.hear(MotionStatus(**speed))
    assert not rest.has_lasted(since_s=100.0, last_step_s=STEP_S)
    clock.now_s += 0.44
    rest.hear(MotionStatus())
    assert not rest.has_lasted(since_s=100.0, last_step_s=STEP_S)
    clock.now_s += 0.02
    assert rest.has_lasted(since_s=100.0, last_step_s=STEP_S)


def test_a_motion_node_that_fell_silent_says_nothing_of_rest(clock):
    """Once one was heard, only what it says after the last action counts."""
    rest = ArmRest(now_s=clock)
    rest.hear(MotionStatus())
    clock.now_s += 10.0
    assert not rest.has_lasted(since_s=100.0, last_step_s=STEP_S)
    rest.hear(MotionStatus())
    assert rest.has_lasted(since_s=100.0, last_step_s=STEP_S)
