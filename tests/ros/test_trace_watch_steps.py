"""Executed against predicted traces, look by look, in pixels of 1 mm (over DDS: `test_trace_watch`)."""

from __future__ import annotations

import numpy as np
import pytest

from magma_ros.errors import PolicyError
from magma_ros.ros.diagnostics import Level
from magma_ros.ros.goal import Assignment
from tests.ros.watched_arm import SIZE_PX, WAITING, Stage, answer


@pytest.fixture
def stage():
    return Stage()


def compare(stage, *, last_y_px=50.5):
    """The whole way: asked at 100 s, answered by 100.05 s, gone as predicted, the last place excepted."""
    stage.at(100.0)
    stage.think()
    stage.at(100.05, 52.5)
    stage.at(100.25, 60.5)
    return stage.at(100.5, 70.5, last_y_px)


def test_it_asks_where_the_tool_goes_from_where_it_was(stage):
    """One question about the newest picture, its mark at the tool's place, however often it looks before the answer."""
    assert [WAITING, WAITING] == [stage.at(100.0), stage.at(100.05)]
    stage.think()
    assert (1, 1) == (len(stage.spoken), len(stage.policy.asked))
    (question,) = stage.policy.asked
    assert "slide" in question.text
    rows, columns = np.nonzero((question.images[0] != 127).any(axis=2))
    np.testing.assert_allclose([50.5, 50.5], [columns.mean(), rows.mean()], atol=1.5)


@pytest.mark.parametrize(
    ("max_share", "level", "message"),
    [
        (4 / 256, Level.OK, "the tool goes where the policy saw it going, to 4 px"),
        (3.99 / 256, Level.WARN, "the tool went 4 px from where the policy saw it going"),
    ],
)
def test_the_mean_distance_of_the_predicted_places_counts(stage, max_share, level, message):
    """Half way 0 px, at the end 8 px beside it: 4 px, which warns above the share of the picture's width only."""
    stage.watch.max_share = max_share
    found_level, found, values = compare(stage, last_y_px=58.5)
    assert (level, message) == (found_level, found)
    assert {
        "trace divergence [px]": "4.00",
        "warns above [px]": f"{256 * max_share:.2f}",
        "traces compared": "1",
    } == values


def test_nothing_is_compared_before_the_last_place_is_due(stage):
    """A hundredth of a second before the end it waits; then the predicted trace is over."""
    stage.at(100.0)
    stage.think()
    stage.at(100.05, 52.5)
    assert WAITING == stage.at(100.49, 70.0)
    assert "1" == stage.at(100.5, 70.5)[2]["traces compared"]


def test_it_asks_again_as_soon_as_it_has_compared(stage):
    """The next question begins where the tool is now, and the last divergence stays in sight."""
    assert "1" == compare(stage)[2]["traces compared"]
    assert 2 == len(stage.spoken)
    stage.policy.text = answer((80, 50), (90, 50))
    stage.think()
    for now_s, x_px in ((100.55, 72.5), (100.75, 80.5)):
        assert "1" == stage.at(now_s, x_px)[2]["traces compared"]
    assert "2" == stage.at(101.0, 90.5)[2]["traces compared"]


def test_the_trace_is_published_in_the_cameras_pixels(stage):
    """From the mark on, with the time of a control step between two points; what goes beyond is shown, not compared."""
    stage.policy.text = answer((60, 50), (70, 50), (200, 200))
    assert "0.00" == compare(stage)[2]["trace divergence [px]"]
    (sent,) = stage.published
    assert ("image", SIZE_PX, 0.25) == (sent.camera, sent.width_px, sent.step_s)
    np.testing.assert_allclose([50.5, 60.5, 70.5, 200.5], sent.traces[0].x_px)


@pytest.mark.parametrize(
    ("text", "told"),
    [(PolicyError("the server is gone"), "the server is gone"), ("I see a carrot.", "character 0: expected")],
)
def test_an_answer_that_is_none_is_told_and_asked_for_a_horizon_later(stage, text, told):
    """Two steps after the question, not before: a policy that cannot answer is left alone meanwhile."""
    stage.policy.text = text
    stage.at(100.0)
    stage.think()
    level, message, _ = stage.at(100.05)
    assert (Level.OK, True) == (level, message.startswith(told))
    stage.at(100.49)
    assert 1 == len(stage.spoken)
    stage.at(100.5)
    assert (2, []) == (len(stage.spoken), stage.published)


def test_a_persons_question_goes_first(stage):
    """While somebody is answered nothing is asked, and then at once."""
    stage.talks.is_busy = True
    assert (WAITING, 0) == (stage.at(100.0), len(stage.spoken))
    stage.talks.is_busy = False
    assert (WAITING, 1) == (stage.at(100.01), len(stage.spoken))


def test_another_motion_is_not_compared_with_what_was_before(stage):
    """A new assignment, or none, forgets the divergence and ends the question under way, which says why."""
    compare(stage)
    stage.acting.assignment_acted_on = Assignment("lift", 2)
    assert WAITING == stage.at(100.55, 72.5)
    assert "its assignment has ended" == stage.spoken[1].fault
    stage.acting.assignment_acted_on = None
    assert (Level.OK, "off: nothing is acted on", {}) == stage.at(100.6, 72.5)
    assert (3, "its assignment has ended") == (len(stage.spoken), stage.spoken[2].fault)


def test_a_picture_from_before_a_motion_is_not_asked_about(stage):
    """Places of the motion before are forgotten, so that none is known for it; the next picture is asked about."""
    compare(stage)
    stage.acting.assignment_acted_on = Assignment("lift", 2)
    assert (WAITING, 2) == (stage.at(100.55, 72.5, films=False), len(stage.spoken))
    assert (WAITING, 3) == (stage.at(100.8, 72.5), len(stage.spoken))
