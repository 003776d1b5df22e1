"""The report as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from magma_ros.sim.report.contents import gather
from magma_ros.sim.report.document import to_document
from magma_ros.sim.statistics import wilson_interval
from tests.sim.report.sweeps import make_record, make_spec, write_film, write_folder

DOCS = Path(__file__).parents[3] / "docs" / "reports.md"
OPEN_NAMES = {"spec", "seeds", "stop_reasons", "flags"}
"""Below these, keys are tasks, outcomes, reasons, or described by the journal."""


def keys(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from () if key in OPEN_NAMES else keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys(inner)


def full_document(tmp_path: Path) -> dict:
    letters = {"a": "sssf", "b": "sfe", "c": "ss", "d": "sf", "e": "f"}
    folder = write_folder(tmp_path / "one", make_record(letters))
    write_film(folder / "films" / "a-0.webp")
    other = make_record({**letters, "a": "ffff"}, make_spec(tuple(letters), policy="noop"))
    return to_document(gather(folder, [write_folder(tmp_path / "two", other)]))


def test_every_key_is_documented(tmp_path) -> None:
    """docs/reports.md names each of them."""
    documented = set(re.findall(r"`([a-z_0-9]+)`", DOCS.read_text(encoding="utf-8")))
    found = set(keys(full_document(tmp_path))) - {"a", "b", "c", "d", "e"}
    assert found - documented == set()


def test_it_is_json_and_holds_the_numbers_of_the_page(tmp_path) -> None:
    """Counts, rates and intervals, of the sweep, its tasks and the comparison."""
    document = json.loads(json.dumps(full_document(tmp_path), allow_nan=False))
    assert (document["num_successes"], document["num_failures"], document["num_errors"]) == (7, 4, 1)
    assert not document["is_complete"]
    assert document["tasks"][0]["interval_95"] == list(wilson_interval(3, 4))
    assert document["tasks"][0]["success_by_step"]["rates"][19] == 0.25
    assert document["errors"][0]["seed"] == 2
    assert document["films"] == [{"task": "a", "seed": 0, "outcome": "success", "file": "films/a-0.webp"}]
    assert document["comparisons"][0]["num_only_first"] == 3
    assert document["comparisons"][0]["discordant"][0] == {"task": "a", "seed": 0, "succeeded": "first"}
