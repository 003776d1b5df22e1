"""What a function launches on a GPU, recorded when a shape of its inputs comes again, and replayed from then on.

A run of Magma-8B over a few tokens is some thousand kernels, which take Python ten times longer to launch than the GPU
to work off. A recording (a CUDA graph) launches the very same kernels at once: no bit of the result changes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Sequence

import torch
from torch import Tensor

MOST_RECORDINGS = 16
"""Prompts of different lengths need one each; the one that was not used for longest goes first."""

_LOG = logging.getLogger(__name__)

TensorFunction = Callable[..., Tensor]


class Recordings:
    """The recordings of functions whose weights and caches stay in their places; elsewhere than on a GPU, none.

    Not for several threads at a time, but others may use the GPU meanwhile.
    """

    def __init__(self) -> None:
        self._recordings: dict[Hashable, _Recording] = {}
        self._seen: set[Hashable] = set()
        self._room: _Room | None = None
        self._works = True

    def run(self, name: str, function: TensorFunction, *inputs: Tensor) -> Tensor:
        """What `function(*inputs)` gives, in a tensor of its own.

        Args:
            name: Of the function, which is called for the first two inputs of a shape only.
            function: Launches the same work for all inputs of the same shapes, and reads nothing back from the GPU.
            inputs: On one device.
        """
        if not (inputs[0].is_cuda and self._works):
            return function(*inputs)
        key = (name, *((tensor.shape, tensor.dtype) for tensor in inputs))
        known = self._recordings.pop(key, None)
        if known is not None:
            self._recordings[key] = known
            return known.replay(inputs)
        if key not in self._seen:  # a question that is asked once, or batches of changing sizes: not worth it
            self._seen.add(key)
            return function(*inputs)
        room = self._room = self._room or _Room(inputs[0].device)
        recording = _Recording(room, inputs)
        result = recording.run(function)
        try:
            recording.record(function)
        except RuntimeError as error:
            self._works = False
            _LOG.warning("%s cannot be recorded as a CUDA graph and is launched anew each time: %s", name, error)
            return result
        self._recordings[key] = recording
        if len(self._recordings) > MOST_RECORDINGS:
            del self._recordings[next(iter(self._recordings))]
        return result

    def forget(self) -> None:
        """Record anew: something that the functions read or write is not where it was."""
        self._recordings.clear()
        self._seen.clear()


class _Room:
    """Where recordings work: a stream of their own, and memory that they take turns in."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch's
        self.pool = torch.cuda.graph_pool_handle()


class _Recording:
    """One function at one shape."""

    def __init__(self, room: _Room, inputs: Sequence[Tensor]) -> None:
        self._room = room
        self._inputs = [tensor.clone() for tensor in inputs]
        self._graph = torch.cuda.CUDAGraph()
        self._output: Tensor | None = None

    def run(self, function: TensorFunction) -> Tensor:
        """The result for the inputs that came with it; warms up what must not happen in a recording."""
        stream, caller = self._room.stream, torch.cuda.current_stream(self._room.device)
        stream.wait_stream(caller)
        with torch.cuda.stream(stream):
            result = function(*self._inputs)
        caller.wait_stream(stream)
        result.record_stream(caller)
        return result

    def record(self, function: TensorFunction) -> None:
        """Record what the function launches; nothing of it is executed.

        Raises:
            RuntimeError: it does what cannot be recorded.
        """
        with torch.cuda.stream(self._room.stream):
            self._room.stream.synchronize()
            # Other threads may go on allocating: another checkpoint is loaded while this one acts.
            self._graph.capture_begin(pool=self._room.pool, capture_error_mode="thread_local")
            try:
                self._output = function(*self._inputs)
            finally:
                self._graph.capture_end()

    def replay(self, inputs: Sequence[Tensor]) -> Tensor:
        """The result for other inputs, before another recording writes over it."""
        assert self._output is not None
        for own, new in zip(self._inputs, inputs, strict=True):
            own.copy_(new)
        self._graph.replay()
        return self._output.clone()
