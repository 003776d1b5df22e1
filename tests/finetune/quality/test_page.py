"""The page says what was found and needs nothing else."""

from __future__ import annotations

import base64
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from magma_ros.episodes import EpisodeWriter
from magma_ros.finetune.quality.page import to_page
from magma_ros.finetune.quality.report import check_dataset
from tests.finetune.quality.demonstrations import rewrite_action
from tests.finetune.quality.moving_pictures import frozen_camera, reaching
from tests.model.random_checkpoints import CONTRACT


class Reader(HTMLParser):
    """Elements, attributes, text, and what is open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: Counter[str] = Counter()
        self.pictures: list[str] = []
        self.links: list[str] = []
        self.classes: Counter[str] = Counter()
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.elements[tag] += 1
        self.classes.update((values.get("class") or "").split())
        if tag == "img":
            self.pictures.append(values["src"])
        self.links += [values[name] for name in ("href", "src") if tag != "img" and name in values]

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """Of a dataset with a frozen camera, an episode that cannot be read, and a malicious instruction."""
    folder = tmp_path_factory.mktemp("page") / "demos"
    with EpisodeWriter(folder, contract=CONTRACT, source={}, pictures="png") as writer:
        writer.append(frozen_camera(reaching(0)))
        writer.append(reaching(1))
        writer.append(replace(reaching(2), instruction="<script>alert(1)</script>"))
    rewrite_action(folder, episode=1, step=3, column=0, value=float("inf"))
    return Reader(to_page(check_dataset(folder)))


def test_the_page_needs_nothing_else(page: Reader) -> None:
    """No script, no link, no picture that is not in it."""
    assert page.elements["script"] == 0
    assert page.links == []
    assert page.pictures
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.pictures)


def test_findings_are_said_with_what_to_do(page: Reader) -> None:
    """Codes, texts and cures of both faults; the verdict on top; the instruction as text."""
    for words in (
        "Do not train on this yet: 2 errors",
        "repeats one picture",
        "Cut the stretch or leave the episode out",
        "expected finite numbers in every array",
        "<script>alert(1)</script>",
    ):
        assert words in page.text


def test_episodes_have_thumbnails_and_curves(page: Reader) -> None:
    """Six of each readable episode, the first one its first frame; three drawings each; the steps shaded in all."""
    assert len(page.pictures) == 12
    data = base64.b64decode(page.pictures[0].split(",")[1])
    shown = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
    assert np.abs(shown.astype(int) - reaching(0).images["image"][0]).mean() < 6
    assert page.elements["svg"] == 1 + 2 * 3
    assert page.classes["marked"] == 3
