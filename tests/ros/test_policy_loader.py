import threading

import pytest

from magma_ros.errors import CheckpointError
from magma_ros.ros.policy_loader import PolicyLoader


class Loaded:
    """Stands for a setup: something with a policy that can be closed."""

    def __init__(self):
        self.policy, self.closed = self, threading.Event()

    def close(self):
        self.closed.set()


class Loads:
    """Loads once it is let go; errors are raised."""

    def __init__(self, outcome):
        self.outcome, self.go, self.asked, self.errors = outcome, threading.Event(), [], []
        self.loader = PolicyLoader(self, log_error=self.errors.append)

    def __call__(self, name, make_room, is_given_up):
        make_room()
        self.is_given_up = is_given_up
        self.asked.append(name)
        assert self.go.wait(timeout=10)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    def result(self):
        """What came once the thread has ended its work."""
        self.go.set()
        self.loader._thread.submit(lambda: None).result(timeout=10)
        return self.loader.result()


def test_nobody_waits_for_a_policy_that_is_loading():
    """While it loads there is no result; then it is handed over once, and room was made before it."""
    loads = Loads(Loaded())
    loads.loader.begin("next", make_room=lambda: loads.asked.append("room"))
    assert loads.loader.result() is None
    assert loads.outcome is loads.result()
    assert loads.loader.result() is None
    assert ["room", "next"] == loads.asked


@pytest.mark.parametrize(
    ("error", "said", "num_logged"),
    [(CheckpointError("no such folder"), "no such folder", 0), (RuntimeError("CUDA"), "RuntimeError: CUDA", 1)],
)
def test_a_policy_that_cannot_be_loaded_is_a_sentence(error, said, num_logged):
    """An error of ours is told as it is; one that nobody foresaw is logged with its traceback too."""
    loads = Loads(error)
    loads.loader.begin("next", make_room=lambda: None)
    result = loads.result()
    assert isinstance(result, str)
    assert said in result
    assert num_logged == len(loads.errors)
    assert all("Traceback" in logged for logged in loads.errors)


def test_a_policy_that_nobody_wants_any_more_is_closed():
    """One that is abandoned while it loads hears of it; it is closed when it is there, and is nobody's result."""
    loads = Loads(Loaded())
    loads.loader.begin("next", make_room=lambda: None)
    loads.loader.abandon()
    assert loads.result() is None
    assert loads.is_given_up()
    assert loads.outcome.closed.wait(timeout=10)
