"""Who of those that talk is told what; answers and traces themselves: `test_talk_server`, `test_trace_watch`."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from magma_ros import arms
from magma_ros.errors import InvalidInputError
from magma_ros.ros import words
from magma_ros.ros.conversions import time_message
from magma_ros.ros.pictures import image_message
from magma_ros.ros.talk_server import DEFAULT_TRACE_STEPS
from magma_ros.ros.words import Words
from tests.examples import CONTRACT
from tests.ros.plain_node import PlainNode

ARM = arms.load("sim")


class Talks:
    """Notes what it is told; its pictures are those that everybody shares."""

    def __init__(self, log, pictures):
        self._log, self.pictures = log, pictures
        self.timeout_s, self.trace_steps = 0.0, DEFAULT_TRACE_STEPS

    def watch(self):
        self._log.append("talks")

    def forget(self, why):
        self._log.append(why)


class Desk:
    """The words of a node that shows 100 s, with the two who use them."""

    def __init__(self, monkeypatch):
        self.log, self.node = [], PlainNode()
        self.node.now_s = 100.0
        monkeypatch.setattr(words, "TalkServer", self.offer_talks)
        monkeypatch.setattr(words, "TraceWatch", self.offer_watch)
        self.words = Words(self.node, arm=ARM, acting="acting", measured="measured", diagnostics="diagnostics")

    def offer_talks(self, node, *, acting, pictures, **_):
        assert (self.node, "acting") == (node, acting)
        self.talks = Talks(self.log, pictures)
        return self.talks

    def offer_watch(self, **given):
        self.given = given
        self.traces = SimpleNamespace(watch=lambda: self.log.append("traces"), num_steps=0, max_share=1.0)
        return self.traces

    def configure(self, trace_steps):
        self.words.configure({"answer_timeout_s": 30.0, "trace_steps": trace_steps, "max_trace_divergence": 0.25})
        return self.talks.trace_steps, self.traces.num_steps


@pytest.fixture
def desk(monkeypatch):
    return Desk(monkeypatch)


def test_talks_and_watch_share_what_there_is(desk):
    """The watch has the same pictures and talks, and each of the arm's cameras; the camera's info is listened to."""
    assert desk.talks is desk.given.pop("talks")
    assert desk.talks.pictures is desk.given.pop("pictures")
    assert ["image"] == list(desk.given.pop("cameras"))
    assert {"acting": "acting", "measured": "measured", "diagnostics": "diagnostics"} == desk.given
    assert ["camera/camera_info"] == list(desk.node.topics)


def test_parameters_reach_those_that_they_are_about(desk):
    """Timeout and steps go to the talks; steps and share of the picture's width to the watch."""
    assert (16, 16) == desk.configure(16)
    assert (30.0, 0.25) == (desk.talks.timeout_s, desk.traces.max_share)


def test_without_steps_nothing_is_watched_and_who_asks_gets_the_default(desk):
    """Eight steps, whatever the node was configured with before."""
    assert (8, 0) == desk.configure(0)
    desk.configure(16)
    assert (8, 0) == desk.configure(0)


def test_a_picture_that_came_can_be_asked_about(desk):
    """It is kept under its camera's name, and its age is counted on the node's clock."""
    picture = np.zeros((32, 48, 3), np.uint8)
    desk.words.see("image", image_message(picture, stamp=time_message(99.5), frame_id="eye"))
    assert 99.5 == desk.talks.pictures.look("image", contract=CONTRACT, max_age_s=0.5).stamp_s
    with pytest.raises(InvalidInputError, match=r"the newest is 0\.5 s old"):
        desk.talks.pictures.look("image", contract=CONTRACT, max_age_s=0.4)


def test_a_person_is_looked_after_before_the_watch(desk):
    """`watch` looks at the talks first; `forget` ends their question with its reason, and only theirs."""
    desk.words.watch()
    desk.words.forget("deactivated")
    assert ["talks", "traces", "deactivated"] == desk.log
