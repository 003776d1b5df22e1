"""How long a simulated policy thinks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from magma_ros.errors import EnvError
from magma_ros.sim.latency import MeasuredLatency, UniformLatency, parse
from magma_ros.telemetry import UPPER_EDGES_S


def draws(latency, count: int = 2000) -> np.ndarray:
    generator = np.random.default_rng(0)
    return np.array([latency.draw(generator) for _ in range(count)])


def test_one_number_is_a_constant_latency() -> None:
    """`0.15` is 0.15 s each time."""
    assert set(draws(parse("0.15"), 10)) == {0.15}


def test_a_range_is_jitter() -> None:
    """`0.1..0.3` fills the range evenly."""
    seen = draws(parse("0.1..0.3"))
    assert 0.1 <= seen.min() < 0.11
    assert 0.29 < seen.max() <= 0.3
    assert seen.mean() == pytest.approx(0.2, abs=0.01)


def test_a_measured_histogram_is_replayed(tmp_path: Path) -> None:
    """Edges of a histogram from /diagnostics come as often as they were counted, in seconds."""
    file = tmp_path / "inference.json"
    file.write_text(json.dumps({"99.900": 30, "154.119": 70}), encoding="utf-8")
    seen = draws(parse(str(file)))
    assert set(seen) == {0.0999, 0.154119}
    assert (seen == 0.154119).mean() == pytest.approx(0.7, abs=0.03)


def test_what_was_longer_than_any_edge_counts_as_the_last_one(tmp_path: Path) -> None:
    """A histogram with the key "inf" is taken as /diagnostics tells it: beyond 30 s means at least 30 s."""
    file = tmp_path / "inference.json"
    file.write_text('{"99.900": 3, "30000.000": 1, "inf": 2}', encoding="utf-8")
    assert {99.9: 3, 30000.0: 3} == parse(str(file)).buckets


def test_what_a_node_counted_can_be_replayed(tmp_path: Path) -> None:
    """The edges are those of the nodes' histograms, the open one included."""
    file = tmp_path / "inference.json"
    file.write_text(json.dumps({f"{edge_s * 1e3:.3f}": 1 for edge_s in UPPER_EDGES_S}), encoding="utf-8")
    assert len(UPPER_EDGES_S) == sum(parse(str(file)).buckets.values())


def test_a_latency_tells_what_it_is() -> None:
    """Reports carry the numbers that were drawn from."""
    assert UniformLatency(0.1, 0.3).to_dict() == {"low_s": 0.1, "high_s": 0.3}
    assert MeasuredLatency({99.9: 3}).to_dict() == {"buckets, up to [ms]": {"99.9": 3}}


@pytest.mark.parametrize("text", ["soon", "-0.1", "0.3..0.1", "0.1..inf", "0.1.."])
def test_nonsense_is_refused(text: str) -> None:
    """What is no time is an error that says what is expected."""
    with pytest.raises(EnvError, match="latency: expected"):
        parse(text)


@pytest.mark.parametrize("content", ["{}", '{"a": 1}', '{"10.0": -1}', '{"10.0": 0}', '{"10.0": null}', "[]"])
def test_a_file_without_a_histogram_is_refused(tmp_path: Path, content: str) -> None:
    """A file that counts nothing is an error."""
    (tmp_path / "x.json").write_text(content, encoding="utf-8")
    with pytest.raises(EnvError, match="expected"):
        parse(str(tmp_path / "x.json"))
