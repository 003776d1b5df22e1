from __future__ import annotations

from pathlib import Path

import pytest

from magma_ros import teleop_script
from magma_ros.errors import TeleopError
from magma_ros.teleop_devices import Order, Speeds
from magma_ros.teleop_script import ScriptPlayer

SPEEDS = Speeds(0.1, 0.5)
EXAMPLES = Path(__file__).parents[1] / "config" / "teleop"


def player(tmp_path, text):
    path = tmp_path / "script.yaml"
    path.write_text(text)
    return ScriptPlayer(teleop_script.load(path), SPEEDS)


def played(script, *, period_s=0.02, limit_s=20.0):
    """Every wish until the end."""
    wishes, now_s = [], 100.0
    while not script.has_ended:
        wishes.append(script.read(now_s))
        now_s += period_s
        assert now_s < 100.0 + limit_s
    return wishes


def test_keys_and_twists_last_as_long_as_they_say(tmp_path):
    """Read 50 times a second, the wishes add up to speed times duration of each step."""
    script = player(tmp_path, "steps:\n- {for_s: 1.0, keys: wl}\n- {for_s: 0.5, twist: [0, 0, -0.2, 0, 0, 0]}\n")
    wishes = played(script)
    total = sum(wish.twist for wish in wishes) * 0.02
    assert pytest.approx([0.1, 0, -0.1, 0, 0, -0.5], abs=0.011) == total
    assert [0.0] * 6 == wishes[-1].twist.tolist()


def test_orders_come_at_the_beginning_of_their_step(tmp_path):
    """Each once, in the order of the file."""
    script = player(tmp_path, "steps:\n- {press: [start]}\n- {for_s: 0.1}\n- {for_s: 0.1, press: [close, success]}\n")
    wishes = played(script)
    assert [Order.START, Order.CLOSE, Order.SUCCESS] == [order for wish in wishes for order in wish.orders]
    assert (Order.START,) == wishes[0].orders
    assert 6 <= next(i for i, wish in enumerate(wishes) if Order.CLOSE in wish.orders) <= 7


def test_time_in_which_it_waits_does_not_count(tmp_path):
    """A step after a long answer of the recorder lasts as long as without."""
    script = player(tmp_path, "steps:\n- {press: [start]}\n- {for_s: 1.0, keys: w}\n")
    script.read(100.0)
    for now_s in (101.0, 105.0, 109.0):
        assert [0.0] * 6 == script.wait(now_s).twist.tolist()
    assert [0.1, 0, 0, 0, 0, 0] == script.read(109.02).twist.tolist()
    assert [0.1, 0, 0, 0, 0, 0] == script.read(109.9).twist.tolist()
    assert [0.0] * 6 == script.read(110.1).twist.tolist()
    assert script.has_ended


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("steps: []\n", "at least one step"),
        ("moves: [{for_s: 1}]\n", "steps"),
        ("steps: [{}]\n", "step 1"),
        ("steps: [{for_s: 1}, {for: 1}]\n", "step 2"),
        ("steps: [{for_s: -1}]\n", "for_s"),
        ("steps: [{for_s: .nan}]\n", "for_s"),
        ("steps: [{for_s: 1e9}]\n", "for_s"),
        ("steps: [{for_s: 1, keys: wx}]\n", "keys"),
        ("steps: [{for_s: 1, keys: w, twist: [0, 0, 0, 0, 0, 0]}]\n", "both"),
        ("steps: [{for_s: 1, twist: [0, 0, 0]}]\n", "six finite numbers"),
        ("steps: [{for_s: 1, twist: [0, 0, 0, 0, 0, .nan]}]\n", "six finite numbers"),
        ("steps: [{press: [jump]}]\n", "press"),
        ("steps: [{press: [[start]]}]\n", "press"),
    ],
)
def test_a_script_with_faults_is_refused(tmp_path, text, problem):
    """The error names the step and what is wrong."""
    with pytest.raises(TeleopError, match=problem):
        player(tmp_path, text)


def test_a_missing_script_is_refused(tmp_path):
    """The error names the file."""
    with pytest.raises(TeleopError, match="none"):
        teleop_script.load(tmp_path / "none.yaml")


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_scripts_that_come_with_the_project_record_an_episode(path):
    """Each begins an episode, moves the arm, and ends the episode."""
    wishes = played(ScriptPlayer(teleop_script.load(path), SPEEDS), limit_s=120.0)
    orders = [order for wish in wishes for order in wish.orders]
    assert Order.START is orders[0]
    assert orders[-1] in (Order.SUCCESS, Order.FAILURE)
    assert any(wish.twist.any() for wish in wishes)
