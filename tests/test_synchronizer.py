"""Sets of messages by their stamps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_ros.errors import InvalidInputError
from magma_ros.synchronizer import (
    CLOCK_BACKWARDS,
    DUPLICATE_STAMP,
    QUEUE_FULL,
    QUEUE_LENGTH,
    UNMATCHED,
    Synchronizer,
)

SLOP_S = 0.05
STREAMS = ("left", "right", "wrist")
stamps = st.integers(-30, 30).map(lambda tick: tick / 50) | st.sampled_from([1e9, -1e9])
arrivals = st.lists(st.tuples(st.sampled_from(STREAMS), stamps), max_size=80)


def pair() -> Synchronizer[str]:
    return Synchronizer(("left", "right"), slop_s=SLOP_S)


def offer_all(sync: Synchronizer[int], messages: list[tuple[str, float]]) -> list[dict[str, tuple[float, int]]]:
    """The sets, each by stream: stamp and the message's place in the order of arrival."""
    sets = [sync.offer(stream, stamp_s, number) for number, (stream, stamp_s) in enumerate(messages)]
    return [{s: (m.stamp_s, m.value) for s, m in found.items()} for found in sets if found is not None]


@given(arrivals)
def test_every_set_is_complete_and_within_the_slop(messages: list[tuple[str, float]]) -> None:
    """Whatever the stamps do, a set has each stream once, with its own message, and stamps within the slop."""
    for found in offer_all(Synchronizer(STREAMS, slop_s=SLOP_S), messages):
        assert list(STREAMS) == list(found)
        assert max(stamp for stamp, _ in found.values()) - min(stamp for stamp, _ in found.values()) <= SLOP_S
        assert all(messages[number] == (stream, stamp) for stream, (stamp, number) in found.items())


@given(arrivals)
def test_no_message_is_used_twice_and_none_is_lost_from_the_count(messages: list[tuple[str, float]]) -> None:
    """Each message is in one set, or counted as dropped, or still waiting in a bounded queue."""
    sync: Synchronizer[int] = Synchronizer(STREAMS, slop_s=SLOP_S, queue_length=3)
    used = [number for found in offer_all(sync, messages) for _, number in found.values()]
    assert len(set(used)) == len(used)
    num_waiting = len(messages) - len(used) - sync.dropped.total()
    assert 0 <= num_waiting <= 3 * len(STREAMS)


@given(st.permutations(range(12)))
def test_order_of_arrival_between_streams_does_not_matter(order: list[int]) -> None:
    """Two cameras in step give every frame as a set, however their messages interleave."""
    ticks = {"left": iter(range(6)), "right": iter(range(6))}
    messages = [(stream, next(ticks[stream]) / 10) for stream in ("left" if i < 6 else "right" for i in order)]
    found = offer_all(Synchronizer(("left", "right"), slop_s=SLOP_S), messages)
    assert found
    assert all(one["left"][0] == one["right"][0] for one in found)
    assert found[-1]["left"][0] == 0.5


def test_one_stream_gives_every_message_at_once() -> None:
    """A single camera waits for nobody."""
    sync: Synchronizer[int] = Synchronizer(("image",), slop_s=0.0)
    assert [{"image": (0.1, 0)}, {"image": (0.2, 1)}] == offer_all(sync, [("image", 0.1), ("image", 0.2)])


def test_the_newest_complete_set_is_given_and_what_is_older_is_dropped() -> None:
    """Frames that waited for the slow stream are passed over for the one that is in step with it."""
    sync = pair()
    for stamp_s in (0.0, 0.1, 0.2):
        assert sync.offer("left", stamp_s, "l") is None
    found = sync.offer("right", 0.21, "r")
    assert found is not None
    assert (0.2, 0.21) == (found["left"].stamp_s, found["right"].stamp_s)
    assert {UNMATCHED: 2} == dict(sync.dropped)


def test_three_streams_need_one_window_not_three_neighbours() -> None:
    """Stamps that each lie near the middle one, but not near each other, are no set."""
    sync: Synchronizer[str] = Synchronizer(STREAMS, slop_s=SLOP_S)
    assert sync.offer("left", 0.00, "l") is None
    assert sync.offer("right", 0.04, "r") is None
    assert sync.offer("wrist", 0.08, "w") is None
    assert sync.offer("left", 0.05, "l") is not None


def test_a_stream_without_partners_waits_in_a_bounded_queue() -> None:
    """The oldest go when the queue is full, and are counted."""
    sync = pair()
    for tick in range(QUEUE_LENGTH + 5):
        sync.offer("left", tick / 10, "l")
    assert {QUEUE_FULL: 5} == dict(sync.dropped)


def test_a_stamp_of_the_far_future_blocks_nothing() -> None:
    """After one wild stamp the stream goes on with its next message."""
    sync = pair()
    sync.offer("left", 1e9, "wild")
    assert sync.offer("right", 0.1, "r") is None
    found = sync.offer("left", 0.1, "l")
    assert found is not None
    assert found["left"].value == "l"
    assert {CLOCK_BACKWARDS: 1} == dict(sync.dropped)


def test_clocks_that_start_over_give_sets_again() -> None:
    """After both streams went back in time, their new frames are joined and none of the old ones."""
    sync = pair()
    sync.offer("left", 100.0, "old")
    sync.offer("left", 1.0, "l")
    found = sync.offer("right", 1.0, "r")
    assert found is not None
    assert ("l", "r") == (found["left"].value, found["right"].value)


def test_a_message_that_comes_twice_is_used_once() -> None:
    """A second message of one stamp is dropped as a duplicate."""
    sync: Synchronizer[str] = Synchronizer(("image",), slop_s=0.0)
    assert sync.offer("image", 1.0, "a") is not None
    assert sync.offer("image", 1.0, "a") is None
    assert {DUPLICATE_STAMP: 1} == dict(sync.dropped)


def test_what_makes_no_sense_is_refused() -> None:
    """No stream, one twice, a slop that is negative or no number, an empty queue and an unknown stream raise."""
    for streams, slop_s, length in (((), 0.1, 1), (("a", "a"), 0.1, 1), (("a",), -0.1, 1), (("a",), 0.1, 0)):
        with pytest.raises(InvalidInputError, match="expected"):
            Synchronizer(streams, slop_s=slop_s, queue_length=length)
    with pytest.raises(InvalidInputError, match="nan"):
        Synchronizer(("a",), slop_s=float("nan"))
    with pytest.raises(InvalidInputError, match="right"):
        pair().offer("middle", 0.0, "m")
