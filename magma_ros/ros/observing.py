"""From pictures and measured state to one observation; no node in here."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from typing import TypeAlias

from sensor_msgs.msg import CompressedImage, Image

from magma_ros.errors import InvalidInputError
from magma_ros.ros.conversions import LATEST_STAMP_S, seconds
from magma_ros.ros.measured_state import MeasuredState
from magma_ros.ros.pictures import picture_from_message
from magma_ros.stops import Stop, StopReason
from magma_ros.synchronizer import Synchronizer
from magma_ros.types import Observation

Picture: TypeAlias = Image | CompressedImage


class Observer:
    """Joins pictures that were taken together with the measured state of that moment."""

    def __init__(
        self,
        cameras: Sequence[str],
        measured: MeasuredState,
        *,
        slop_s: float,
        max_proprio_lag_s: float,
        max_identical_pictures: int,
    ) -> None:
        """See with `cameras` and `measured`.

        Args:
            cameras: Names of the pictures in the action contract.
            measured: Fed by its own callbacks.
            slop_s: Largest difference between the stamps of pictures that are seen together [s].
            max_proprio_lag_s: Measured state that is older than the oldest picture by more than this stops [s].
            max_identical_pictures: As many pictures in a row with the same bytes stop; 0 for never.

        Raises:
            InvalidInputError: no camera, two of one name, a negative slop, or every picture would be frozen.
        """
        if max_identical_pictures < 0 or max_identical_pictures == 1:
            raise InvalidInputError(
                f"max_identical_pictures: expected 0 (never) or at least 2, got {max_identical_pictures}"
            )
        self._cameras = frozenset(cameras)
        self._synchronizer: Synchronizer[Picture] = Synchronizer(cameras, slop_s=slop_s)
        self._measured, self._max_proprio_lag_s = measured, max_proprio_lag_s
        self._max_identical = max_identical_pictures
        self._runs: dict[str, tuple[array[int], int]] = {}
        self._refused: Counter[str] = Counter()

    @property
    def rejected(self) -> Counter[str]:
        """What was not used so far, by reason: stops by their `StopReason`, pictures as `Synchronizer.dropped` says."""
        return self._refused + self._synchronizer.dropped

    def observe(self, camera: str, message: Picture, *, instruction: str) -> Observation | Stop | None:
        """What the policy sees now that `message` came from `camera`, or why it may not be used.

        None while pictures of other cameras that belong to it are missing, and for a camera that is not looked through.
        """
        if camera not in self._cameras:
            return None
        seen = self._see(camera, message, instruction)
        if isinstance(seen, Stop):
            self._refused[seen.reason.value] += 1
        return seen

    def _see(self, camera: str, message: Picture, instruction: str) -> Observation | Stop | None:
        stamp_s = seconds(message.header.stamp)
        if not 0 <= stamp_s <= LATEST_STAMP_S:
            return Stop(StopReason.NO_OBSERVATION, f"{camera}: expected a stamp from 0 s on, got {stamp_s} s")
        if self._max_identical and (run := self._count_identical(camera, message.data)) >= self._max_identical:
            return Stop(StopReason.FROZEN_CAMERA, f"{camera}: {run} pictures in a row have the same pixels")
        members = self._synchronizer.offer(camera, stamp_s, message)
        if members is None:
            return None
        oldest_s = min(member.stamp_s for member in members.values())
        proprio = self._measured.proprio(since_s=oldest_s - self._max_proprio_lag_s)
        if isinstance(proprio, Stop):
            return proprio
        try:
            images = {name: picture_from_message(member.value) for name, member in members.items()}
        except InvalidInputError as error:
            return Stop(StopReason.NO_OBSERVATION, str(error))
        return Observation(images, instruction, oldest_s, proprio)

    def _count_identical(self, camera: str, data: array[int]) -> int:
        """How many pictures in a row, this one included, have these bytes.

        Two arrays are compared where they lie, up to the first byte that differs; only the latest one is kept.
        """
        last, run = self._runs.get(camera, (None, 0))
        run = run + 1 if data == last else 1
        self._runs[camera] = (data, run)
        return run
