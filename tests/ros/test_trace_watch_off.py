"""When no trace is asked for, and how long the reason is told."""

from __future__ import annotations

import pytest

from magma_ros.ros.diagnostics import Level
from magma_ros.ros.goal import Assignment
from tests.ros.watched_arm import SIZE_PX, WAITING, Stage


@pytest.fixture
def stage():
    return Stage()


def why_off(report):
    level, message, values = report
    assert (Level.OK, {}) == (level, values)
    return message


def test_it_is_off_where_nothing_is_predicted(stage):
    """No steps, a policy that was not trained to, and a tool that nobody measures: each is told, none is a fault."""
    stage.watch.num_steps = 0
    assert "off: the parameter trace_steps is 0" == why_off(stage.at(100.0))
    stage.watch.num_steps, stage.policy.predicts_traces = 2, False
    assert "off: magma-toy was not trained to predict traces" == why_off(stage.at(100.05))
    stage.policy.predicts_traces, stage.measured = True, None
    stage.watch.watch()
    assert "off: the tool's pose is not measured" == why_off(stage.report())
    assert (WAITING, 1) == (stage.at(100.1), len(stage.spoken))


@pytest.mark.parametrize(
    ("x_px", "size_px", "why"),
    [
        (-0.1, SIZE_PX, "the tool is not in the picture of camera 'image'"),
        (255.1, SIZE_PX, "the tool is not in the picture of camera 'image'"),
        (50.5, 128, "another size"),
        (50.5, None, "camera 'image': expected a picture, got none yet"),
    ],
)
def test_why_nothing_can_be_asked_is_told_until_it_can(stage, x_px, size_px, why):
    """The reason stays in sight between two tries, which are a control period apart, and goes with its cause."""
    for now_s in (100.0, 100.1, 100.24):
        stage.now_s = now_s
        if size_px:
            stage.film(size_px=size_px)
        assert f"off: {why}" == why_off(stage.at(now_s, x_px, films=False))
    assert 0 == len(stage.spoken)
    assert f"off: {why}" == why_off(stage.at(100.249))
    assert (WAITING, 1) == (stage.at(100.25), len(stage.spoken))


@pytest.mark.parametrize("x_px", [0.0, 255.0])
def test_the_outermost_pixels_are_in_the_picture(stage, x_px):
    """A tool in the first or the last column is asked about."""
    assert (WAITING, 1) == (stage.at(100.0, x_px), len(stage.spoken))


def test_a_picture_from_before_the_first_measurement_is_not_asked_about(stage):
    """Where the tool was in it nobody knows; a control period later a newer one is tried."""
    stage.film(stamp_s=99.9)
    assert (WAITING, 0) == (stage.at(100.0, films=False), len(stage.spoken))
    assert (WAITING, 0) == (stage.at(100.2), len(stage.spoken))
    assert (WAITING, 1) == (stage.at(100.25), len(stage.spoken))


def test_another_motion_is_not_off_for_the_reason_of_the_one_before(stage):
    """While nothing can be tried yet, as a person is being answered, there is no reason to tell."""
    assert "off: the tool is not in the picture of camera 'image'" == why_off(stage.at(100.0, -5.0))
    stage.acting.assignment_acted_on, stage.talks.is_busy = Assignment("lift", 2), True
    assert WAITING == stage.at(100.05)
