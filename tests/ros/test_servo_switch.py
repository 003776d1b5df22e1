"""When MoveIt Servo is asked to listen, and what is said until it does; a server by hand (over DDS: `test_outputs`)."""

from __future__ import annotations

import pytest

from magma_ros.ros.servo_switch import ServoSwitch
from magma_ros.stops import Stop, StopReason
from tests.ros.plain_node import PlainNode

SERVICE = "servo/switch"
START_S = 100.0


def start(kind="TWIST"):
    """A node, its switch, whose steady clock shows 100 s, and the client of it."""
    node = PlainNode()
    node.now_s = node.steady_s = START_S
    switch = ServoSwitch(node, SERVICE, kind, now_s=lambda: node.steady_s)
    return node, switch, node.clients[SERVICE]


def not_ready(why):
    return Stop(StopReason.OUTPUT_NOT_READY, f"{SERVICE} {why}")


GONE, SILENT = not_ready("is not there: start MoveIt Servo"), not_ready("has not answered yet")
REFUSED = not_ready("refused to listen to TWIST commands")


def test_nothing_is_asked_before_the_first_poll():
    """A switch that nobody polls is silent."""
    _, _, client = start()
    assert [] == client.asked


@pytest.mark.parametrize(("kind", "number"), [("TWIST", 1), ("POSE", 2)])
def test_servo_is_asked_once_and_a_yes_lasts(kind, number):
    """One request however often it is polled; after the answer there is nothing more to say, an hour later too."""
    node, switch, client = start(kind)
    assert [SILENT, SILENT] == [switch.poll(), switch.poll()]
    client.answer(success=True)
    assert switch.poll() is None
    node.steady_s += 3600.0
    assert switch.poll() is None
    assert [number] == [request.command_type for request in client.asked]


def test_a_server_that_is_not_there_is_not_asked():
    """It is asked at the first poll that finds it."""
    _, switch, client = start()
    client.is_ready = False
    assert ([GONE, GONE], []) == ([switch.poll(), switch.poll()], client.asked)
    client.is_ready = True
    assert (SILENT, 1) == (switch.poll(), len(client.asked))


def test_a_server_that_went_away_is_asked_anew():
    """The yes of the one before does not count, and its request is withdrawn."""
    _, switch, client = start()
    switch.poll()
    client.answer(success=True)
    assert switch.poll() is None
    client.is_ready = False
    assert GONE == switch.poll()
    assert client.pending == client.withdrawn
    client.is_ready = True
    assert (SILENT, 2) == (switch.poll(), len(client.asked))


@pytest.mark.parametrize("answer", [{"success": False}, None])
def test_a_refusal_is_asked_again_after_a_second(answer):
    """Not at the second's end, but after it; then the new answer counts. No answer at all is a refusal."""
    node, switch, client = start()
    switch.poll()
    client.answer(**answer) if answer else client.pending[0].set_result(None)
    node.steady_s = START_S + 1.0
    assert ([REFUSED, REFUSED], 1) == ([switch.poll(), switch.poll()], len(client.asked))
    node.steady_s = START_S + 1.001
    assert ([REFUSED, SILENT], 2) == ([switch.poll(), switch.poll()], len(client.asked))
    client.answer(success=True)
    assert switch.poll() is None


def test_the_second_counts_from_the_question():
    """The third question is a second after the second one, not after the first."""
    node, switch, client = start()
    switch.poll()
    client.answer(success=False)
    node.steady_s = START_S + 1.5
    assert [REFUSED, SILENT] == [switch.poll(), switch.poll()]
    client.answer(success=False)
    node.steady_s = START_S + 2.5
    assert ([REFUSED, REFUSED], 2) == ([switch.poll(), switch.poll()], len(client.asked))
    node.steady_s = START_S + 2.51
    assert ([REFUSED, SILENT], 3) == ([switch.poll(), switch.poll()], len(client.asked))


def test_a_lost_answer_is_not_waited_for_for_ever():
    """DDS may drop the answer to a client that is new to the server: after five seconds of silence it asks again."""
    node, switch, client = start()
    switch.poll()
    node.steady_s = START_S + 5.0
    assert ([SILENT, SILENT], 1) == ([switch.poll(), switch.poll()], len(client.asked))
    node.steady_s = START_S + 5.001
    assert ([SILENT, SILENT], 2) == ([switch.poll(), switch.poll()], len(client.asked))
    assert client.pending[:1] == client.withdrawn
    client.answer(success=True)
    assert switch.poll() is None


@pytest.mark.parametrize("shown_s", [0.0, START_S, 1e6])
def test_simulated_time_delays_nothing_and_hurries_nothing(shown_s):
    """Whether it is set back, stands still or leaps: a lost answer and a refusal are asked about again in real time."""
    node, switch, client = start()
    switch.poll()
    node.now_s = shown_s
    node.steady_s = START_S + 5.0
    assert ([SILENT, SILENT], 1) == ([switch.poll(), switch.poll()], len(client.asked))
    node.steady_s = START_S + 5.001
    assert ([SILENT, SILENT], 2) == ([switch.poll(), switch.poll()], len(client.asked))
    client.answer(success=False)
    node.now_s = shown_s - 50.0 if shown_s else 0.0
    node.steady_s += 1.001
    assert ([REFUSED, SILENT], 3) == ([switch.poll(), switch.poll()], len(client.asked))
