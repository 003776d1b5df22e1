"""What is wrong with a command of the docs, found without running it: by the real parsers, and the files it names."""

from __future__ import annotations

import ast
import contextlib
import functools
import importlib
import io
import itertools
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from magma_ros import arms, cli, embodiments
from magma_ros.errors import ContractError
from magma_ros.pipeline import Pipeline
from magma_ros.ros.endpoints import Service, Topic

ROOT = Path(__file__).parents[2]
SEEN_ELSEWHERE = re.compile(
    r"\.|source|export|cat|cd|chmod|cp|kill|ls|mkdir|rm|sleep|test|touch|wait|git|docker|rosdep|openssl|colcon|ray|accelerate"
)
"""Programs whose arguments nobody here can judge."""
OURS = "magma_ros"
PLACEHOLDERS = ("...", "…")


def faults(words: Sequence[str]) -> Iterator[str]:
    """What speaks against a command; nothing for a sound one."""
    program = words[0].rsplit("/", 1)[-1]
    if "magma_ros.cli" in words:
        yield from _of_cli(words[words.index("magma_ros.cli") + 1 :])
    elif program in CHECKS:
        yield from CHECKS[program](list(words[1:]))
    elif not SEEN_ELSEWHERE.fullmatch(program):
        yield f"expected a known program, got {program!r}"


@functools.cache
def flags_of(name: str) -> frozenset[str]:
    """Every option of a subcommand of `magma-ros`."""
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit):
        cli.main([*name.split(), "--help"])
    heads = re.findall(r"^\W (--?[a-z].*?)(?:  |│|$)", shown.getvalue(), re.MULTILINE)
    return frozenset(option for head in heads for option in re.findall(r"(?<!\S)--?[a-z][\w-]*", head))


def subcommand(words: Sequence[str]) -> str:
    """The subcommand that the words begin with; empty if there is none of that name."""
    return next((name for name in (" ".join(words[:2]), *words[:1]) if name in cli.COMMANDS), "")


