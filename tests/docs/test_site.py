"""The site builds without a warning, from this checkout alone."""

from __future__ import annotations

import re
from pathlib import Path

import doc_blocks
import docs_site
import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config

ROOT = Path(__file__).parents[2]
FETCHED = re.compile(r'<(?:script|link|img|iframe|source)\b[^>]*?(?:src|href)="(https?:)?//[^"]*"')
LINKED = re.compile(r'(?:src|href)="(?P<target>[^"#?]+)[^"]*"')


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built strictly: a warning is an error."""
    folder = tmp_path_factory.mktemp("site")
    config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder))
    assert config.strict
    config.plugins.on_startup(command="build", dirty=False)
    build(config)
    return folder


def test_nothing_is_fetched_to_read_it(site):
    """No page loads a script, a style, a font or a picture from another place."""
    pages = sorted(site.rglob("*.html"))
    assert pages
    assert [] == [(page.name, found[0]) for page in pages for found in FETCHED.finditer(page.read_text("utf-8"))]


def test_every_link_of_the_site_holds(site):
    """Each relative address in each page is a file of the site."""
    missing = {
        (str(page.relative_to(site)), found["target"])
        for page in site.rglob("*.html")
        if page.name != "404.html"  # served from anywhere, so its addresses begin at the site's root
        for found in LINKED.finditer(page.read_text("utf-8"))
        if not re.match(r"https?:|mailto:|data:", found["target"]) and not (page.parent / found["target"]).exists()
    }
    assert set() == missing


def test_every_page_stands_in_the_navigation_once():
    """What is written for readers is found from every page; decisions are listed on a page of their own."""
    named = re.findall(r"[\w/-]+\.md", str(load_config(str(ROOT / "mkdocs.yml")).nav))
    written = {docs_site.site_uri(path) for path in doc_blocks.pages()}
    assert sorted(uri for uri in written if not uri.startswith("adr/0")) == sorted(named)


def test_the_front_door_is_the_readme(site):
    """The first page is README, whose links lead to pages of the site and whose picture is there."""
    first = (site / "index.html").read_text("utf-8")
    assert '<a href="bringup.html">' in first
    assert re.search(r'<img alt="[^"]+" src="images/', first)
