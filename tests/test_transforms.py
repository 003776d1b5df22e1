"""A tree of frames."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from magma_ros.errors import TransformError
from magma_ros.transforms import TransformTree
from magma_ros.types import Pose

STILL = Pose(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]))
names = st.sampled_from("abcdef")
links = st.tuples(names, names, st.floats(0.0, 100.0), st.booleans())
vectors = st.tuples(*3 * [st.floats(-2.0, 2.0)])


def along_x(metres: float) -> Pose:
    return Pose(np.array([metres, 0.0, 0.0]), STILL.quat_xyzw)


def matrix(pose: Pose) -> np.ndarray:
    made = np.eye(4)
    made[:3, :3], made[:3, 3] = Rotation.from_quat(pose.quat_xyzw).as_matrix(), pose.position_m
    return made


@given(st.lists(st.tuples(vectors, vectors), min_size=1, max_size=6))
def test_a_chain_is_the_product_of_its_links(
    parts: list[tuple[tuple[float, float, float], tuple[float, float, float]]],
) -> None:
    """The pose of the last frame in the first is what homogeneous matrices give."""
    tree, expected = TransformTree(), np.eye(4)
    for number, (position, turn) in enumerate(parts):
        pose = Pose(np.array(position), Rotation.from_rotvec(turn).as_quat())
        tree.set(str(number), str(number + 1), pose, stamp_s=1.0, static=False)
        expected = expected @ matrix(pose)
    np.testing.assert_allclose(expected, matrix(tree.lookup("0", str(len(parts))).pose), atol=1e-9)


def test_the_stamp_is_that_of_the_oldest_link_that_moves() -> None:
    """Static links are valid at any time; of the others the oldest tells how old the pose is."""
    tree = TransformTree()
    tree.set("base", "upper", STILL, stamp_s=7.0, static=False)
    tree.set("upper", "mount", STILL, stamp_s=0.0, static=True)
    tree.set("mount", "hand", STILL, stamp_s=5.0, static=False)
    assert tree.lookup("base", "hand").stamp_s == 5.0
    assert tree.lookup("upper", "mount").stamp_s is None


def test_the_newest_transform_and_parent_of_a_frame_count() -> None:
    """A link that comes again replaces the old one, under another parent too."""
    tree = TransformTree()
    tree.set("base", "hand", along_x(1.0), stamp_s=1.0, static=False)
    tree.set("base", "hand", along_x(2.0), stamp_s=2.0, static=False)
    assert tree.lookup("base", "hand").pose.position_m[0] == 2.0
    tree.set("world", "hand", along_x(3.0), stamp_s=3.0, static=False)
    assert tree.lookup("world", "hand").pose.position_m[0] == 3.0
    with pytest.raises(TransformError, match="base"):
        tree.lookup("base", "hand")


@pytest.mark.parametrize(("parent", "child"), [("base", "tool"), ("hand", "base"), ("base", "base"), ("map", "hand")])
def test_a_link_that_is_missing_is_named(parent: str, child: str) -> None:
    """A frame that is unknown, above instead of below, or below another root gives the chain and what is available."""
    tree = TransformTree()
    tree.set("base", "hand", STILL, stamp_s=1.0, static=False)
    with pytest.raises(TransformError, match=rf"{child}.*below.*{parent}.*available.*hand"):
        tree.lookup(parent, child)


@given(st.lists(links, max_size=40))
def test_no_order_of_links_makes_a_cycle(fed: list[tuple[str, str, float, bool]]) -> None:
    """Whatever is fed, every link is refused or taken, and no frame is ever below itself."""
    tree = TransformTree()
    for parent, child, stamp_s, static in fed:
        with contextlib.suppress(TransformError):
            tree.set(parent, child, STILL, stamp_s=stamp_s, static=static)
        with pytest.raises(TransformError, match="below"):
            tree.lookup(child, child)


def test_a_refused_link_changes_nothing() -> None:
    """After a cycle was refused, the tree gives what it gave before."""
    tree = TransformTree()
    tree.set("base", "arm", along_x(1.0), stamp_s=1.0, static=False)
    tree.set("arm", "hand", along_x(1.0), stamp_s=1.0, static=False)
    with pytest.raises(TransformError, match="cycle"):
        tree.set("hand", "arm", STILL, stamp_s=2.0, static=False)
    assert tree.lookup("base", "hand").pose.position_m[0] == 2.0


def test_the_tree_is_bounded() -> None:
    """One frame too many, a name that is empty and one of a megabyte are refused; known frames go on."""
    tree = TransformTree(max_frames=2)
    tree.set("base", "a", STILL, stamp_s=1.0, static=False)
    tree.set("base", "b", STILL, stamp_s=1.0, static=False)
    with pytest.raises(TransformError, match="at most 2"):
        tree.set("base", "c", STILL, stamp_s=1.0, static=False)
    for name in ("", "x" * 1_000_000):
        with pytest.raises(TransformError, match="name of 1 to") as caught:
            tree.set("base", name, STILL, stamp_s=1.0, static=False)
        assert len(str(caught.value)) < 200
    tree.set("base", "a", along_x(1.0), stamp_s=2.0, static=False)
    assert tree.lookup("base", "a").pose.position_m[0] == 1.0
