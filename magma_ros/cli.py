"""The `magma-ros` command: finds the subcommand, which alone is imported, and turns refusals into one line."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import tyro

from magma_ros.errors import MagmaRosError

EXIT_OK = 0
EXIT_REFUSED = 2
EXIT_INTERRUPTED = 130


class Command(NamedTuple):
    """What a subcommand, of one or two words, runs and does.

    Attributes:
        target: `module:function`; the function has typed keyword options and answers an exit status or None.
        purpose: What it does, for the list.
    """

    target: str
    purpose: str


COMMANDS: Mapping[str, Command] = MappingProxyType(
    {
        "annotate": Command(
            "magma_ros.finetune.annotation.command:annotate_film", "write conversations about marks and where they go"
        ),
        "bag-replay": Command(
            "magma_ros.ros.bag_replay:replay_bag", "say what a policy would have done in a recording"
        ),
        "collect": Command("magma_ros.sim.collect_command:collect_demos", "record demonstrations of a scripted expert"),
        "compare": Command("magma_ros.sim.sweep.compare_command:compare_sweeps", "say which of two sweeps is better"),
        "data check": Command(
            "magma_ros.finetune.quality.command:check_data", "say what would spoil a policy in recorded demonstrations"
        ),
        "data curate": Command(
            "magma_ros.finetune.curation.command:curate_videos", "cut described videos into clips worth annotating"
        ),
        "data export": Command("magma_ros.finetune.exporters.command:export_data", "write a dataset in another format"),
        "data import": Command(
            "magma_ros.finetune.importers.command:import_data",
            "bring recordings and others' demonstrations into a dataset",
        ),
        "doctor": Command("magma_ros.doctor.command:examine", "say what is wrong with this machine, arm and graph"),
        "eval": Command("magma_ros.sim.sweep.command:evaluate_policy", "measure a policy's success rate in simulation"),
        "faults": Command(
            "magma_ros.sim.faults.command:inject_faults", "break a graph in every way, time the arm's stop"
        ),
        "finetune": Command("magma_ros.finetune.commands:finetune_policy", "train a policy as a recipe says"),
        "inspect": Command(
            "magma_ros.inspection.report:inspect_checkpoint", "show a checkpoint and what is wrong with it"
        ),
        "ladder": Command(
            "magma_ros.finetune.deploy_commands:climb_ladder", "try a checkpoint on what it has to show before a robot"
        ),
        "merge": Command("magma_ros.finetune.merge_command:merge", "make one checkpoint of an adapter and its base"),
        "promote": Command(
            "magma_ros.finetune.deploy_commands:promote_checkpoint", "make a checkpoint current, or go back one"
        ),
        "record": Command(
            "magma_ros.sim.record_command:record_episodes", "teleoperate the simulated arm by a script, into bags"
        ),
        "report": Command(
            "magma_ros.sim.report.command:report_sweeps", "write the page of a sweep, alone or against others"
        ),
        "serve": Command("magma_ros.remote.commands:serve_checkpoint", "answer observations over a socket"),
        "wiggle": Command(
            "magma_ros.ros.wiggle:wiggle", "move each axis a little and find a driver that is set up wrongly"
        ),
    }
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the subcommand that `arguments` (by default the process's) name; gives the exit status.

    0 success, 1 a trial ended in an error, 2 refused (the reason is one line on stderr), 130 interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    num_words = 2 if " ".join(words[:2]) in COMMANDS else 1
    name, rest = " ".join(words[:num_words]), words[num_words:]
    if name in ("-h", "--help"):
        print(usage())
        return EXIT_OK
    if name not in COMMANDS:
        print(f"magma-ros: no subcommand {name!r}, available: {', '.join(COMMANDS)}", file=sys.stderr)
        return EXIT_REFUSED
    try:
        status = tyro.cli(_load(COMMANDS[name].target), args=rest, prog=f"magma-ros {name}")
    except MagmaRosError as error:
        print(f"magma-ros {name}: {error}", file=sys.stderr)
        return EXIT_REFUSED
    except KeyboardInterrupt:
        print(f"magma-ros {name}: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    return status or EXIT_OK


def usage() -> str:
    """The text of `magma-ros --help`."""
    lines = [f"  {name:<12}{command.purpose}" for name, command in COMMANDS.items()]
    heading = "usage: magma-ros SUBCOMMAND [OPTIONS]    (magma-ros SUBCOMMAND --help lists its options)"
    return "\n".join([heading, "", "subcommands:", *lines])


def _load(target: str) -> Callable[..., int | None]:
    module, _, function = target.partition(":")
    command: Callable[..., int | None] = getattr(importlib.import_module(module), function)
    return command


if __name__ == "__main__":
    sys.exit(main())
