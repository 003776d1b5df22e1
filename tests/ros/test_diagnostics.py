"""Diagnostics over DDS: a lifecycle node in a process of its own reports what it is told to count."""

import json
import textwrap

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState

from magma_ros.ros import interface
from magma_ros.ros.diagnostics import Diagnostics, Level

NODE = textwrap.dedent("""
    import sys
    from rclpy.lifecycle import LifecycleNode
    from magma_ros.ros.diagnostics import Diagnostics, Level
    from magma_ros.ros.spin import run

    class Reports(LifecycleNode):
        def __init__(self):
            super().__init__("reports", namespace="left")
            self.diagnostics = Diagnostics(self, hardware_id="ur5e")
            for latency_s in (0.010, 0.020, 0.030, 0.040, -1.0):
                self.diagnostics.stage("inference").add(latency_s)
            self.diagnostics.count("refusals", "workspace", 3)
            self.diagnostics.count("refusals", "stale_image")
            self.diagnostics.level(Level.ERROR, "the camera is gone")
            self.create_timer(0.05, self.tick)

        def tick(self):
            self.diagnostics.rate("camera").tick(self.get_clock().now().nanoseconds * 1e-9)

        def close(self):
            pass

    sys.exit(run(Reports))
""")
PREFIX = "/left/reports: "


@pytest.fixture(scope="module")
def arrays(peer):
    heard = peer.listen(interface.DIAGNOSTICS)
    peer.start("reports", "-c", NODE)
    peer.wait(lambda: len(heard) >= 3, what="three reports")
    return heard


def of(arrays, hardware_id):
    return [array for array in arrays if array.status[0].hardware_id == hardware_id]


def status(array, part):
    return next(found for found in array.status if found.name == PREFIX + part)


def values(found):
    return {pair.key: pair.value for pair in found.values}


def test_a_report_comes_once_a_second_with_name_hardware_and_level(arrays):
    """Every status has the node's full name and the hardware; the node's own level and message are passed on."""
    first, second = (array.header.stamp.sec + array.header.stamp.nanosec * 1e-9 for array in arrays[1:3])
    assert 1.0 == pytest.approx(second - first, abs=0.3)
    assert {"ur5e"} == {found.hardware_id for found in arrays[0].status}
    assert all(found.name.startswith(PREFIX) for found in arrays[0].status)
    node = status(arrays[0], "node")
    assert (DiagnosticStatus.ERROR, "the camera is gone") == (node.level, node.message)


def test_latencies_come_with_percentiles_count_and_buckets(arrays):
    """A stage shows percentiles to 5 %, an exact maximum, its buckets, and warns about impossible latencies."""
    found = status(arrays[0], "latency of inference")
    told = values(found)
    assert ("4", "40.000", "1") == (told["n"], told["max [ms]"], told["impossible"])
    assert 20.0 <= float(told["p50 [ms]"]) <= 21.1
    assert "40.000" == told["p99 [ms]"]
    assert [1, 1, 1, 1] == list(json.loads(told["buckets, up to [ms]"]).values())
    assert DiagnosticStatus.WARN == found.level
    assert "was a clock set?" in found.message


def test_the_recent_past_is_apart_from_everything_since_the_start(peer, arrays):
    """Ten reports after the last latency and refusal the window is empty, and the totals are still there."""
    diagnostics = Diagnostics(peer.node, hardware_id="fr3")
    diagnostics.stage("inference").add(0.040)
    diagnostics.count("refusals", "workspace", 3)
    for _ in range(10):
        diagnostics._report()
    peer.wait(lambda: len(of(arrays, "fr3")) >= 10, what="ten reports")
    diagnostics._report()
    peer.wait(lambda: len(of(arrays, "fr3")) >= 11, what="the eleventh report")
    recent, late = (of(arrays, "fr3")[index].status for index in (9, 10))
    assert ["3 in the last 10 s: workspace 3", "0 in the last 10 s"] == [recent[2].message, late[2].message]
    assert [DiagnosticStatus.WARN, DiagnosticStatus.OK] == [recent[2].level, late[2].level]
    assert {"workspace": "3"} == values(late[2])
    assert ["1", "0"] == [values(found)["n in the last 10 s"] for found in (recent[1], late[1])]
    assert ("0.000", "1") == (values(late[1])["p99 in the last 10 s [ms]"], values(late[1])["n"])


def test_refusals_are_named_by_reason(arrays):
    """The message of a group lists what was refused lately, the most frequent first."""
    assert "4 in the last 10 s: workspace 3, stale_image 1" == status(arrays[0], "refusals").message


def test_rates_are_in_hertz(arrays):
    """A timer of 50 ms is seen as 20 Hz."""
    assert 20.0 == pytest.approx(float(values(status(arrays[2], "rates"))["camera [Hz]"]), rel=0.15)


def test_reports_come_in_every_lifecycle_state(peer, arrays):
    """Unconfigured, inactive and active nodes report alike, and so does one that was shut down."""
    for transition, state in (
        (Transition.TRANSITION_CONFIGURE, State.PRIMARY_STATE_INACTIVE),
        (Transition.TRANSITION_ACTIVATE, State.PRIMARY_STATE_ACTIVE),
        (Transition.TRANSITION_DEACTIVATE, State.PRIMARY_STATE_INACTIVE),
        (Transition.TRANSITION_CLEANUP, State.PRIMARY_STATE_UNCONFIGURED),
        (Transition.TRANSITION_UNCONFIGURED_SHUTDOWN, State.PRIMARY_STATE_FINALIZED),
    ):
        assert peer.call(ChangeState, "/left/reports/change_state", transition=Transition(id=transition)).success
        assert state == peer.call(GetState, "/left/reports/get_state").current_state.id
        count = len(of(arrays, "ur5e"))
        peer.wait(lambda count=count: len(of(arrays, "ur5e")) > count, what="a report", timeout_s=3.0)


def test_levels_are_those_of_the_message():
    """Ours and `DiagnosticStatus` have the same four numbers."""
    assert [bytes([level]) for level in Level] == [
        getattr(DiagnosticStatus, level.name) for level in (Level.OK, Level.WARN, Level.ERROR, Level.STALE)
    ]
