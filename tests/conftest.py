"""Settings of every test, and which of them have the machine to themselves."""

from __future__ import annotations

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

# Examples are timed by nobody: on a busy machine a slow one is not a failure.
settings.register_profile("magma_ros", deadline=None)
settings.load_profile("magma_ros")

REAL_TIME = (
    *("tests/doctor/test_graph.py", "tests/e2e/test_faults.py", "tests/ros/", "tests/sim/test_demo.py"),
    "tests/sim/sweep/test_process_pool.py",
)
"""Tests of running graphs, and of workers that meet in time: nothing may run beside them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests in real time come last."""
    items.sort(key=lambda item: item.nodeid.startswith(REAL_TIME))


@pytest.hookimpl
def pytest_xdist_make_scheduler(config: pytest.Config, log) -> LoadScopeScheduling:
    """Two processes share the tests file by file."""
    return RealTimeLast(config, log)


class RealTimeLast(LoadScopeScheduling):
    """The tests in real time go to the last process that has anything else to do, when the others are through."""

    def _split_scope(self, nodeid: str) -> str:
        return "in real time" if nodeid.startswith(REAL_TIME) else nodeid.partition("::")[0]

    def _reschedule(self, node) -> None:
        others = [other for other in self.nodes if other is not node and not other.shutting_down]
        if list(self.workqueue) == ["in real time"] and others:
            node.shutdown()
        else:
            super()._reschedule(node)
