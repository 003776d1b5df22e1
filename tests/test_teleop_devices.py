from __future__ import annotations

import math

import numpy as np
import pytest

from magma_ros.errors import TeleopError
from magma_ros.teleop_devices import (
    HELP,
    JOY_TIMEOUT_S,
    KEY_HOLD_S,
    MOVES,
    ORDERS,
    Joystick,
    JoystickMap,
    Keyboard,
    Order,
    Speeds,
)

SPEEDS = Speeds(0.1, 0.5)
REST = [0.0] * 6


def test_a_key_moves_while_it_is_repeated():
    """A press counts for `KEY_HOLD_S`, a repetition as long again, and then the arm is to rest."""
    keys = Keyboard(SPEEDS)
    keys.press("w", 1.8e9)
    assert [0.1, 0, 0, 0, 0, 0] == keys.read(1.8e9).twist.tolist()
    keys.press("w", 1.0)
    assert [0.1, 0, 0, 0, 0, 0] == keys.read(1.0 + 0.9 * KEY_HOLD_S).twist.tolist()
    keys.press("w", 1.0 + 0.9 * KEY_HOLD_S)
    assert [0.1, 0, 0, 0, 0, 0] == keys.read(1.0 + 1.8 * KEY_HOLD_S).twist.tolist()
    assert REST == keys.read(1.0 + 2.0 * KEY_HOLD_S).twist.tolist()


def test_every_axis_has_two_keys():
    """Each of the six axes is moved both ways, and opposite keys cancel."""
    keys = Keyboard(SPEEDS)
    for key in MOVES:
        keys.press(key, 0.0)
    assert REST == keys.read(0.0).twist.tolist()
    assert {(axis, sign) for axis in ("x", "y", "z", "roll", "pitch", "yaw") for sign in (-1, 1)} == set(MOVES.values())


def test_any_other_key_stops_every_motion():
    """Also one that orders nothing; each order is handed out once."""
    keys = Keyboard(SPEEDS)
    keys.press("w", 0.0)
    keys.press("?", 0.0)
    assert REST == keys.read(0.0).twist.tolist()
    keys.press("w", 0.0)
    keys.press("c", 0.0)
    keys.press(" ", 0.0)
    wish = keys.read(0.0)
    assert (REST, (Order.CLOSE, Order.EMERGENCY_STOP)) == (wish.twist.tolist(), wish.orders)
    assert () == keys.read(0.0).orders


def test_a_clock_that_goes_back_lets_go():
    """A key does not count for longer because the clock was set."""
    keys = Keyboard(SPEEDS)
    keys.press("w", 100.0)
    assert REST == keys.read(50.0).twist.tolist()


def test_the_help_names_every_key():
    """What a person reads at the start is all there is."""
    assert set(Order) == set(ORDERS.values())
    words = HELP.replace("/", " ").split()
    assert {key for key in (*MOVES, *ORDERS) if key != " "} <= set(words)
    assert "space" in words


def xbox():
    return Joystick(SPEEDS, JoystickMap.load("xbox"))


def axes(**values):
    meaning = JoystickMap.load("xbox").axes
    found = [0.0] * 8
    for name, value in values.items():
        index, sign = meaning[name]
        found[index] = sign * value
    return found


def buttons(*pressed):
    return [int(index in pressed) for index in range(9)]


def test_a_stick_moves_only_while_the_button_is_held():
    """The dead man's button gates every axis; a share of the stick is a share of the speed."""
    joystick, meaning = xbox(), JoystickMap.load("xbox")
    joystick.hear(axes(x=1.0), buttons(), 0.0)
    assert REST == joystick.read(0.0).twist.tolist()
    joystick.hear(axes(x=1.0, yaw=-0.5), buttons(meaning.enable_button), 0.0)
    assert pytest.approx([0.1, 0, 0, 0, 0, -0.25]) == joystick.read(0.0).twist
    joystick.hear(axes(x=0.9 * meaning.dead_zone), buttons(meaning.enable_button), 0.0)
    assert REST == joystick.read(0.0).twist.tolist()


def test_a_joystick_that_says_nothing_is_silent():
    """Neither before its first message nor after its last one does anybody speak for it."""
    joystick = xbox()
    assert joystick.read(0.0) is None
    joystick.hear(axes(), buttons(), 1.0)
    assert joystick.read(1.0 + 0.9 * JOY_TIMEOUT_S) is not None
    assert joystick.read(1.0 + 1.1 * JOY_TIMEOUT_S) is None
    assert joystick.read(0.5) is None


def test_a_button_orders_when_it_is_newly_pressed():
    """A button that is held orders once."""
    joystick = xbox()
    for _ in range(3):
        joystick.hear(axes(), buttons(0, 7), 0.0)
    assert {Order.CLOSE, Order.START} == set(joystick.read(0.0).orders)
    joystick.hear(axes(), buttons(), 0.0)
    joystick.hear(axes(), buttons(0), 0.0)
    assert (Order.CLOSE,) == joystick.read(0.0).orders


def test_a_message_that_is_too_short_moves_nothing():
    """A joystick with fewer axes and buttons than its mapping has rests, and NaN stays NaN for the motion node."""
    joystick = xbox()
    joystick.hear([], [], 0.0)
    assert REST == joystick.read(0.0).twist.tolist()
    joystick.hear(axes(x=math.nan), buttons(4), 0.0)
    assert np.isnan(joystick.read(0.0).twist[0])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("enable_button: 4\n", "KeyError"),
        ("enable_button: 4\ndead_zone: 2.0\naxes: {x: {axis: 0, sign: 1}}\nbuttons: {}\n", "dead_zone"),
        ("enable_button: 4\ndead_zone: 0.1\naxes: {w: {axis: 0, sign: 1}}\nbuttons: {}\n", "expected one of"),
        ("enable_button: 4\ndead_zone: 0.1\naxes: {x: {axis: 0, sign: 3}}\nbuttons: {}\n", "signs of 1 or -1"),
        ("enable_button: 4\ndead_zone: 0.1\naxes: {x: {axis: -1, sign: 1}}\nbuttons: {}\n", "0 or more"),
        ("enable_button: 4\ndead_zone: 0.1\naxes: {}\nbuttons: {jump: 0}\n", "jump"),
    ],
)
def test_a_mapping_with_faults_is_refused(tmp_path, text, problem):
    """The error names the file and what is wrong."""
    path = tmp_path / "pad.yaml"
    path.write_text(text)
    with pytest.raises(TeleopError, match=problem) as caught:
        JoystickMap.load(str(path))
    assert "pad.yaml" in str(caught.value)


def test_an_unknown_joystick_is_refused():
    """The error names those that there are."""
    with pytest.raises(TeleopError, match="xbox"):
        JoystickMap.load("gamecube")
