"""Where an arm's pictures come from; no node in here."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from sensor_msgs.msg import CompressedImage

from magma_ros.arm import Arm
from magma_ros.calibration import NotCalibrated
from magma_ros.errors import ArmConfigError, RecordingError
from magma_ros.ros.endpoints import Topic
from magma_ros.ros.interface import CAMERA, CAMERA_INFO

TRANSPORTS = ("raw", "compressed")


def camera_topics(arm: Arm, *, camera_topic: str, image_transport: str) -> dict[str, Topic]:
    """The topic of every camera of `arm`, by the camera's name, in the order of its file.

    Args:
        arm: Names cameras and topics.
        camera_topic: Instead of the only camera's topic; empty for the arm's own.
        image_transport: `raw` for Image, `compressed` for CompressedImage on the topic's own `/compressed`.

    Raises:
        ArmConfigError: another transport, or one topic for an arm with several cameras.
    """
    if image_transport not in TRANSPORTS:
        raise ArmConfigError(f"image_transport: expected one of {TRANSPORTS}, got {image_transport!r}")
    names = [camera.name for camera in arm.topics.cameras]
    if camera_topic and len(names) != 1:
        raise ArmConfigError(f"camera_topic: expected an arm with one camera, {arm.name!r} has {names}")
    topics = {camera.name: replace(CAMERA, name=camera_topic or camera.topic) for camera in arm.topics.cameras}
    if image_transport == "raw":
        return topics
    return {n: replace(t, name=f"{t.name}/compressed", message=CompressedImage) for n, t in topics.items()}


def info_topics(arm: Arm) -> dict[str, Topic]:
    """The topic of the CameraInfo of every camera that is calibrated, by the camera's name."""
    calibrations = {camera.name: camera.calibration for camera in arm.topics.cameras}
    return {
        name: replace(CAMERA_INFO, name=calibration.info)
        for name, calibration in calibrations.items()
        if not isinstance(calibration, NotCalibrated)
    }


def recorded_cameras(
    recorded: Collection[str], arm: Arm, *, camera_topic: str, absolute: Callable[[str], str]
) -> dict[str, tuple[str, Topic]]:
    """The arm's cameras by absolute topic, each with its name; where both transports were recorded, raw.

    Args:
        recorded: Absolute names in the recording.
        arm: Names cameras and topics.
        camera_topic: Instead of the only camera's topic; empty for the arm's own.
        absolute: Gives the name of a topic in the recording.

    Raises:
        RecordingError: not all of them were recorded.
    """
    tried = []
    for transport in TRANSPORTS:
        topics = camera_topics(arm, camera_topic=camera_topic, image_transport=transport)
        found = {absolute(topic.name): (camera, topic) for camera, topic in topics.items()}
        if set(found) <= set(recorded):
            return found
        tried += sorted(found)
    raise RecordingError(f"cameras: expected {' or '.join(tried)} in the bag, which has {sorted(recorded)}")
