"""Keys of a terminal, through a pseudo-terminal."""

from __future__ import annotations

import os
import sys

import pytest

from magma_ros.errors import TeleopError
from magma_ros.ros.terminal import Terminal
from magma_ros.teleop_devices import MOVES, ORDERS


class Desk:
    """A terminal that the test types into."""

    def __init__(self, monkeypatch):
        self.keyboard, inside = os.openpty()
        self._file = os.fdopen(inside)
        monkeypatch.setattr(sys, "stdin", self._file)
        self.terminal = Terminal()

    def type(self, text):
        os.write(self.keyboard, text.encode())
        return self.terminal.read()

    def close(self):
        self.terminal.close()
        self._file.close()
        os.close(self.keyboard)


@pytest.fixture
def desk(monkeypatch):
    desk = Desk(monkeypatch)
    yield desk
    desk.close()


def test_keys_come_as_they_were_pressed(desk):
    """In their order, and nothing without one."""
    assert "wws 1" == desk.type("wws 1")
    assert "" == desk.terminal.read()


@pytest.mark.parametrize(
    "sequence",
    ["[A", "[1;5C", "[3~", "[2~", "[15~", "[20~", "[a", "[c", "[d", "OP", "Oc"],
)
def test_a_key_that_is_no_character_gives_no_order(desk, sequence):
    """Arrows, Delete, Insert, F5, F9 … are one other key each, which stops all motion; what follows is as typed."""
    keys = desk.type(f"w\x1b{sequence} ")
    assert ("w", " ", 3) == (keys[0], keys[2], len(keys))
    assert keys[1] not in {*MOVES, *ORDERS}


def test_a_sequence_in_two_pieces_is_one_key(desk):
    """A slow line parts it anywhere: nothing of it is taken for a key of its own."""
    assert "" == desk.type("\x1b")
    assert "" == desk.type("[3")
    assert [1, "w"] == [len(desk.type("~")), desk.type("w")]


def test_escape_itself_is_a_key_and_hides_none(desk):
    """Pressed alone it comes with the next look, and the space after it is still a stop."""
    assert "" == desk.type("\x1b")
    assert 1 == len(desk.terminal.read())
    assert "" == desk.type("\x1b")
    assert " " == desk.type(" ")[-1]


def test_what_is_no_terminal_is_refused(monkeypatch, tmp_path):
    """A file for standard input is refused with what to do instead."""
    (tmp_path / "keys").touch()
    with (tmp_path / "keys").open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        with pytest.raises(TeleopError, match="expected a terminal"):
            Terminal()
