"""What is recorded when, and for how long; that replays change no bit needs a GPU (`test_cuda`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from magma_ros.model import recordings
from magma_ros.model.recordings import MOST_RECORDINGS, Recordings


class FakeRecording:
    """Replays by saying so."""

    fails = False

    def __init__(self, _room: object, inputs: Sequence[Any]) -> None:
        self._inputs = inputs

    def run(self, function: Callable[..., Any]) -> Any:
        """As the real one, without a stream of its own."""
        return function(*self._inputs)

    def record(self, _function: Callable[..., Any]) -> None:
        """Fails on request."""
        if self.fails:
            raise RuntimeError("operation not permitted when stream is capturing")

    def replay(self, inputs: Sequence[Any]) -> Any:
        """What was replayed."""
        return f"replayed {inputs[0].shape}"


@pytest.fixture(autouse=True)
def _no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "_Room", lambda _device: None)
    monkeypatch.setattr(recordings, "_Recording", FakeRecording)


def on_gpu(length: int) -> Any:
    """What is asked of a tensor there."""
    return SimpleNamespace(is_cuda=True, device="cuda:0", shape=(length,), dtype=torch.float32)


def launched(tensor: Any) -> str:
    """A function's result."""
    return f"launched {tensor.shape}"


def test_a_shape_is_replayed_from_its_third_time_on() -> None:
    """The second time it is recorded; other names and shapes are other recordings."""
    some = Recordings()
    said = [some.run("text", launched, on_gpu(3)) for _ in range(4)]
    assert ["launched (3,)"] * 2 + ["replayed (3,)"] * 2 == said
    assert "launched (3,)" == some.run("tower", launched, on_gpu(3))
    assert "launched (4,)" == some.run("text", launched, on_gpu(4))


def test_what_moved_is_recorded_anew() -> None:
    """After `forget` a shape has not been seen."""
    some = Recordings()
    for _ in range(3):
        some.run("text", launched, on_gpu(3))
    some.forget()
    assert ["launched (3,)"] * 2 == [some.run("text", launched, on_gpu(3)) for _ in range(2)]
    assert "replayed (3,)" == some.run("text", launched, on_gpu(3))


def test_the_one_that_was_not_used_for_longest_goes() -> None:
    """As many stay as are allowed, by their last use."""
    some = Recordings()
    for length in [*range(MOST_RECORDINGS), 0, MOST_RECORDINGS]:
        for _ in range(2):
            some.run("text", launched, on_gpu(length))
    assert "replayed (0,)" == some.run("text", launched, on_gpu(0))
    assert "launched (1,)" == some.run("text", launched, on_gpu(1))


def test_after_one_failure_everything_is_launched(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The result is there all the same, and one warning names the function and the reason."""
    monkeypatch.setattr(FakeRecording, "fails", True)
    some = Recordings()
    said = [some.run(name, launched, on_gpu(3)) for name in ("text", "tower") for _ in range(4)]
    assert ["launched (3,)"] * 8 == said
    (warning,) = caplog.records
    assert warning.getMessage().startswith("text cannot be recorded")


def test_a_cpu_has_no_recordings() -> None:
    """Its tensors go to the function as they are."""
    some, ones = Recordings(), torch.ones(3)
    assert all(some.run("double", lambda x: x + x, ones).tolist() == [2.0] * 3 for _ in range(3))
    assert not some._recordings
