"""Links of README and docs lead somewhere, as GitHub shows them."""

from __future__ import annotations

import os
import re
from pathlib import Path

import doc_blocks
import pytest

PAGES = {path: doc_blocks.read(path) for path in doc_blocks.pages()}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(doc_blocks.ROOT)))
def test_links_lead_to_files_and_headings(path):
    """A relative link names a file of the repository, and its anchor a heading there."""
    found = []
    for line, target in PAGES[path].links():
        name, _, anchor = target.partition("#")
        if "://" not in name:
            linked = Path(os.path.normpath(path.parent / name)) if name else path
            sound = linked.is_file() and (not anchor or anchor in PAGES[linked].anchors())
            found += [] if sound else [f"{path.name}:{line}: {target}"]
    assert [] == found


def test_the_rooms_and_answers_of_the_architecture_exist():
    """Each path from the root that docs/architecture.md names is there, but for those with a placeholder."""
    named = {code for _, code in PAGES[doc_blocks.ROOT / "docs" / "architecture.md"].inline_code()}
    rooms = ("magma_ros/", "sim/", "finetune/", "tools/", "tests/", "config/")
    paths = {
        code
        for code in named
        if code.startswith(rooms) and re.fullmatch(r"[\w/]+(\.\w+|/)", code) and "NAME" not in code
    }
    assert len(paths) > 50
    assert [] == sorted(code for code in paths if not (doc_blocks.ROOT / code).exists())


def test_links_in_code_are_text():
    """A block, and code within a sentence, hold no links."""
    page = "See [a](b.md), `[c](d.md)`.\n\n```sh\necho [e](f.md)\n```\n"
    changed = doc_blocks.with_links(page, lambda target: f"x/{target}")
    assert "See [a](x/b.md), `[c](d.md)`.\n\n```sh\necho [e](f.md)\n```\n" == changed
