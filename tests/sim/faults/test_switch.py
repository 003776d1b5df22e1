import subprocess
import sys
import time

import pytest

from magma_ros.errors import EnvError
from magma_ros.sim.faults.switch import Switch

CARRY_OUT = """
import sys, time
from pathlib import Path
from magma_ros.sim.faults.switch import Switch
switch = Switch(Path(sys.argv[1]))
while not switch.ordered:
    time.sleep(0.001)
switch.begin(switch.ordered)
print(switch.ordered)
"""


def test_another_process_carries_the_order_out(tmp_path):
    """It reads the name, and the instant that it notes is on the clock of this process."""
    switch = Switch(tmp_path / "switch")
    other = subprocess.Popen([sys.executable, "-c", CARRY_OUT, str(tmp_path / "switch")], stdout=subprocess.PIPE)
    before_s = time.monotonic()
    switch.order("frozen")
    began_s = switch.wait_until_begun(timeout_s=20.0)
    assert before_s < began_s < time.monotonic()
    assert b"frozen\n" == other.communicate()[0]


def test_only_the_first_effect_is_noted(tmp_path):
    """The onset is when the fault began, not when it was last seen; without an order nothing begins."""
    switch = Switch(tmp_path / "switch")
    switch.begin("")
    switch.order("nan")
    switch.begin("nan")
    first_s = switch.wait_until_begun()
    switch.begin("nan")
    assert first_s == switch.wait_until_begun()


def test_an_order_that_nobody_carries_out_is_an_error(tmp_path):
    """A fault that never began cannot be passed; the error names it."""
    switch = Switch(tmp_path / "switch")
    switch.order("nan")
    switch.begin("nan")
    switch.order("frozen")
    with pytest.raises(EnvError, match="frozen"):
        switch.wait_until_begun(timeout_s=0.01)


@pytest.mark.parametrize("seen", ["", "nan"])
def test_who_looked_before_the_order_came_has_not_begun_it(tmp_path, seen):
    """What it does next is what it saw: nothing, or the fault of before."""
    switch = Switch(tmp_path / "switch")
    switch.order("frozen")
    switch.begin(seen)
    with pytest.raises(EnvError, match="frozen"):
        switch.wait_until_begun(timeout_s=0.01)
    switch.begin("frozen")
    assert switch.wait_until_begun() > 0


def test_an_empty_order_ends_the_fault(tmp_path):
    """The stand-in is whole again."""
    switch = Switch(tmp_path / "switch")
    switch.order("a_long_name")
    switch.order("nan")
    assert "nan" == switch.ordered
    switch.order("")
    assert not switch.ordered
