"""Videos whose every motion is known: textured things on a textured plane under a camera that pans, turns and zooms.

The plane's coordinates are the pixels of the first frame. Things lie in it and move in it, the later ones over the
earlier ones; the camera maps it to each frame by a homography. So the place of any point in any frame, with the
camera's motion or without, and whether it is covered, is known exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from magma_ros.errors import InvalidInputError
from magma_ros.types import FloatArray, ImageArray

_OCTAVES = (4, 8, 16, 32, 64)
_MARGIN = 1.5
"""The plane reaches this many times the picture's size beyond each of its edges."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """How the plane moves in the picture from one frame to the next.

    Attributes:
        pan_px: Displacement (x, y) [px].
        turn_rad: Turn about the picture's middle, clockwise as seen [rad].
        zoom: Growth about the middle.
        tilt: Growth of the homography's last row (x, y) [1/px]: perspective.
    """

    pan_px: tuple[float, float] = (0.0, 0.0)
    turn_rad: float = 0.0
    zoom: float = 1.0
    tilt: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """An ellipse with a texture of its own, that moves in the plane.

    Attributes:
        centre_px: Its middle in the first frame (x, y) [px].
        radii_px: Half its width and height [px].
        velocity_px: Motion in the plane from one frame to the next (x, y) [px].
        turn_rad: Turn about its middle from one frame to the next [rad].
    """

    centre_px: tuple[float, float]
    radii_px: tuple[float, float]
    velocity_px: tuple[float, float] = (0.0, 0.0)
    turn_rad: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What is filmed.

    Attributes:
        things: The later ones cover the earlier ones.
        camera: Its motion.
        num_frames: Length of the video.
        height_px, width_px: Of each frame.
        noise_levels: Standard deviation of the noise of each pixel, in grey levels of 255.
        seed: Of textures and noise.
    """

    things: tuple[Thing, ...]
    camera: Camera = field(default_factory=Camera)
    num_frames: int = 16
    height_px: int = 256
    width_px: int = 256
    noise_levels: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.num_frames < 1 or min(self.height_px, self.width_px) < 16:
            raise InvalidInputError(f"expected a frame and sides of 16 px or more, got {self}")

    def homography(self, frame: int) -> FloatArray:
        """From the plane to the pixels of `frame`, shape (3, 3)."""
        middle = np.array([self.width_px, self.height_px]) / 2.0
        camera = self.camera
        about = _shift(*middle) @ _turn(frame * camera.turn_rad, camera.zoom**frame) @ _shift(*-middle)
        about[2, :2] = frame * np.array(camera.tilt)
        return _shift(frame * camera.pan_px[0], frame * camera.pan_px[1]) @ about

    def film(self) -> NDArray[np.uint8]:
        """The video, shape (num_frames, height, width, 3) RGB; the same for the same scene."""
        generator = np.random.default_rng(self.seed)
        margin_px = (round(_MARGIN * self.width_px), round(_MARGIN * self.height_px))
        ground = _texture(generator, self.height_px + 2 * margin_px[1], self.width_px + 2 * margin_px[0])
        skins = [_texture(generator, *_extent(thing)) for thing in self.things]
        return np.stack([self._frame(frame, ground, margin_px, skins, generator) for frame in range(self.num_frames)])

    def _frame(
        self,
        frame: int,
        ground: ImageArray,
        margin_px: tuple[int, int],
        skins: Sequence[ImageArray],
        generator: np.random.Generator,
    ) -> ImageArray:
        size = (self.width_px, self.height_px)
        view = self.homography(frame)
        picture = np.asarray(
            cv2.warpPerspective(ground, view @ _shift(-margin_px[0], -margin_px[1]), size), dtype=np.float64
        )
        for thing, skin in zip(self.things, skins, strict=True):
            height, width, _ = skin.shape
            place = view @ _pose(thing, frame) @ _shift(-(width - 1) / 2.0, -(height - 1) / 2.0)
            shape = np.zeros((height, width), np.uint8)
            middle = (round(8 * (width - 1)), round(8 * (height - 1)))  # in sixteenths
            radii = (round(16 * thing.radii_px[0]), round(16 * thing.radii_px[1]))
            cv2.ellipse(shape, middle, radii, 0, 0, 360, 255, -1, cv2.LINE_AA, 4)
            opacity = np.asarray(cv2.warpPerspective(shape, place, size), dtype=np.float64)[:, :, None] / 255.0
            picture += opacity * (np.asarray(cv2.warpPerspective(skin, place, size), dtype=np.float64) - picture)
        noise = generator.normal(0.0, self.noise_levels, picture.shape)
        return np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)

    def owners(self, points_px: ArrayLike, *, frame: int = 0) -> NDArray[np.int64]:
        """Which thing is seen at each of `points_px` (N, 2) of a frame, by index; -1 is the plane, shape (N,)."""
        on_plane = _mapped(_inverse(self.homography(frame)), np.asarray(points_px, dtype=np.float64))
        owners = np.full(len(on_plane), -1)
        for index, thing in enumerate(self.things):
            owners[_covers(thing, frame, on_plane)] = index
        return owners

    def plane_paths(self, points_px: ArrayLike, *, frame: int = 0) -> FloatArray:
        """Where what is seen at `points_px` (N, 2) of a frame is in that frame's camera, shape (num_frames, N, 2) [px].

        The camera's motion is left out: a point of the plane stays where it is.
        """
        view = self.homography(frame)
        paths = self._paths_in_plane(np.asarray(points_px, dtype=np.float64), frame)
        return np.stack([_mapped(view, points) for points in paths])

    def paths(self, points_px: ArrayLike, *, frame: int = 0) -> FloatArray:
        """Where what is seen at `points_px` (N, 2) of a frame is in each frame, shape (num_frames, N, 2) [px]."""
        paths = self._paths_in_plane(np.asarray(points_px, dtype=np.float64), frame)
        return np.stack([_mapped(self.homography(at), points) for at, points in enumerate(paths)])

    def visible(self, points_px: ArrayLike, *, frame: int = 0) -> NDArray[np.bool_]:
        """Whether it is seen: in the picture, and nothing over it; shape (num_frames, N)."""
        owners = self.owners(points_px, frame=frame)
        paths = self.paths(points_px, frame=frame)
        is_inside = ((paths >= 0) & (paths <= [self.width_px - 1, self.height_px - 1])).all(axis=2)
        return is_inside & np.stack([self.owners(points, frame=at) == owners for at, points in enumerate(paths)])

    def _paths_in_plane(self, points_px: FloatArray, frame: int) -> FloatArray:
        on_plane = _mapped(_inverse(self.homography(frame)), points_px)
        owners = self.owners(points_px, frame=frame)
        paths = np.repeat(on_plane[None], self.num_frames, axis=0)
        for index, thing in enumerate(self.things):
            own = _mapped(_inverse(_pose(thing, frame)), on_plane[owners == index])
            for at in range(self.num_frames):
                paths[at, owners == index] = _mapped(_pose(thing, at), own)
        return paths


