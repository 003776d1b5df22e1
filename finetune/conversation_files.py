"""LLaVA's conversation files, read and checked: `.jsonl` with a record per line, or `.json` with a list of them.

A record is `{"image": name or list of names (or none), "conversations": [{"from": "human", "value": …}, {"from":
"gpt", "value": …}, …]}`; `user` and `assistant` mean the same. `<image>` in a turn stands for the next picture.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from magma_ros.errors import ConversationError
from magma_ros.prompts import IMAGE_PLACEHOLDER

Role = Literal["user", "assistant"]

_ROLES: dict[str, Role] = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant"}


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side says; `num_images` pictures come with it, whose placeholders are not in `text`."""

    role: Role
    text: str
    num_images: int


@dataclass(frozen=True, slots=True)
class Record:
    """One conversation: turns of user and assistant by turns, the names of its pictures in order, and its line."""

    line: int
    images: tuple[str, ...]
    turns: tuple[Turn, ...]


def read_documents(path: Path) -> Iterator[tuple[int, object]]:
    """Line, from 1, and content of each record in `path`, unchecked.

    Raises:
        ConversationError: it cannot be read, or is not JSON; names the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConversationError(f"{path}: expected a readable UTF-8 file: {error}") from error
    if path.suffix == ".jsonl":
        for line, content in enumerate(text.split("\n"), start=1):
            if content.strip():
                yield line, _parsed(path, line, content)
    elif path.suffix == ".json":
        yield from _listed(path, text)
    else:
        raise ConversationError(f"{path}: expected a .json or .jsonl file")


def record_of(document: object, *, line: int) -> Record:
    """The record in `document`.

    Raises:
        ConversationError: says what is wrong with it, without its place.
    """
    if not isinstance(document, dict):
        raise ConversationError(f"expected a JSON object, got {type(document).__name__}")
    turns = tuple(_turn(index, turn) for index, turn in enumerate(_list_in(document, "conversations")))
    roles = [turn.role for turn in turns]
    if roles != ["user", "assistant"] * (len(roles) // 2) or not roles:
        raise ConversationError(f"expected turns of human and gpt in alternation, both at least once, got {roles}")
    listed = document.get("image", [])
    images = [listed] if isinstance(listed, str) else listed
    if not isinstance(images, list) or not all(isinstance(name, str) and _is_inside(name) for name in images):
        raise ConversationError(f"image: expected file names inside the folder of the pictures, got {listed!r}")
    if sum(turn.num_images for turn in turns) != len(images):
        raise ConversationError(
            f"{sum(turn.num_images for turn in turns)} {IMAGE_PLACEHOLDER} for {len(images)} images"
        )
    return Record(line, tuple(images), turns)


def picture_names(path: Path, *, limit: int | None) -> set[str]:
    """Of the pictures that the first `limit` records in `path` show; a record that cannot be used has none.

    Raises:
        ConversationError: the file cannot be read, or is not JSON; names the line.
    """
    names: set[str] = set()
    for line, document in islice(read_documents(path), limit):
        try:
            names.update(record_of(document, line=line).images)
        except ConversationError:
            continue  # whoever learns from the file says what is wrong with each, and in which line
    return names


def _turn(index: int, turn: object) -> Turn:
    role, value = (_ROLES.get(str(turn.get("from"))), turn.get("value")) if isinstance(turn, dict) else (None, None)
    if role is None or not isinstance(value, str):
        raise ConversationError(
            f"turn {index}: expected 'from' of {sorted(_ROLES)} and a text 'value', got {turn!r:.80}"
        )
    text = _words(value)
    if not text.strip():
        raise ConversationError(f"turn {index}: expected words, got none")
    if role == "assistant" and IMAGE_PLACEHOLDER in value:
        raise ConversationError(f"turn {index}: an answer holds {IMAGE_PLACEHOLDER}")
    return Turn(role, text, value.count(IMAGE_PLACEHOLDER))


def _words(value: str) -> str:
    """What is said in a turn, without the lines of its pictures."""
    line, rest = f"{IMAGE_PLACEHOLDER}\n", value
    while rest.startswith(line):
        rest = rest.removeprefix(line)
    if rest != value and IMAGE_PLACEHOLDER not in rest:
        return rest.rstrip()
    return value.replace(IMAGE_PLACEHOLDER, "").strip()


def _list_in(document: dict[str, Any], key: str) -> list[object]:
    value = document.get(key)
    if not isinstance(value, list):
        raise ConversationError(f"{key}: expected a list, available keys {sorted(document)}")
    return value


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(name) and not path.is_absolute() and ".." not in path.parts


def _listed(path: Path, text: str) -> Iterator[tuple[int, object]]:
    """The elements of a JSON list one by one, since only a place in the text tells their lines."""
    decoder, line, counted = json.JSONDecoder(), 1, 0
    place = _past_space(text, 0)
    if not text.startswith("[", place):
        raise ConversationError(f"{path}: expected a JSON list of records")
    place = _past_space(text, place + 1)
    while not text.startswith("]", place):
        line, counted = line + text.count("\n", counted, place), place
        try:
            document, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError) as error:
            raise ConversationError(f"{path}, line {line}: expected JSON: {error}") from error
        yield line, document
        place = _past_space(text, place)
        if text.startswith(",", place):
            place = _past_space(text, place + 1)
        elif not text.startswith("]", place):
            raise ConversationError(f"{path}, line {line}: expected ',' or ']' behind the record")
    if _past_space(text, place + 1) != len(text):
        raise ConversationError(f"{path}: expected nothing behind the list")


def _past_space(text: str, place: int) -> int:
    while place < len(text) and text[place] in " \t\r\n":
        place += 1
    return place


def _parsed(path: Path, line: int, content: str) -> object:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ConversationError(f"{path}, line {line}: expected JSON: {error}") from error
