"""Links of README and docs lead somewhere, as GitHub shows them."""

from __future__ import annotations

import os
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


def test_links_in_code_are_text():
    """A block, and code within a sentence, hold no links."""
    page = "See [a](b.md), `[c](d.md)`.\n\n```sh\necho [e](f.md)\n```\n"
    changed = doc_blocks.with_links(page, lambda target: f"x/{target}")
    assert "See [a](x/b.md), `[c](d.md)`.\n\n```sh\necho [e](f.md)\n```\n" == changed
