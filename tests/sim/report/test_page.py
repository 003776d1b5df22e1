"""The page, read as a browser would read it."""

from __future__ import annotations

import base64
import dataclasses
import re
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from magma_ros.errors import SweepError
from magma_ros.sim.comparison import compare_paired
from magma_ros.sim.report.contents import gather
from magma_ros.sim.report.page import to_page
from magma_ros.sim.statistics import suite_average, wilson_interval
from magma_ros.sim.sweep.journal import SweepRecord
from tests.sim.report.sweeps import TRACEBACK, make_record, make_spec, make_trial, write_film, write_folder

VOID = {"br", "img", "link", "meta", "source", "wbr"}
HOSTILE = '</script><script>alert(1)</script><img src=x onerror="alert(2)">\'"&amp;<svg onload=alert(3)>\ud800'


class Page(HTMLParser):
    """Elements in order, all text, and the text of each section by its heading; fails where tags do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.sections: dict[str, str] = {}
        self.text = ""
        self._open: list[str] = []
        self._heading = ""
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "h2":
            self._heading = ""

    def handle_endtag(self, tag):
        assert self._open.pop() == tag
        if tag == "h2":
            self.sections[self._heading] = ""

    def handle_data(self, data):
        if self._open and self._open[-1] == "style":
            return
        self.text += data
        if "h2" in self._open:
            self._heading += data
        elif self._heading in self.sections:
            self.sections[self._heading] += data + " "

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def values(self) -> list[list[float]]:
        """What `<data>` holds for programs."""
        return [[float(part) for part in found["value"].split()] for found in self.all("data")]


def page_of(folder, *others) -> Page:
    return Page(to_page(gather(folder, others)))


@pytest.fixture
def folder(tmp_path):
    record = make_record({"carrot_on_plate": "sssssssssf", "stack_cube": "ssfffeffff"})
    return write_folder(tmp_path / "tiny", record)


def test_numbers_are_those_of_the_statistics(folder) -> None:
    """The average, each task and their intervals, exactly, and rounded for people."""
    page = page_of(folder)
    average = suite_average([9, 2], [10, 9], seed=0)
    expected = [[average.rate], list(average.interval)]
    for successes, judged in ((9, 10), (2, 9)):
        expected += [[successes / judged], list(wilson_interval(successes, judged))]
    assert page.values() == expected
    assert "56 %" in page.text
    assert "9/10" in page.sections["Tasks"]
    assert "90 % [60 to 98 %]" in re.sub(r"\s+", " ", page.sections["Tasks"]).replace("[ ", "[").replace(" ]", "]")


def test_everything_that_belongs_beside_a_rate_is_there(folder) -> None:
    """Protocol, seeds, versions, commit, device and the command that repeats it."""
    page = page_of(folder)
    protocol = page.sections["Protocol"]
    assert all(text in protocol for text in ("do stack_cube", "60", "it is done", "max_translation_step_m 0.05 ·"))
    assert "Seeds 0..9" in page.sections["Seeds"]
    measured = page.sections["Measured with"]
    assert all(text in measured for text in ("c0ffee", "numpy 2.3", "cpu", "a machine", "0123abcd", "feedbeef"))
    assert "magma-ros eval --suite bridge" in measured


def test_errors_make_a_report_incomplete_and_are_shown(folder) -> None:
    """A banner at the top, the traceback folded below."""
    page = page_of(folder)
    assert "Incomplete: 1 trial ended in an error" in page.text
    assert TRACEBACK in page.sections["Errors"]
    assert "stack_cube, seed 5: RuntimeError: the physics exploded" in re.sub(
        " +", " ", page.sections["Errors"]
    ).replace(" :", ":")


def test_a_complete_report_has_no_banner(tmp_path) -> None:
    """Nothing is missing, and nothing says so."""
    page = page_of(write_folder(tmp_path / "a", make_record({"a": "s" * 10})))
    assert "Incomplete" not in page.text
    assert "Errors" not in page.sections


def test_nothing_is_loaded_from_elsewhere(folder) -> None:
    """A page works from a file: no script, no address, nothing but data inside."""
    write_film(folder / "films" / "carrot_on_plate-0.webp")
    text = to_page(gather(folder))
    page = Page(text)
    sources = [found[name] for _, found in page.elements for name in ("src", "srcset", "href", "data") if name in found]
    assert sources
    assert all(source.startswith("data:image/webp;base64,") for source in sources)
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.elements}
    assert not re.search(r"https?://|url\(|@import", text)


def test_no_text_of_a_journal_becomes_markup(tmp_path) -> None:
    """Policy, task, instruction, rule, flags, reasons, traceback and provenance may hold anything."""
    spec = make_spec((HOSTILE,), policy=HOSTILE, provenance={HOSTILE: HOSTILE}, fingerprint=HOSTILE)
    asked = {"instruction": HOSTILE, "step_budget": 60, "settle_steps": 0, "success_rule": HOSTILE}
    spec = dataclasses.replace(spec, protocol={HOSTILE: HOSTILE, "tasks": {HOSTILE: asked}}, options={HOSTILE: HOSTILE})
    trials = (
        make_trial(HOSTILE, 0, "s", flags={HOSTILE: True}, variant=HOSTILE),
        make_trial(HOSTILE, 1, "f", stop_reasons={HOSTILE: 3}),
        make_trial(HOSTILE, 2, "e", detail=HOSTILE),
    )
    folder = write_folder(tmp_path / "one", SweepRecord(spec, trials))
    other = write_folder(tmp_path / "two", SweepRecord(dataclasses.replace(spec, policy="noop"), trials[1:]))
    page = page_of(folder, other)
    assert not {"script", "img"} & {tag for tag, _ in page.elements}
    assert not [name for _, found in page.elements for name in found if name.startswith("on")]
    assert page.text.count("</script><script>alert(1)") > 10


def test_tasks_have_a_chart_of_success_against_step(folder) -> None:
    """One for each task, that says in words what it shows."""
    page = page_of(folder)
    assert "carrot_on_plate: success against step" in page.text
    assert "90 % by step 60" in page.sections["Success against step"]


def test_films_show_failures_beside_successes(folder) -> None:
    """Those of judged trials that are there, embedded whole, with words for those who do not see them."""
    film = write_film(folder / "films" / "carrot_on_plate-0.webp")
    write_film(folder / "films" / "carrot_on_plate-9.webp", outcome="failure")
    write_film(folder / "films" / "unknown-0.webp")
    page = page_of(folder)
    pictures = page.all("img")
    assert [found["alt"] for found in pictures] == [
        "carrot_on_plate, seed 9: failure",
        "carrot_on_plate, seed 0: success",
    ]
    assert base64.b64decode(pictures[1]["src"].partition(",")[2]) == film.read_bytes()


def test_who_wants_no_motion_sees_how_a_trial_ended(folder) -> None:
    """The last frame instead of the film."""
    film = write_film(folder / "films" / "carrot_on_plate-0.webp")
    (still,) = page_of(folder).all("source")
    assert still["media"] == "(prefers-reduced-motion: reduce)"
    shown = cv2.imdecode(np.frombuffer(base64.b64decode(still["srcset"].partition(",")[2]), np.uint8), cv2.IMREAD_COLOR)
    last = cv2.imreadanimation(str(film))[1].frames[-1][:, :, :3]
    assert np.abs(shown.astype(int) - last).mean() < 6


def test_what_is_no_film_is_refused(folder) -> None:
    """With its name: the page would show a gap."""
    (folder / "films").mkdir()
    (folder / "films" / "carrot_on_plate-0.webp").write_bytes(b"RIFF")
    with pytest.raises(SweepError, match=r"carrot_on_plate-0\.webp: expected an animated WebP"):
        page_of(folder)


def test_two_sweeps_are_compared_on_their_pairs(tmp_path, folder) -> None:
    """Difference, interval, p-value and the seeds on which they differ."""
    other = make_record({"carrot_on_plate": "sffffffffs", "stack_cube": "sfffffffff"}, make_spec(policy="noop"))
    page = page_of(folder, write_folder(tmp_path / "noop", other))
    expected = compare_paired(
        {**{("c", i): i < 9 for i in range(10)}, **{("s", i): i < 2 for i in range(10) if i != 5}},
        {**{("c", i): i in (0, 9) for i in range(10)}, **{("s", i): i == 0 for i in range(10)}},
    )
    assert [[expected.difference], list(expected.interval), [expected.p_value]] == page.values()[10:13]
    section = re.sub(r"\s+", " ", page.sections["magma-tiny against noop"])
    assert "magma-tiny is better on these tasks." in section
    assert "1..8" in section
    assert "What else differs between the two sweeps: policy" in section
    assert "Left out: 1 trial whose counterpart was not judged." in section
    assert "Success against delay" not in page.sections


def test_a_test_and_an_interval_that_disagree_are_not_hidden(tmp_path) -> None:
    """Four of twelve pairs differ, all one way: the interval leaves out zero, the exact test does not reject it."""
    first = write_folder(tmp_path / "one", make_record({"a": "ssssffffff", "b": "ff"}))
    page = page_of(first, write_folder(tmp_path / "two", make_record({"a": "ffffffffff", "b": "ff"})))
    assert "p = 0.12" in page.text
    assert "do not show that one is better. Test and interval disagree" in page.text


def test_sweeps_with_other_delays_are_drawn_against_them(tmp_path, folder) -> None:
    """A dot for each, at its mean delay; and p-values of several comparisons say that they are several."""
    slow = make_spec(latency={"low_s": 0.1, "high_s": 0.3})
    measured = make_spec(latency={"buckets, up to [ms]": {"100": 1, "500": 3}})
    letters = {"carrot_on_plate": "ssssffffff", "stack_cube": "ffffffffff"}
    others = [
        write_folder(tmp_path / name, make_record(letters, spec)) for name, spec in (("a", slow), ("b", measured))
    ]
    page = page_of(folder, *others)
    section = re.sub(r"\s+", " ", page.sections["Success against delay"])
    assert "magma-tiny, 0 s: 56 %" in section
    assert "magma-tiny, 0.2 s: 20 %" in section
    assert "magma-tiny, 0.4 s: 20 %" in section
    assert page.text.count("One of 2 comparisons") == 2


def test_a_sweep_without_a_trial_has_a_page(tmp_path) -> None:
    """Even then the protocol can be read."""
    page = page_of(write_folder(tmp_path / "empty", make_record({"a": ""})))
    assert "No success rate: no trial was judged of a." in page.text
    assert "10 trials not yet run" in page.text