def make_targets() -> frozenset[str]:
    """The targets of the Makefile."""
    return frozenset(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def launch_arguments(path: Path) -> frozenset[str]:
    """The arguments that a launch file declares, those that it takes from `launching` included."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    shared = ast.parse((ROOT / "magma_ros/ros/launching.py").read_text(encoding="utf-8"))
    groups = {target.id: node.value for node in shared.body if isinstance(node, ast.Assign) for target in node.targets}
    taken = [node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr in groups]
    return frozenset(_declared(tree)).union(*(_declared(groups[name]) for name in taken))


def _of_cli(words: Sequence[str]) -> Iterator[str]:
    """Parse with the real front and the real signature; only the function at the end is another."""
    words = [word for word in words if word not in PLACEHOLDERS[1:]]
    if words[:1] in (["--help"], ["-h"]):
        return
    with pytest.MonkeyPatch.context() as patch:
        real = cli._load
        patch.setattr(cli, "_load", lambda target: _parsed_only(real(target)))
        try:
            status = cli.main(words)
        except SystemExit as left:
            status = int(left.code or 0)
    if status:
        yield f"magma-ros refuses it with status {status}"


def _parsed_only(command: Callable[..., Any]) -> Callable[..., Any]:
    """A function of the same options that does nothing."""

    @functools.wraps(command)
    def nothing(*_: object, **__: object) -> int:
        return 0

    return nothing


def _of_make(words: Sequence[str]) -> Iterator[str]:
    yield from (
        f"expected a target of the Makefile, got {word!r}"
        for word in words
        if "=" not in word and word not in make_targets()
    )


def _of_ros2(words: Sequence[str]) -> Iterator[str]:
    verb, kind, rest = words[0], words[1], [word for word in words[2:] if not word.startswith("--")]
    if verb == "launch" and kind == OURS:
        yield from _of_launch(rest)
    elif verb == "run" and kind == OURS:
        yield from _of_node(rest[0], words)
    elif (verb, kind) in {("service", "call"), ("action", "send_goal"), ("topic", "pub")}:
        yield from _of_message(rest[0], rest[1], yaml.safe_load(rest[2]) if len(rest) > 2 else {})


def _of_launch(words: Sequence[str]) -> Iterator[str]:
    path = ROOT / "launch" / words[0]
    if not path.exists():
        yield f"expected a launch file of ours, got {words[0]!r}"
        return
    known = launch_arguments(path)
    for word in words[1:]:
        name, sign, _ = word.partition(":=")
        if not sign or name not in known:
            yield f"expected one of {sorted(known)} for {path.name}, got {word!r}"
    yield from _misfits(dict(word.split(":=", 1) for word in words[1:] if ":=" in word))


def _misfits(told: Mapping[str, str]) -> Iterator[str]:
    """The actions of the embodiment, or of a checkpoint that comes with the project, are in the arm's frame."""
    if told.get("arm") not in arms.available():
        return
    arm = arms.load(told["arm"])
    try:
        if told.get("embodiment") in embodiments.available():
            arms.safety_limits(arm, embodiments.load(told["embodiment"]).contract)
        elif told.get("checkpoint") in {folder.name for folder in (ROOT / "checkpoints").iterdir()}:
            arms.safety_limits(arm, Pipeline.load(ROOT / "checkpoints" / told["checkpoint"]).contract)
    except ContractError as error:
        yield str(error)


def _of_node(name: str, words: Sequence[str]) -> Iterator[str]:
    interface = importlib.import_module("magma_ros.ros.interface")
    if not (ROOT / "scripts" / name).exists():
        yield f"expected a node of ours, got {name!r}"
        return
    rows = getattr(interface, f"{name.removesuffix('_node').upper()}_PARAMETERS", ())
    known = {row.name for row in rows} | {"use_sim_time"}
    told = (word.partition(":=")[0] for option, word in itertools.pairwise(words) if option == "-p")
    yield from (f"expected a parameter of {name}, got {parameter!r}" for parameter in told if parameter not in known)


def _of_message(name: str, interface: str, fields: dict[str, Any] | None) -> Iterator[str]:
    """The name is in the interface table, the type its own, and each field one of the type's."""
    table = importlib.import_module("magma_ros.ros.interface")
    rows = {
        value.name.lstrip("/"): getattr(value, "interface", None) or value.message
        for value in vars(table).values()
        if isinstance(value, Topic | Service)
    }
    services = {value.name: value.interface for value in vars(table).values() if isinstance(value, Service)}
    kind = interface.split("/")[1]
    known = (services if kind == "srv" else rows).get(name.lstrip("/"))
    if known is None or known.__name__ != interface.rsplit("/", 1)[-1]:
        yield f"expected a name of the interface table and its type, got {name} {interface}"
        return
    request = {"srv": "Request", "action": "Goal"}.get(kind)
    slots = (getattr(known, request) if request else known).get_fields_and_field_types()
    yield from (
        f"expected a field of {interface} ({sorted(slots)}), got {field!r}"
        for field in fields or {}
        if field not in slots
    )


def _of_python(words: Sequence[str]) -> Iterator[str]:
    """A module or script of ours exists and knows its flags; what is not ours is left alone."""
    if words[:1] == ["-m"] and words[1].startswith(f"{OURS}."):
        path = ROOT / "build/python" / (words[1].replace(".", "/") + ".py")
        if not path.exists():
            yield f"expected a module of ours, got {words[1]!r}"
        elif words[1].endswith("_node"):
            yield from _of_node(words[1].rsplit(".", 1)[-1], words)
    elif words and words[0].endswith(".py"):
        path = ROOT / words[0]
        if not path.exists():
            yield f"expected a script of ours, got {words[0]!r}"
            return
        source = path.read_text(encoding="utf-8")
        told = (word.partition("=")[0] for word in words[1:] if word.startswith("--"))
        yield from (f"expected an option of {words[0]}, got {word!r}" for word in told if f'"{word}"' not in source)


def _of_pip(words: Sequence[str]) -> Iterator[str]:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for word in words:
        if word.endswith(".txt") and not (ROOT / word.removeprefix("src/magma_ros/")).exists():
            yield f"expected a requirements file of ours, got {word!r}"
        for extra in re.findall(r"^(?:magma_ros|\.)\[(.+)\]$", word):
            yield from (
                f"expected one of the extras {sorted(extras)}, got {name!r}"
                for name in extra.split(",")
                if name not in extras
            )


def _of_sbatch(words: Sequence[str]) -> Iterator[str]:
    (number,) = (number for number, word in enumerate(words) if word.endswith(".sbatch"))
    command = {"sweep": "eval", "finetune": "finetune"}
    if not (ROOT / words[number]).exists():
        yield f"expected a script of ours, got {words[number]!r}"
    else:
        yield from _of_cli([command[Path(words[number]).stem], *words[number + 1 :]])


def _declared(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "DeclareLaunchArgument":
            yield ast.literal_eval(node.args[0])


CHECKS: dict[str, Callable[[list[str]], Iterator[str]]] = {
    "magma-ros": _of_cli,
    "make": _of_make,
    "ros2": _of_ros2,
    "python": _of_python,
    "python3": _of_python,
    "python3.11": _of_python,
    "pip": _of_pip,
    "sbatch": _of_sbatch,
    "torchrun": lambda _: iter(["expected -m magma_ros.cli"]),
}
