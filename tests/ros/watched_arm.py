"""An arm that slides under a camera, and a watch that looks when a test says so; arm, camera, policy and clock by hand.

The camera shows 1 mm as a pixel. Its pictures have 256 x 256 px, and the policy sees them as they are, so that the cell
(10, 20) of an answer is the pixel (10.5, 20.5).
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from magma_ros.contract import CameraSpec
from magma_ros.errors import InvalidInputError, PolicyError
from magma_ros.ros.conversions import time_message
from magma_ros.ros.diagnostics import Level
from magma_ros.ros.goal import Assignment
from magma_ros.ros.newest_pictures import NewestPictures
from magma_ros.ros.pictures import image_message
from magma_ros.ros.trace_watch import TraceWatch
from magma_ros.types import Pose, StampedPose
from tests.examples import CONTRACT

SIZE_PX, START_S = 256, 100.0
SEER = replace(CONTRACT, control_rate_hz=4.0, cameras=(CameraSpec("image", SIZE_PX, SIZE_PX),))
WAITING = (Level.OK, "no predicted trace is over yet", {})


def answer(*cells):
    listed = ",".join(f"[{x},{y}]" for x, y in cells)
    return f'Mark 1 at [50,50] should be moved, and their future positions are:\n\n"Mark 1": "[{listed}]"'


class Policy:
    """Says `text`, and notes what it was asked; an exception is raised."""

    def __init__(self):
        self.talks = self.predicts_traces = True
        self.text, self.asked = answer((60, 50), (70, 50)), []

    def talk(self, question):
        self.asked.append(question)
        if isinstance(self.text, Exception):
            raise self.text
        yield self.text


class Camera:
    """Looks straight down, 1 px for each millimetre."""

    def project(self, point_m):
        return 1000.0 * point_m[:2]

    def require_size(self, *, width_px, height_px):
        if (width_px, height_px) != (SIZE_PX, SIZE_PX):
            raise InvalidInputError("another size")


class Stage:
    """A watch of two steps of 0.25 s, and everybody around it; an arm that slides."""

    def __init__(self):
        self.policy, self.spoken, self.published, self.now_s = Policy(), [], [], START_S
        setup = SimpleNamespace(policy=self.policy, checkpoint="magma-toy", contract=SEER, camera_timeout_s=0.6)
        self.acting = SimpleNamespace(assignment_acted_on=Assignment("slide", 1), setup=setup, say=self.spoken.append)
        self.measured = None
        self.pictures = NewestPictures(lambda: self.now_s)
        self.talks = SimpleNamespace(is_busy=False, publish=self.published.append)
        self.watch = TraceWatch(
            acting=self.acting,
            measured=SimpleNamespace(pose=lambda: self.measured),
            cameras={"image": Camera()},
            pictures=self.pictures,
            talks=self.talks,
            diagnostics=SimpleNamespace(part=lambda name, report: setattr(self, "report", report)),
        )
        self.watch.num_steps, self.watch.max_share = 2, 1.0

    def film(self, *, size_px=SIZE_PX, stamp_s=None):
        picture = np.full((size_px, size_px, 3), 127, np.uint8)
        stamp = time_message(self.now_s if stamp_s is None else stamp_s)
        self.pictures.keep("image", image_message(picture, stamp=stamp, frame_id="eye"))

    def at(self, now_s, x_px=50.5, y_px=50.5, *, films=True):
        """The tool is there, and the watch looks; the report of it."""
        self.now_s = now_s
        place_m = np.array([x_px / 1000.0, y_px / 1000.0, 0.0])
        self.measured = StampedPose(Pose(place_m, np.array([0.0, 0.0, 0.0, 1.0])), now_s)
        if films:
            self.film()
        self.watch.watch()
        return self.report()

    def think(self):
        """The policy's thread finds the whole answer."""
        talk = self.spoken[-1]
        while not talk.ended.is_set():
            try:
                talk.advance()
            except PolicyError as error:
                talk.end(str(error))
