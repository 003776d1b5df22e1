"""The `magma-ros` command: finds the subcommand, which alone is imported, and turns refusals into one line."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, NamedTuple, Union

import tyro

from magma_ros import exit_codes
from magma_ros.errors import MagmaRosError


class Command(NamedTuple):
    """What a subcommand, of one or two words, runs and does.

    Attributes:
        target: `module:function`; the function has typed keyword options and answers an exit status or None.
        purpose: What it does, for the list.
    """

    target: str
    purpose: str


STORY: Mapping[str, Mapping[str, Command]] = MappingProxyType(
    {
        "see it, and look at what you have": {
            "demo": Command("magma_ros.sim.demo:show_graph", "run trials of a checkpoint through the ROS graph"),
            "doctor": Command("magma_ros.doctor.command:examine", "say what is wrong with this machine, arm and graph"),
            "inspect": Command(
                "magma_ros.inspection.report:inspect_checkpoint", "show a checkpoint and what is wrong with it"
            ),
        },
        "serve a policy and measure it": {
            "serve": Command("magma_ros.remote.commands:serve_checkpoint", "answer observations over a socket"),
            "eval": Command(
                "magma_ros.sim.sweep.command:evaluate_policy", "measure a policy's success rate in simulation"
            ),
            "compare": Command(
                "magma_ros.sim.sweep.compare_command:compare_sweeps", "say which of two sweeps is better"
            ),
            "report": Command(
                "magma_ros.sim.report.command:report_sweeps", "write the page of a sweep, alone or against others"
            ),
        },
        "get demonstrations": {
            "collect": Command(
                "magma_ros.sim.collect_command:collect_demos", "record demonstrations of a scripted expert"
            ),
            "record": Command(
                "magma_ros.sim.record_command:record_episodes", "teleoperate the simulated arm by a script, into bags"
            ),
            "data import": Command(
                "magma_ros.finetune.importers.command:import_data",
                "bring recordings and others' demonstrations into a dataset",
            ),
            "data check": Command(
                "magma_ros.finetune.quality.command:check_data", "say what would spoil a policy in demonstrations"
            ),
            "data curate": Command(
                "magma_ros.finetune.curation.command:curate_videos", "cut described videos into clips worth annotating"
            ),
            "data export": Command(
                "magma_ros.finetune.exporters.command:export_data", "write a dataset in another format"
            ),
            "annotate": Command(
                "magma_ros.finetune.annotation.command:annotate_film",
                "write conversations about marks and where they go",
            ),
        },
        "train, and bring the result to the robot": {
            "finetune": Command("magma_ros.finetune.commands:finetune_policy", "train a policy as a recipe says"),
            "merge": Command(
                "magma_ros.finetune.merge_command:merge", "make one checkpoint of an adapter and its base"
            ),
            "ladder": Command(
                "magma_ros.finetune.deploy_commands:climb_ladder", "try a checkpoint on what a robot will ask of it"
            ),
            "promote": Command(
                "magma_ros.finetune.deploy_commands:promote_checkpoint", "make a checkpoint current, or go back one"
            ),
        },
        "on the robot": {
            "bag-replay": Command(
                "magma_ros.ros.bag_replay:replay_bag", "say what a policy would have done in a recording"
            ),
            "wiggle": Command(
                "magma_ros.ros.wiggle:wiggle", "move each axis a little and find a driver that is set up wrongly"
            ),
            "faults": Command(
                "magma_ros.sim.faults.command:inject_faults", "break a graph in every way, time the arm's stop"
            ),
        },
        "on an idle machine": {
            "bench": Command("magma_ros.sim.bench:run_benchmarks", "measure speed: an action, the simulator, the wire"),
        },
    }
)
"""Every subcommand in the order of a newcomer's way, by what it is for."""

COMMANDS: Mapping[str, Command] = MappingProxyType(
    {name: command for chapter in STORY.values() for name, command in chapter.items()}
)

_STYLE = (tyro.conf.FlagCreatePairsOff,)
"""A switch has one form: the one that changes something."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the subcommand that `arguments` (by default the process's) name; gives one of `exit_codes`."""
    words = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    num_words = 2 if " ".join(words[:2]) in COMMANDS else 1
    name, rest = " ".join(words[:num_words]), words[num_words:]
    if name in ("-h", "--help"):
        print(usage())
        return exit_codes.OK
    if name.startswith("--tyro-"):
        tyro.cli(_any_command(), args=words, prog="magma-ros", config=_STYLE)
    if name not in COMMANDS:
        print(f"magma-ros: no subcommand {name!r}, available: {', '.join(COMMANDS)}", file=sys.stderr)
        return exit_codes.REFUSED
    try:
        status = tyro.cli(_load(COMMANDS[name].target), args=rest, prog=f"magma-ros {name}", config=_STYLE)
    except MagmaRosError as error:
        print(f"magma-ros {name}: {error}", file=sys.stderr)
        return exit_codes.REFUSED
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        if module == "magma_ros":
            raise
        from magma_ros.doctor.machine import what_brings  # noqa: PLC0415 - nothing else here needs it

        print(f"magma-ros {name}: {module} is not installed: {what_brings(module)}", file=sys.stderr)
        return exit_codes.REFUSED
    except KeyboardInterrupt:
        print(f"magma-ros {name}: interrupted", file=sys.stderr)
        return exit_codes.INTERRUPTED
    return status or exit_codes.OK


def usage() -> str:
    """The text of `magma-ros --help`."""
    lines = ["usage: magma-ros SUBCOMMAND [OPTIONS]    (magma-ros SUBCOMMAND --help lists its options)"]
    for chapter, commands in STORY.items():
        lines += ["", f"{chapter}:", *(f"  {name:<13}{command.purpose}" for name, command in commands.items())]
    codes = "exit status: 0 done, 1 done and something is wrong, 2 refused (the reason is on stderr), 130 interrupted"
    completion = "shell completion: magma-ros --tyro-print-completion bash, zsh or fish (docs/commands.md)"
    return "\n".join([*lines, "", codes, completion])


def _any_command() -> Any:
    """One type with every subcommand, which imports them all: for shells that complete words."""
    tree: dict[str, Any] = {}
    for name, command in COMMANDS.items():
        group, _, last = name.rpartition(" ")
        (tree.setdefault(group, {}) if group else tree)[last] = _load(command.target)
    return _one_of(tree)


def _one_of(tree: Mapping[str, Any]) -> Any:
    made = {name: _one_of(below) if isinstance(below, dict) else below for name, below in tree.items()}
    kinds = tuple(Annotated[Any, tyro.conf.subcommand(name, constructor=below)] for name, below in made.items())
    return Union[kinds]  # noqa: UP007 - of as many as there are


def _load(target: str) -> Callable[..., int | None]:
    module, _, function = target.partition(":")
    command: Callable[..., int | None] = getattr(importlib.import_module(module), function)
    return command


if __name__ == "__main__":
    sys.exit(main())