def _pose(thing: Thing, frame: int) -> FloatArray:
    """From the thing's own coordinates, about its middle, to the plane."""
    x, y = (middle + frame * speed for middle, speed in zip(thing.centre_px, thing.velocity_px, strict=True))
    return _shift(x, y) @ _turn(frame * thing.turn_rad, 1.0)


def _covers(thing: Thing, frame: int, on_plane: FloatArray) -> NDArray[np.bool_]:
    own = _mapped(_inverse(_pose(thing, frame)), on_plane)
    return np.asarray(((own / thing.radii_px) ** 2).sum(axis=1) <= 1.0)


def _extent(thing: Thing) -> tuple[int, int]:
    """Height and width of its texture, a little more than the ellipse."""
    return 2 * round(thing.radii_px[1]) + 5, 2 * round(thing.radii_px[0]) + 5


def _texture(generator: np.random.Generator, height: int, width: int) -> ImageArray:
    """Blobs of all sizes and colours, of full contrast."""
    total = np.zeros((height, width, 3))
    for cell in _OCTAVES:
        coarse = generator.normal(size=(max(2, height // cell), max(2, width // cell), 3))
        total += cell**0.5 * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(128.0 + 55.0 * total / total.std(), 0, 255), dtype=np.uint8)


def _shift(x: float, y: float) -> FloatArray:
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


def _turn(angle_rad: float, scale: float) -> FloatArray:
    cosine, sine = scale * np.cos(angle_rad), scale * np.sin(angle_rad)
    return np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])


def _inverse(homography: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.inv(homography), dtype=np.float64)


def _mapped(homography: FloatArray, points: FloatArray) -> FloatArray:
    """`points` (N, 2) through a homography."""
    ahead = np.column_stack([points, np.ones(len(points))]) @ homography.T
    return np.asarray(ahead[:, :2] / ahead[:, 2:], dtype=np.float64)
