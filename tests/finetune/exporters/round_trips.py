"""Episodes that Hypothesis draws, and whether two are the same to the bit."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from magma_ros.episodes import Episode, EpisodeDataset, EpisodeWriter
from tests.examples import CONTRACT

_LIMITED = {"allow_nan": False, "allow_infinity": False, "width": 64}
SENTENCES = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "Zs")), min_size=1, max_size=30).filter(
    lambda text: text.strip() != ""
)


@st.composite
def episodes(draw, *, num_joints=6):
    """Any numbers that an episode of the example contract may hold, at about its rate."""
    num_steps = draw(st.integers(1, 6))
    share = arrays.arrays(np.float64, (num_steps, 7), elements=st.floats(-0.5, 0.5, **_LIMITED))
    actions = draw(share) * ([CONTRACT.max_translation_m] * 3 + [CONTRACT.max_rotation_rad] * 3 + [1.0])
    actions[:, 6] = draw(arrays.arrays(np.float64, num_steps, elements=st.floats(0, 1, **_LIMITED)))
    quats = draw(arrays.arrays(np.float64, (num_steps, 4), elements=st.floats(0.1, 1, **_LIMITED)))
    jitter = draw(arrays.arrays(np.float64, num_steps, elements=st.floats(-0.02, 0.02, **_LIMITED)))
    picture = st.integers(0, 2**32 - 1).map(np.random.default_rng)
    return Episode(
        images={"image": draw(picture).integers(0, 256, (num_steps, 4, 6, 3), dtype=np.uint8)},
        actions=actions,
        ee_position_m=draw(arrays.arrays(np.float64, (num_steps, 3), elements=st.floats(-2, 2, **_LIMITED))),
        ee_quat_xyzw=quats / np.linalg.norm(quats, axis=1, keepdims=True),
        gripper_opening=draw(arrays.arrays(np.float64, num_steps, elements=st.floats(0, 1, **_LIMITED))),
        joint_positions_rad=draw(
            arrays.arrays(np.float64, (num_steps, num_joints), elements=st.floats(-7, 7, **_LIMITED))
        ),
        stamps_s=draw(st.floats(0, 1.7e9, **_LIMITED)) + 0.2 * np.arange(1, num_steps + 1) + jitter,
        instruction=draw(SENTENCES),
        seed=draw(st.integers(0, 2**40)),
        success=draw(st.booleans()),
        interventions=draw(arrays.arrays(np.bool_, num_steps)),
        operator=draw(st.one_of(st.just(""), SENTENCES)),
    )


def assert_same(expected, actual):
    """Every number, picture and word, to the bit."""
    names = (
        "actions",
        "ee_position_m",
        "ee_quat_xyzw",
        "gripper_opening",
        "joint_positions_rad",
        "stamps_s",
        "interventions",
    )
    for name in names:
        assert getattr(expected, name).tobytes() == getattr(actual, name).tobytes(), name
    assert set(expected.images) == set(actual.images)
    for camera, pictures in expected.images.items():
        np.testing.assert_array_equal(pictures, actual.images[camera])
    words = ("instruction", "seed", "success", "operator")
    assert [getattr(expected, word) for word in words] == [getattr(actual, word) for word in words]


def written(folder, episodes):
    """A dataset of these episodes."""
    with EpisodeWriter(folder, contract=CONTRACT, source={"env": "invented"}) as writer:
        for episode in episodes:
            writer.append(episode)
    return EpisodeDataset(folder)
