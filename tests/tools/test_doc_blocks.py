"""Blocks, commands, links and headings are found in Markdown as readers and shells see them."""

from __future__ import annotations

import doc_blocks
import pytest

PAGE = """# The page `x`

Say [a](b.md#c), `magma-ros eval`.

```sh title="needs a robot"
ros2 topic echo /a  # [no](link.md)
```

- an item

  ```sh title="ends with status 1"
  magma-ros ladder
  ```
"""


@pytest.fixture
def page(tmp_path):
    """The page above, read."""
    path = tmp_path / "page.md"
    path.write_text(PAGE)
    return doc_blocks.read(path)


def test_a_block_says_where_it_runs_and_how_it_ends(page):
    """Language, title and text come from the fence; one that needs something does not run here."""
    robot, ladder = page.blocks
    assert ("sh", "needs a robot", 5, False, 0) == (
        robot.language,
        robot.title,
        robot.line,
        robot.runs_here,
        robot.status,
    )
    assert ("magma-ros ladder", True, 1) == (ladder.text, ladder.runs_here, ladder.status)


def test_links_headings_and_code_are_of_the_prose(page):
    """Nothing within a block is a link or a heading."""
    assert [(3, "b.md#c")] == list(page.links())
    assert {"the-page-x"} == page.anchors()
    assert [(1, "x"), (3, "magma-ros eval")] == list(page.inline_code())


def test_a_fence_that_is_never_closed_is_named(tmp_path):
    """The rest of such a page would silently be no prose."""
    path = tmp_path / "page.md"
    path.write_text("```sh\nmake demo\n")
    with pytest.raises(ValueError, match=r"page\.md:1: expected the fence to be closed"):
        doc_blocks.read(path)


def test_commands_are_split_as_a_shell_does():
    """Comments, redirections and settings of variables are left out; a line that goes on is one command."""
    text = "# all of it\nA=1 make demo && . venv/bin/activate\nmagma-ros eval \\\n  --task 'a b' > log.txt  # why\n"
    expected = [["make", "demo"], [".", "venv/bin/activate"], ["magma-ros", "eval", "--task", "a b"]]
    assert expected == list(doc_blocks.commands(text))


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [("5. Driver and camera", "5-driver-and-camera"), ("`report.json`", "reportjson"), ("[a](b.md), c", "a-c")],
)
def test_headings_are_named_as_github_does(heading, anchor):
    """Lower case, no punctuation, hyphens for spaces."""
    assert anchor == doc_blocks.anchor(heading)
