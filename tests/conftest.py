"""Settings of every test."""

from __future__ import annotations

from hypothesis import settings

# Examples are timed by nobody: on a busy machine a slow one is not a failure.
settings.register_profile("magma_ros", deadline=None)
settings.load_profile("magma_ros")
