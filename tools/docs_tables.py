"""Write docs/reference (topics, parameters, launch files, commands) from the code that declares them.

Run with `.venv/bin/python tools/docs_tables.py` after a change of the interface table, a launch file or a subcommand.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from magma_ros import cli
from magma_ros.ros import interface
from magma_ros.ros.endpoints import Service, Topic

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs" / "reference"
WRITTEN = "<!-- Written by tools/docs_tables.py; do not edit. -->"
NODES = (
    "policy_node",
    "motion_node",
    "view_node",
    "recorder_node",
    "teleop_node",
    "arm_node",
    "driver_node",
    "servo_node",
)


def main() -> None:
    """Write each page anew."""
    REFERENCE.mkdir(exist_ok=True)
    for name, text in pages().items():
        (REFERENCE / name).write_text(text, encoding="utf-8")


def pages() -> dict[str, str]:
    """File name and text of each page."""
    return {
        "topics.md": "\n".join(topics()) + "\n",
        "parameters.md": "\n".join(parameters()) + "\n",
        "launch.md": "\n".join(launch_files()) + "\n",
        "commands.md": "\n".join(commands()) + "\n",
    }


def topics() -> Iterator[str]:
    """The page of topics, services and actions."""
    yield from page("Topics and services", "All names but `/diagnostics` are relative: a namespace holds a whole arm.")
    yield "Cameras, measured state and commands have the names and types that the [arm's file](../arms.md) gives; here"
    yield "are those of the arm `sim`. Quality of service keeps the last messages, and can be overridden by ROS's own"
    yield "`qos_overrides` parameters. How the nodes use them: [architecture](../architecture.md#the-ros-graph)."
    yield from ("", "## Topics")
    rows = [
        (code(row.name), kind(row.message, "msg"), quality(row.offered), quality(row.requested), row.meaning)
        for row in vars(interface).values()
        if isinstance(row, Topic)
    ]
    yield from table(("topic", "type", "offered", "requested", "meaning"), sorted(rows))
    yield from ("", "## Services and actions")
    for suffix in ("srv", "action"):
        of_kind = [
            (code(row.name), kind(row.interface, suffix), owner(row), row.meaning)
            for row in vars(interface).values()
            if isinstance(row, Service) and is_action(row.interface) == (suffix == "action")
        ]
        yield from table(("service" if suffix == "srv" else "action", "type", "of", "meaning"), sorted(of_kind))
    yield from ("", "## Messages of ours")
    for path in sorted([*ROOT.glob("msg/*.msg"), *ROOT.glob("srv/*.srv"), *ROOT.glob("action/*.action")]):
        yield from ("", f"### {path.parent.name}/{path.stem}", "", "```text", path.read_text(encoding="utf-8").strip())
        yield "```"


def parameters() -> Iterator[str]:
    """The page of parameters, node by node."""
    yield from page("Parameters", "Each is declared with a description and a range (`ros2 param describe`).")
    yield "Those set *at start* are read-only; the others of `policy_node` are locked while a checkpoint is loaded and"
    yield "take effect on *configure*. Launch files read a file of them: `config/params.yaml`."
    for node in NODES:
        yield from ("", f"## {node}")
        rows = [
            (code(row.name), code(default(row.default)), bounds(row), "at start" if row.read_only else "", row.meaning)
            for row in of_node(node, "PARAMETERS")
        ]
        yield from table(("parameter", "default", "range", "set", "meaning"), rows)


def launch_files() -> Iterator[str]:
    """The page of launch files, read without ROS's launch."""
    yield from page("Launch files", "`ros2 launch magma_ros FILE NAME:=VALUE …`; `--show-args` prints the same.")
    shared = ast.parse((ROOT / "magma_ros/ros/launching.py").read_text(encoding="utf-8"))
    groups = {
        t.id: n.value for n in shared.body if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)
    }
    for path in sorted(ROOT.glob("launch/*.launch.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        taken = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        purpose = (ast.get_docstring(tree) or "").partition("\n")[0]
        yield from ("", f"## {path.name}", "", purpose)
        rows = [*arguments(tree), *(row for name, group in groups.items() if name in taken for row in arguments(group))]
        yield from table(("argument", "default", "choices", "meaning"), rows)


def arguments(tree: ast.AST) -> Iterator[tuple[str, ...]]:
    """Name, default, choices and description of what a launch file declares."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "DeclareLaunchArgument":
            said = {keyword.arg: keyword.value for keyword in node.keywords}
            default = said.get("default_value")
            yield (
                code(ast.literal_eval(node.args[0])),
                "required" if default is None else spoken(default),
                spoken(said["choices"]) if "choices" in said else "",
                str(ast.literal_eval(said["description"])),
            )


def spoken(node: ast.expr) -> str:
    """A default or the choices of a launch argument, as a reader wants them."""
    if isinstance(node, ast.Constant):
        return code(node.value or '""')
    if isinstance(node, ast.List):
        return ", ".join(spoken(item) for item in node.elts)
    if isinstance(node, ast.Call) and isinstance(node.args[0], ast.List):  # a path below the package's share folder
        return code("/".join(str(item.value) for item in node.args[0].elts if isinstance(item, ast.Constant)))
    return "`true`, `false`"  # launching.SWITCH


def commands() -> Iterator[str]:
    """The page of subcommands."""
    yield from page(
        "Subcommands",
        "Names, exit status, progress: [the command line](../commands.md). `magma-ros --help` says:",
    )
    yield from ("", "```text", cli.usage(), "```")


def page(title: str, first: str) -> Iterator[str]:
    """The head of a page."""
    yield from (f"# {title}", "", WRITTEN, "", first)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A Markdown table."""
    yield ""
    for cells in (head, ["---"] * len(head), *rows):
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def code(value: object) -> str:
    """Text as code."""
    return f"`{value}`"


def kind(message: Any, folder: str) -> str:
    """The ROS type of a message, service or action class."""
    return code(f"{message.__module__.split('.')[0]}/{folder}/{message.__name__}")


def quality(qos: Any) -> str:
    """Quality of service in words."""
    words = ["reliable" if qos.reliable else "best effort", *(["latched"] if qos.latched else [])]
    return ", ".join([*words, f"depth {qos.depth}"])


def owner(row: Any) -> str:
    """The node that serves a service or action."""
    return ", ".join(code(node) for node in NODES if row in of_node(node, "SERVICES"))


def of_node(node: str, what: str) -> Sequence[Any]:
    """The rows of the interface table that are one node's."""
    rows: Sequence[Any] = getattr(interface, f"{node.removesuffix('_node').upper()}_{what}", ())
    return rows


def default(value: object) -> str:
    """A parameter's default, as YAML has it."""
    return str(value).lower() if isinstance(value, bool) else str(value) or '""'


def bounds(row: Any) -> str:
    """The range of a parameter."""
    low, high = ("" if bound is None else f"{bound:g}" for bound in (row.minimum, row.maximum))
    return f"{low} … {high}".strip() if low or high else ""


def is_action(cls: Any) -> bool:
    """The class is an action's."""
    return hasattr(cls, "Goal")


if __name__ == "__main__":
    main()
