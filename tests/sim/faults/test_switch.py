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
switch.begin()
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
    switch.begin()
    switch.order("nan")
    switch.begin()
    first_s = switch.wait_until_begun()
    switch.begin()
    assert first_s == switch.wait_until_begun()


def test_an_order_that_nobody_carries_out_is_an_error(tmp_path):
    """A fault that never began cannot be passed; the error names it."""
    switch = Switch(tmp_path / "switch")
    switch.order("nan")
    switch.begin()
    switch.order("frozen")
    with pytest.raises(EnvError, match="frozen"):
        switch.wait_until_begun(timeout_s=0.01)


def test_an_empty_order_ends_the_fault(tmp_path):
    """The stand-in is whole again."""
    switch = Switch(tmp_path / "switch")
    switch.order("a_long_name")
    switch.order("nan")
    assert "nan" == switch.ordered
    switch.order("")
    assert not switch.ordered
