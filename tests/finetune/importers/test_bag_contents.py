"""Numbers of a recording as series: in the order of their times, and refused by name where there are none."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest

from magma_ros.errors import ImportDataError
from magma_ros.finetune.importers.bag_contents import Contents


def test_poses_are_a_series_in_the_order_of_their_stamps() -> None:
    """However they were received."""
    contents = Contents(poses={2.0: np.arange(7.0), 1.0: np.arange(7.0) + 10.0})
    series = contents.pose_series()
    assert [1.0, 2.0] == series.times_s.tolist()
    np.testing.assert_array_equal([np.arange(7.0) + 10.0, np.arange(7.0)], series.values)


def test_a_recording_without_a_pose_says_what_was_refused() -> None:
    """The reasons are how somebody finds the topic at fault."""
    contents = Contents(refused=Counter({"pose in frame 'map'": 3}))
    message = """expected a measured pose of the end effector, got none; refused {"pose in frame 'map'": 3}"""
    with pytest.raises(ImportDataError, match=f"^{re.escape(message)}$"):
        contents.pose_series()


def test_joints_come_in_the_order_in_which_they_are_asked_for() -> None:
    """Each a series of its own, of one column; others that were recorded are left out."""
    contents = Contents(joints={"elbow": [(2.0, 0.2), (1.0, 0.1)], "waist": [(1.5, -0.5)], "lamp": [(0.0, 9.0)]})
    waist, elbow = contents.joint_series(["waist", "elbow"])
    assert ([1.5], [[-0.5]]) == (waist.times_s.tolist(), waist.values.tolist())
    assert ([1.0, 2.0], [[0.1], [0.2]]) == (elbow.times_s.tolist(), elbow.values.tolist())
    assert [] == contents.joint_series([])


def test_joints_that_nobody_measured_are_named_together() -> None:
    """One that was never there, and one without a sample, beside those that there are."""
    contents = Contents(joints={"waist": [(1.0, 0.0)], "elbow": []}, refused=Counter(late=1))
    message = "expected the joints ['wrist', 'elbow'], got ['elbow', 'waist']; refused {'late': 1}"
    with pytest.raises(ImportDataError, match=f"^{re.escape(message)}$"):
        contents.joint_series(["wrist", "waist", "elbow"])


def test_two_recordings_share_nothing() -> None:
    """What the first gathers is not in the second, and no verdict is no failure."""
    first, second = Contents(), Contents()
    first.joints["waist"] = [(0.0, 0.0)]
    first.instructions.append("stack")
    assert ({}, [], None) == (second.joints, second.instructions, second.success)
