"""Fixtures of the tests that need a dataset for training."""

from tests.invented_episodes import episodes_folder

__all__ = ["episodes_folder"]
