"""One LIBERO scene for all tests of this folder: a drawn environment takes 6 s and 2 GB."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from magma_ros.sim.libero.env import LiberoEnv
from tests.sim.libero.golden import IMAGE_SIZE_PX, SUITE, TASK


@pytest.fixture(scope="session")
def drawn() -> Iterator[LiberoEnv]:
    """The bowl in the open drawer of a cabinet, beside a stove: fixtures, joints and objects; upstream's pictures."""
    env = LiberoEnv(SUITE, TASK, image_size_px=IMAGE_SIZE_PX)
    yield env
    env.close()


@pytest.fixture(scope="session")
def blind() -> Iterator[LiberoEnv]:
    """The same task without pictures."""
    env = LiberoEnv(SUITE, TASK, render=False)
    yield env
    env.close()
