"""What the stack sees and does, as a picture and as markers for people; wiring only, and nothing acts on it."""

from __future__ import annotations

import sys
from typing import Any

from geometry_msgs.msg import Pose, PoseStamped
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from magma_ros import arms
from magma_ros.errors import InvalidInputError, MagmaRosError
from magma_ros.msg import EndEffectorDelta, MotionStatus, PolicyStatus, PredictedTraces
from magma_ros.overlay import Scale, annotate
from magma_ros.ros import interface
from magma_ros.ros.camera_geometry import CameraGeometry
from magma_ros.ros.camera_topics import camera_topics
from magma_ros.ros.conversions import action_from_message
from magma_ros.ros.mark_messages import points_px
from magma_ros.ros.parameters import declare, values
from magma_ros.ros.pictures import image_message, picture_from_message
from magma_ros.ros.seeing import TRACE_LIFE_S, caption, planned_motion, trace_markers
from magma_ros.ros.spin import run
from magma_ros.types import Action, FloatArray

_MARKER_PERIOD_S = 0.1
_MAX_AGE_S = 1.0
"""Longest that a message is shown as the present [s]."""


class ViewNode(Node):
    """Draws while somebody looks: without a subscriber it takes no pictures and makes no markers."""

    def __init__(self) -> None:
        """Read the arm and start to listen.

        Raises:
            ArmConfigError: the arm's file is missing or wrong, or its camera is not as the parameters say.
        """
        super().__init__("view_node")
        declare(self, interface.VIEW_PARAMETERS)
        parameters = values(self, interface.VIEW_PARAMETERS)
        self._arm = arms.load(parameters["arm"])
        cameras = camera_topics(
            self._arm, camera_topic=parameters["camera_topic"], image_transport=parameters["image_transport"]
        )
        self._camera = next(iter(cameras.values()))
        limits = self._arm.limits
        self._scale = Scale(translation_m=limits.max_translation_step_m, rotation_rad=limits.max_rotation_step_rad)
        self._newest: dict[type, tuple[Any, float]] = {}
        self._pictures: Any = None
        self._annotated = interface.ANNOTATED.publisher(self)
        self._planned = interface.PLANNED_MOTION.publisher(self)
        self._trace_markers = interface.TRACE_MARKERS.publisher(self)
        self._geometry = CameraGeometry(self._arm, self._arm.topics.cameras[0])
        self._geometry.subscribe(self)
        interface.PREDICTED_TRACES.subscribe(self, self._on_traces)
        for topic in (interface.POLICY_ACTION, interface.STATUS, interface.MOTION_STATUS, interface.SETPOINT):
            topic.subscribe(self, self._keep)
        self.create_timer(_MARKER_PERIOD_S, self._on_timer)

    def close(self) -> None:
        """Nothing to leave behind: markers of what moves vanish by themselves."""

    def _keep(self, message: Any) -> None:
        self._newest[type(message)] = message, self._now_s()

    def _present(self, kind: type, *, max_age_s: float = _MAX_AGE_S) -> Any:
        """The newest message of a type, or None when it is not the present any more."""
        message, received_s = self._newest.get(kind, (None, 0.0))
        return message if abs(self._now_s() - received_s) <= max_age_s else None

    def _on_traces(self, message: PredictedTraces) -> None:
        """Of the camera that is shown; as markers only where that is calibrated."""
        if message.camera != self._arm.topics.cameras[0].name:
            return
        self._keep(message)
        if self._trace_markers.get_subscription_count() > 0:
            try:
                self._trace_markers.publish(trace_markers(message, self._geometry.model()))
            except MagmaRosError as error:
                self.get_logger().warning(f"traces not shown as markers: {error}", throttle_duration_sec=10.0)

    def _on_timer(self) -> None:
        self._follow_watchers()
        if self._planned.get_subscription_count() > 0:
            self._planned.publish(
                planned_motion(
                    self._arm,
                    pose_ee_in_base=self._pose(),
                    action=self._action(),
                    stamp=self.get_clock().now().to_msg(),
                )
            )

    def _follow_watchers(self) -> None:
        """Take pictures only while somebody looks: a picture costs more to receive than everything else here."""
        is_watched = self._annotated.get_subscription_count() > 0
        if is_watched and self._pictures is None:
            self._pictures = self._camera.subscribe(self, self._on_picture)
        elif not is_watched and self._pictures is not None:
            self.destroy_subscription(self._pictures)
            self._pictures = None

    def _on_picture(self, message: Image | CompressedImage) -> None:
        try:
            picture = picture_from_message(message)
        except InvalidInputError as error:
            self.get_logger().warning(f"picture not shown: {error}", throttle_duration_sec=10.0)
            return
        said = caption(self._present(PolicyStatus), self._present(MotionStatus))
        drawn = annotate(picture, said, self._action(), self._scale, traces=self._traces())
        header = message.header
        self._annotated.publish(image_message(drawn, stamp=header.stamp, frame_id=header.frame_id))

    def _traces(self) -> list[FloatArray]:
        predicted: PredictedTraces | None = self._present(PredictedTraces, max_age_s=TRACE_LIFE_S)
        return [] if predicted is None else [points_px(trace) for trace in predicted.traces]

    def _action(self) -> Action | None:
        message: EndEffectorDelta | None = self._present(EndEffectorDelta)
        return None if message is None else action_from_message(message)

    def _pose(self) -> Pose | None:
        setpoint: PoseStamped | None = self._present(PoseStamped)
        return None if setpoint is None or setpoint.header.frame_id != self._arm.frames.base else setpoint.pose

    def _now_s(self) -> float:
        return float(self.get_clock().now().nanoseconds) * 1e-9


def main() -> int:
    """Run the view until SIGINT or SIGTERM; returns the exit status."""
    return run(ViewNode)


if __name__ == "__main__":
    sys.exit(main())
