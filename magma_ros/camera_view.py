"""What a policy sees of a camera's picture, and where a pixel of one is in the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from magma_ros import images
from magma_ros.contract import CameraSpec
from magma_ros.types import FloatArray, ImageArray


@dataclass(frozen=True, slots=True)
class CameraView:
    """A camera of the action contract, and the size of the pictures that it really takes.

    Pixels are counted right and down from the middle of the upper left one.

    Attributes:
        camera: How its pictures are turned and stretched for the policy.
        width_px, height_px: Of the camera's own pictures [px].
    """

    camera: CameraSpec
    width_px: int
    height_px: int

    @classmethod
    def of(cls, image: ImageArray, camera: CameraSpec) -> CameraView:
        """The view that `image` was taken in."""
        return cls(camera, width_px=image.shape[1], height_px=image.shape[0])

    def seen(self, image: ImageArray) -> ImageArray:
        """The policy's picture of the camera's `image`, shape (height, width, 3) as the contract says.

        Raises:
            InvalidInputError: `image` is not a picture.
        """
        return images.as_seen(image, self.camera)

    def to_seen(self, points_px: ArrayLike) -> FloatArray:
        """Points (…, 2) (x, y) of the camera's picture in the policy's, same shape [px]."""
        shares = (np.asarray(points_px, dtype=np.float64) + 0.5) / (self.width_px, self.height_px)
        return self._turned(shares) * (self.camera.width_px, self.camera.height_px) - 0.5

    def to_camera(self, points_px: ArrayLike) -> FloatArray:
        """Points (…, 2) (x, y) of the policy's picture in the camera's, same shape [px]."""
        shares = (np.asarray(points_px, dtype=np.float64) + 0.5) / (self.camera.width_px, self.camera.height_px)
        return self._turned(shares) * (self.width_px, self.height_px) - 0.5

    def _turned(self, shares: FloatArray) -> FloatArray:
        return 1.0 - shares if self.camera.rotate_180 else shares
