"""What mkdocs does not know of this repository: what stands outside `docs` is a part of the site, too.

README is its first page, so that the front door is written once; a link to a source file leads to a copy of it.
"""

from __future__ import annotations

import os
import posixpath
from pathlib import Path

import doc_blocks
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

DOCS = doc_blocks.ROOT / "docs"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages outside `docs`, and the other files that any page links to."""
    wanted = {path for path in doc_blocks.pages() if not path.is_relative_to(DOCS)}
    for path in doc_blocks.pages():
        for _, target in doc_blocks.read(path).links():
            linked = target_file(path, target)
            if linked is not None and linked.is_file() and not linked.is_relative_to(DOCS):
                wanted.add(linked)
    for path in sorted(wanted):
        files.append(File.generated(config, site_uri(path), abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let the links of a page lead to where the site has their targets."""
    del config, files
    here = Path(page.file.abs_src_path or "")

    def change(target: str) -> str:
        linked = target_file(here, target)
        if linked is None:
            return target
        path = posixpath.relpath(site_uri(linked), posixpath.dirname(page.file.src_uri) or ".")
        return path + target[len(target.partition("#")[0]) :]

    return doc_blocks.with_links(markdown, change)


def target_file(page: Path, target: str) -> Path | None:
    """The file of the repository that a link names; None for an address and for an anchor of the same page."""
    path = target.partition("#")[0]
    return None if not path or "://" in path else Path(os.path.normpath(page.parent / path))


def site_uri(path: Path) -> str:
    """Where the site has a file of the repository."""
    if path.is_relative_to(DOCS):
        return path.relative_to(DOCS).as_posix()
    inside = path.relative_to(doc_blocks.ROOT)
    if inside == Path("README.md"):
        return "index.md"
    if path.suffix == ".md" and inside.parent == Path():
        return inside.name.lower()
    if path.suffix == ".md":
        return f"model_cards/{inside.parent.name}.md"
    return f"files/{inside.as_posix()}"
