"""The same policy, here and behind a socket, gives the same answer to the bit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magma_ros.checkpoint import load_policy
from magma_ros.policy import Policy
from magma_ros.remote.client import RemotePolicy
from magma_ros.types import Observation
from tests.model.random_checkpoints import write_random_checkpoint
from tests.remote.serving import picture, serving

OBSERVATIONS = st.builds(
    lambda seed, height_px, width_px, instruction, stamp_s: Observation(
        {"image": picture(seed, height_px=height_px, width_px=width_px)}, instruction, stamp_s
    ),
    st.integers(0, 2**32),
    st.integers(1, 200),
    st.integers(1, 200),
    st.sampled_from(["put carrot on plate", "Stack the GREEN block", "déplace la carotte", "x" * 300]),
    st.floats(0, 1e9),
)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Policy, Policy]]:
    """A checkpoint with random weights, loaded here and served."""
    folder = write_random_checkpoint(tmp_path_factory.mktemp("checkpoint"))
    with serving(load_policy(folder)) as server:
        remote = RemotePolicy(server.address, deadline_s=60.0)
        yield load_policy(folder), remote
        remote.close()


@settings(max_examples=30)
@given(observation=OBSERVATIONS, begins=st.booleans())
def test_actions_tokens_and_entropy_are_those_of_the_local_policy(
    pair: tuple[Policy, Policy], observation: Observation, *, begins: bool
) -> None:
    """For any picture, instruction and time, also in the middle of an episode with its drafts."""
    local, remote = pair
    if begins:
        local.reset()
        remote.reset()
    here, there = local.infer(observation), remote.infer(observation)
    assert (here.frame, here.stamp_s) == (there.frame, there.stamp_s)
    for name in ("actions", "tokens", "entropy_nats"):
        expected, got = getattr(here, name), getattr(there, name)
        assert expected.dtype == got.dtype
        np.testing.assert_array_equal(expected, got)


def test_contracts_are_equal(pair: tuple[Policy, Policy]) -> None:
    """The handshake carries the whole contract."""
    assert pair[0].contract == pair[1].contract
