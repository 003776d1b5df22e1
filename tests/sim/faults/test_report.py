import math

from magma_ros.sim.faults import report
from magma_ros.sim.faults.measuring import Measurement

GOOD = Measurement("nan", 0.0811, 0.12, "non_finite")
SLOW = Measurement("nan", 0.0911, 0.12, "non_finite")
BAD = Measurement("kill_camera", math.inf, 0.22, "", ("nothing was measured",))


def test_a_line_says_time_limit_verdict_and_reason():
    """A failure says why on a further line."""
    assert "nan                       PASS    81 ms of  120 ms  non_finite" == report.line(GOOD)
    assert ["kill_camera               FAIL     ? ms of  220 ms", "    nothing was measured"] == report.line(
        BAD
    ).splitlines()


def test_the_last_line_names_what_failed():
    """It begins with FAIL as soon as one failed, else with PASS."""
    assert report.verdict([GOOD, BAD]).startswith("FAIL: 1 of 2 faults: kill_camera")
    assert report.verdict([GOOD, SLOW]).startswith("PASS: 2 faults, the slowest stop took 0.091 s")


def test_the_table_has_a_row_for_each_fault():
    """Two measurements of one fault are one row with their slowest and how many passed."""
    *_, nan, camera = report.markdown([GOOD, SLOW, BAD]).splitlines()
    assert "| 91 ms | 120 ms | non_finite | 2/2 |" in nan
    assert "0/1" in camera


def test_json_has_no_infinities():
    """A time that is not known is null, as JSON wants it."""
    document = report.to_dict([GOOD, BAD])
    assert [0.0811, None] == [row["stop_s"] for row in document["faults"]]
    assert not document["passed"]
