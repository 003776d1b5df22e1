"""The newest picture of every camera, decoded only when somebody asks about it; no node in here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from magma_ros.camera_view import CameraView
from magma_ros.contract import ActionContract
from magma_ros.errors import InvalidInputError
from magma_ros.ros.conversions import seconds
from magma_ros.ros.pictures import picture_from_message
from magma_ros.safety import MAX_FUTURE_STAMP_S
from magma_ros.types import ImageArray


@dataclass(frozen=True, slots=True)
class Look:
    """One picture as a policy sees it.

    Attributes:
        header: Stamp and frame of the camera's picture.
        view: What the policy sees of it.
        image: As the policy sees it, shape (height, width, 3), uint8 RGB.
    """

    header: Header
    view: CameraView
    image: ImageArray

    @property
    def stamp_s(self) -> float:
        """When it was taken [s]."""
        return seconds(self.header.stamp)


class NewestPictures:
    """Keeps one message of each camera."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        """Judge ages by `now_s`, the clock of the stamps [s]."""
        self._now_s = now_s
        self._newest: dict[str, Image | CompressedImage] = {}

    def keep(self, camera: str, message: Image | CompressedImage) -> None:
        """A picture came."""
        self._newest[camera] = message

    def look(self, camera: str, *, contract: ActionContract, max_age_s: float) -> Look:
        """The newest picture of a camera, as the policy sees it.

        Args:
            camera: Its name; empty for the first one of the contract.
            contract: The policy's.
            max_age_s: Oldest picture that shows the present [s].

        Raises:
            InvalidInputError: no such camera, no picture yet, none that is fresh, or one that cannot be used.
        """
        cameras = {spec.name: spec for spec in contract.cameras}
        name = camera or next(iter(cameras))
        if name not in cameras:
            raise InvalidInputError(f"camera: expected one of {list(cameras)}, got {name[:64]!r}")
        message = self._newest.get(name)
        if message is None:
            raise InvalidInputError(f"camera {name!r}: expected a picture, got none yet")
        age_s = self._now_s() - seconds(message.header.stamp)
        if not -MAX_FUTURE_STAMP_S <= age_s <= max_age_s:
            raise InvalidInputError(
                f"camera {name!r}: expected a picture of the last {max_age_s} s, the newest is {age_s:.1f} s old"
            )
        image = picture_from_message(message)
        view = CameraView.of(image, cameras[name])
        return Look(message.header, view, view.seen(image))
