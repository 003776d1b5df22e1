"""A small tree of frames: the pose of one frame in another as the composition of the links between them.

It stands where tf2 would: it holds the newest transform of every link, and neither history nor interpolation, because
a pose that steers an arm is only ever wanted now.
"""

from __future__ import annotations

from dataclasses import dataclass

from magma_ros.errors import TransformError
from magma_ros.geometry import compose_poses
from magma_ros.types import Pose

MAX_FRAMES = 1000
"""Links that a tree holds: a room full of robots has a few hundred."""
MAX_NAME_LENGTH = 256
_MAX_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Transform:
    """The pose of one frame in another.

    Attributes:
        pose: Of the child in the parent, position in [m].
        stamp_s: Capture time of the oldest link that moves [s]; None where every link is static.
    """

    pose: Pose
    stamp_s: float | None


@dataclass(frozen=True, slots=True)
class _Link:
    parent: str
    transform: Transform


class TransformTree:
    """The newest transform of each frame in its parent; a frame has one parent at a time."""

    def __init__(self, *, max_frames: int = MAX_FRAMES) -> None:
        """Hold at most `max_frames` links."""
        self._max_frames = max_frames
        self._links: dict[str, _Link] = {}

    def set(self, parent: str, child: str, pose: Pose, *, stamp_s: float, static: bool) -> None:
        """Take the pose of `child` in `parent` [m]; a frame that had another parent moves to this one.

        A static link is valid at any time, and its stamp means nothing. The caller has checked that the numbers are
        finite and the quaternion is of unit norm.

        Raises:
            TransformError: a name that is empty or too long, a link that closes a cycle, or one too many; the tree
                stays as it was.
        """
        for name in (parent, child):
            if not 0 < len(name) <= MAX_NAME_LENGTH:
                raise TransformError(f"frame: expected a name of 1 to {MAX_NAME_LENGTH} characters, got {name[:32]!r}")
        known = self._links.get(child)
        if known is None and len(self._links) >= self._max_frames:
            raise TransformError(f"frame {child!r}: expected at most {self._max_frames} frames, got one more")
        if known is None or known.parent != parent:
            chain = self._ancestors(parent)
            if child in chain:
                raise TransformError(f"frame {child!r} in {parent!r}: expected a tree, got the cycle {_shown(chain)}")
        self._links[child] = _Link(parent, Transform(pose, None if static else stamp_s))

    def lookup(self, parent: str, child: str) -> Transform:
        """The pose of `child` in `parent`, which is above it in the tree.

        Raises:
            TransformError: `child` is unknown, or its chain of parents does not lead to `parent`.
        """
        chain = self._ancestors(child)
        if child not in self._links or parent not in chain[1:]:
            raise TransformError(
                f"transform: expected {child!r} below {parent!r}, got the chain {_shown(chain)}; "
                f"available {_shown(sorted(self._links))}"
            )
        links = [self._links[name].transform for name in chain[: chain.index(parent)]]
        pose = compose_poses(*(link.pose for link in reversed(links)))
        return Transform(pose, min((link.stamp_s for link in links if link.stamp_s is not None), default=None))

    def _ancestors(self, name: str) -> list[str]:
        """`name`, its parent, and so on to the root."""
        chain = [name]
        while (link := self._links.get(chain[-1])) is not None:
            chain.append(link.parent)
        return chain


def _shown(names: list[str]) -> str:
    rest = len(names) - _MAX_SHOWN
    return f"{names[:_MAX_SHOWN]}" + (f" and {rest} more" if rest > 0 else "")
