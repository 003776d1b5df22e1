"""What README and docs hold: fenced blocks, the commands in these, links and headings. Standard library only.

A block that is fenced as `sh` holds commands. `title="needs ..."` behind the word says what the demo machine lacks for
them (a robot, a GPU, a ROS installation, files of the reader's), and the site prints it above the block. A block of
commands without it runs on the demo machine after `make setup`; it succeeds unless its title says `ends with status 1`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,})(?P<info>.*)$")
TITLE = re.compile(r'title="(?P<title>[^"]*)"')
LINK = re.compile(r"!?\[(?:[^\]\[]|\[[^\]]*\])*\]\((?P<target>[^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(?P<text>.+?) *$")
INLINE = re.compile(r"(?<!`)`(?P<code>[^`\n]+)`(?!`)")
NEEDS = "needs "
ENDS = "ends with status "
SEPARATORS = {"&&", "||", ";", "|", "&"}
REDIRECTIONS = {">", ">>", "<"}


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block.

    Attributes:
        path: The file that it stands in.
        line: Line of its opening fence, from 1.
        language: First word behind the fence; empty if there is none.
        title: What `title="..."` says; empty without.
        text: Its lines, without the indentation of the fence.
    """

    path: Path
    line: int
    language: str
    title: str
    text: str

    @property
    def runs_here(self) -> bool:
        """The block is of commands that run on the demo machine."""
        return self.language == "sh" and not self.title.startswith(NEEDS)

    @property
    def status(self) -> int:
        """What its commands end with."""
        return int(self.title.removeprefix(ENDS)) if self.title.startswith(ENDS) else 0

    @property
    def place(self) -> str:
        """File and line, for a message."""
        return f"{self.path.relative_to(ROOT)}:{self.line}"


@dataclass(frozen=True, slots=True)
class Page:
    """A Markdown file apart: its blocks, and its prose with blank lines in their place."""

    path: Path
    blocks: tuple[Block, ...]
    prose: tuple[str, ...]

    def links(self) -> Iterator[tuple[int, str]]:
        """Line and target of each link or picture in the prose."""
        for number, line in enumerate(self.prose, start=1):
            yield from ((number, found["target"]) for found in LINK.finditer(INLINE.sub(_without_brackets, line)))

    def inline_code(self) -> Iterator[tuple[int, str]]:
        """Line and text of each piece of code within the prose."""
        for number, line in enumerate(self.prose, start=1):
            yield from ((number, found["code"]) for found in INLINE.finditer(line))

    def anchors(self) -> frozenset[str]:
        """What links into this page may end in: its headings, as GitHub and the site name them."""
        return frozenset(anchor(found["text"]) for found in map(HEADING.match, self.prose) if found)


def pages() -> tuple[Path, ...]:
    """Every Markdown file for readers: of the root, of `docs` and the model cards."""
    top = [path for path in sorted(ROOT.glob("*.md")) if not path.is_symlink()]
    return (*top, *sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("checkpoints/*/README.md")))


def read(path: Path) -> Page:
    """Take a Markdown file apart; ValueError for a fence that is never closed."""
    blocks: list[Block] = []
    prose: list[str] = []
    opened: re.Match[str] | None = None
    start, held = 0, list[str]()
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        fence = FENCE.match(line)
        if opened is None and fence is not None:
            opened, start, held = fence, number, []
        elif (
            opened is not None and fence is not None and fence["fence"] == opened["fence"] and not fence["info"].strip()
        ):
            blocks.append(_block(path, start, opened["info"], held))
            opened = None
        elif opened is not None:
            held.append(line.removeprefix(opened["indent"]))
        prose.append("" if opened is not None or fence is not None else line)
    if opened is not None:
        raise ValueError(f"{path}:{start}: expected the fence to be closed, got the end of the file")
    return Page(path, tuple(blocks), tuple(prose))


def with_links(text: str, change: Callable[[str], str]) -> str:
    """The text of a page with every link's target changed; blocks and code within sentences stay as they are."""
    lines, fence = [], ""
    for line in text.splitlines():
        opening = FENCE.match(line)
        if opening is not None and fence in ("", opening["fence"]):
            fence = "" if fence else opening["fence"]
        lines.append(line if fence or opening is not None else _with_links_in_line(line, change))
    return "\n".join(lines) + "\n"


def commands(text: str) -> Iterator[list[str]]:
    """The words of each command of a shell text: comments, redirections and settings of variables left out."""
    for line in text.replace("\\\n", " ").splitlines():
        words: list[str] = []
        before = ""
        for word in [*shlex.split(line, comments=True), ";"]:
            if word in SEPARATORS:
                if words:
                    yield words
                words = []
            elif not {before, word} & REDIRECTIONS and (words or not re.match(r"^\w+=", word)):
                words.append(word)
            before = word


def anchor(heading: str) -> str:
    """What a link to a heading ends in: lower case, letters, digits and hyphens."""
    return re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()).strip().replace(" ", "-")


def _block(path: Path, line: int, info: str, held: list[str]) -> Block:
    title = TITLE.search(info)
    language = info.split(maxsplit=1)[0] if info.split() else ""
    return Block(path, line, language, title["title"] if title else "", "\n".join(held))


def _with_links_in_line(line: str, change: Callable[[str], str]) -> str:
    changed, end = "", 0
    for found in LINK.finditer(INLINE.sub(_without_brackets, line)):
        changed += line[end : found.start("target")] + change(found["target"])
        end = found.end("target")
    return changed + line[end:]


def _without_brackets(code: re.Match[str]) -> str:
    return re.sub(r"[\[\]()]", "_", code[0])
