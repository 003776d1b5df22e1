"""The recorder: what the arm's sensors, the policy, a person and the motion node say, into MCAP bags; wiring only."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from rclpy.node import Node

from magma_ros import arms
from magma_ros.episode_notes import EpisodeNotes, EpisodeOutcome
from magma_ros.errors import InvalidInputError, RecordingError
from magma_ros.prompts import clean_instruction
from magma_ros.ros import interface
from magma_ros.ros.diagnostics import Diagnostics, Level
from magma_ros.ros.episode_bags import EpisodeBags, next_episode, require_folder
from magma_ros.ros.parameters import declare, values
from magma_ros.ros.recorded_topics import recorded_topics, tf_topics
from magma_ros.ros.spin import run
from magma_ros.srv import EndEpisode, StartEpisode
from magma_ros.wording import counted

_REPORT_PERIOD_S = 0.5
_MAX_OPERATOR = 128
_KEPT: dict[int, EpisodeOutcome] = {EndEpisode.Request.SUCCESS: "success", EndEpisode.Request.FAILURE: "failure"}


class RecorderNode(Node):
    """Records serialized messages as they come, unread: all in one bag, or with `episodes` a bag for each episode.

    A bag ends by itself when the disk is full, and the node stays alive.
    """

    def __init__(self) -> None:
        """Begin to record, or with `episodes` to wait for `start_episode`.

        Raises:
            ArmConfigError: the arm's file is missing or wrong.
            RecordingError: the output folder exists (with `episodes`: cannot be made), there is too little space, or a
                message type is not installed.
        """
        super().__init__("recorder_node")
        declare(self, interface.RECORDER_PARAMETERS)
        parameters = values(self, interface.RECORDER_PARAMETERS)
        arm = arms.load(parameters["arm"])
        transport = {name: parameters[name] for name in ("camera_topic", "image_transport")}
        frames = tf_topics()
        found = (*recorded_topics(arm, **transport), *frames)
        topics = {self.resolve_topic_name(topic.name): topic for topic in found}
        self._bags = EpisodeBags(topics, min_free_bytes=round(parameters["min_free_gib"] * 2**30))
        self._output = Path(parameters["output"] or f"recording_{datetime.now(UTC):%Y-%m-%dT%H-%M-%SZ}").expanduser()
        self._folder = self._output
        self._by_episode: bool = parameters["episodes"]
        self._missing = "" if frames else ", without tf: tf2_msgs is not installed"
        self._reported_drops: dict[str, int] = {}
        self._has_ended = False
        self._notes = EpisodeNotes.begin(instruction="", operator="", arm=arm.name)
        self._diagnostics = Diagnostics(self, hardware_id=arm.name)
        if self._by_episode:
            require_folder(self._output)
        else:
            self._begin(self._output)
        self._topics: list[Any] = [
            topic.subscribe(self, partial(self._on_message, name), raw=True) for name, topic in topics.items()
        ]
        self.create_service(StartEpisode, interface.START_EPISODE.name, self._on_start)
        self.create_service(EndEpisode, interface.END_EPISODE.name, self._on_end)
        self.create_timer(_REPORT_PERIOD_S, self._report)
        what = "episodes" if self._by_episode else "everything"
        self.get_logger().info(
            f"recording {what} of {counted(len(topics), 'topic')} into {self._folder.absolute()}{self._missing}"
        )

    def close(self) -> None:
        """Write what is queued and close the bag; an episode under way has no outcome."""
        if self._bags.bag is not None:
            fault = self._end("unknown")
            if fault and not self._has_ended:
                self.get_logger().error(fault)

    # Episodes

    def _on_start(self, request: StartEpisode.Request, response: StartEpisode.Response) -> StartEpisode.Response:
        response.message = self._start(request.instruction, request.operator_name)
        response.accepted = not response.message
        response.bag = str(self._folder.absolute()) if response.accepted else ""
        return response

    def _on_end(self, request: EndEpisode.Request, response: EndEpisode.Response) -> EndEpisode.Response:
        if not self._by_episode or self._bags.bag is None:
            response.message = "no episode is under way: call start_episode first"
        elif request.outcome == EndEpisode.Request.DISCARD:
            self.get_logger().info(f"{self._folder} is discarded")
            response.message = self._bags.discard()
        elif request.outcome in _KEPT:
            response.message = self._end(_KEPT[request.outcome])
        else:
            response.message = f"outcome: expected 1 (success), 2 (failure) or 3 (discard), got {request.outcome}"
        response.accepted = not response.message
        return response

    def _start(self, instruction: str, operator: str) -> str:
        """Begin an episode; why that is not possible, or an empty text."""
        if not self._by_episode:
            return "everything is recorded in one bag: start the recorder with episodes:=true"
        if self._bags.bag is not None and not self._has_ended:
            return f"{self._folder} is under way: end it first"
        if len(operator) > _MAX_OPERATOR or not operator.isprintable():
            return f"operator: expected one line of at most {_MAX_OPERATOR} characters"
        if self._bags.bag is not None:
            self._end("unknown")
        try:
            cleaned = clean_instruction(instruction)
            self._notes = EpisodeNotes.begin(instruction=cleaned, operator=operator.strip(), arm=self._notes.arm)
            self._begin(next_episode(self._output))
        except (InvalidInputError, RecordingError) as error:
            return str(error)
        return ""

    def _begin(self, folder: Path) -> None:
        self._bags.begin(folder, now_ns=self.get_clock().now().nanoseconds, notes=self._notes.to_dict())
        self._folder, self._has_ended, self._reported_drops = folder, False, {}

    def _end(self, outcome: EpisodeOutcome) -> str:
        bag = self._bags.bag
        assert bag is not None
        fault = self._bags.end(self._notes.end(outcome).to_dict())
        self._report_drops(bag.num_dropped)
        self.get_logger().info(f"{counted(bag.num_written.total(), 'message')} written to {self._folder.absolute()}")
        return fault

    # Messages

    def _on_message(self, name: str, message: bytes) -> None:
        self._bags.offer(name, self.get_clock().now().nanoseconds, message)

    def _report(self) -> None:
        bag = self._bags.bag
        if bag is None:
            self._diagnostics.level(Level.OK, "waiting for start_episode")
            return
        if self._has_ended:
            return
        self._report_drops(bag.num_dropped)
        if bag.ended:
            self._has_ended = True
            self._diagnostics.level(Level.ERROR, bag.ended)
            self.get_logger().error(f"{self._folder.absolute()}: {bag.ended}")
        else:
            level = Level.WARN if self._missing else Level.OK
            self._diagnostics.level(
                level, f"{counted(bag.num_written.total(), 'message')} in {self._folder}{self._missing}"
            )

    def _report_drops(self, dropped: dict[str, int]) -> None:
        """Tell of what the disk was too slow for since the last report."""
        for name, count in dict(dropped).items():
            new = count - self._reported_drops.get(name, 0)
            if new > 0:
                self._reported_drops[name] = count
                self._diagnostics.count("dropped because the disk was too slow", name, new)
                self.get_logger().warning(f"{name}: {counted(new, 'message')} dropped, the disk is too slow")


def main() -> int:
    """Record until SIGINT or SIGTERM; returns the exit status."""
    return run(RecorderNode)


if __name__ == "__main__":
    sys.exit(main())
