"""The command line itself."""

from __future__ import annotations

import shlex
import subprocess
import sys
import types
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import pytest

from magma_ros import cli, exit_codes
from magma_ros.cli import COMMANDS, STORY, _load, main
from magma_ros.errors import MagmaRosError

OWN_KIND = {
    ("merge", "dtype"),  # what is written, one of three; elsewhere any that torch knows
    ("record", "task"),  # one table is set; elsewhere several tasks may be named
    ("faults", "only"),  # faults; the ladder's are rungs
}
"""Options that have another kind of value in one subcommand, each for its reason."""


def test_help_lists_every_subcommand(capsys: pytest.CaptureFixture[str]) -> None:
    """Without arguments and with --help, the subcommands are shown and nothing is wrong."""
    for arguments in ([], ["--help"], ["-h"]):
        assert main(arguments) == 0
        shown = capsys.readouterr().out
        assert all(name in shown and command.purpose in shown for name, command in COMMANDS.items())


def test_help_is_a_story_that_ends_with_the_exit_status(capsys: pytest.CaptureFixture[str]) -> None:
    """The list begins with the demo, goes on under headings, and ends with what a script may rely on."""
    main(["--help"])
    shown = capsys.readouterr().out
    places = [shown.index(f"\n  {name} ") for name in COMMANDS]
    assert sorted(places) == places
    assert "demo" == next(iter(COMMANDS))
    assert all(f"\n{chapter}:\n" in shown for chapter in STORY)
    codes = (exit_codes.OK, exit_codes.FAILED, exit_codes.REFUSED, exit_codes.INTERRUPTED)
    assert (0, 1, 2, 130) == codes
    assert all(f" {code} " in shown.partition("exit status:")[2] for code in codes)


def test_unknown_subcommand_names_the_available_ones(capsys: pytest.CaptureFixture[str]) -> None:
    """A typo exits 2 with the list."""
    assert main(["evaluate"]) == 2
    assert "available: " + ", ".join(COMMANDS) in capsys.readouterr().err


@pytest.mark.parametrize(
    ("fault", "status", "said"),
    [
        (MagmaRosError("expected a, got b"), 2, "magma-ros eval: expected a, got b"),
        (ModuleNotFoundError(name="mujoco"), 2, "mujoco is not installed: pip install 'magma_ros[sim]'"),
        (ModuleNotFoundError(name="sklearn.cluster"), 2, "sklearn is not installed: pip install 'magma_ros[finetune]'"),
        (ModuleNotFoundError(name="cv2"), 2, "cv2 is not installed: pip install 'opencv-python'"),
        (ModuleNotFoundError(name="rclpy"), 2, "rclpy is not installed: `magma-ros doctor` says"),
        (KeyboardInterrupt(), 130, "magma-ros eval: interrupted"),
    ],
)
def test_what_ends_a_subcommand_is_one_line_and_an_exit_status(
    fault: BaseException, status: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A refusal, a package that is not there and Ctrl-C show no traceback; the line names the cure."""

    def broken() -> None:
        raise fault

    monkeypatch.setattr(cli, "_load", lambda _: broken)
    assert status == main(["eval"])
    captured = capsys.readouterr()
    assert said in captured.err
    assert 1 == len(captured.err.strip().splitlines())


def test_a_module_of_ours_that_is_missing_is_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not called somebody's installation: the traceback says where."""

    def broken() -> None:
        raise ModuleNotFoundError(name="magma_ros.typo")

    monkeypatch.setattr(cli, "_load", lambda _: broken)
    with pytest.raises(ModuleNotFoundError):
        main(["eval"])


@pytest.mark.parametrize("name", COMMANDS)
def test_each_subcommand_explains_its_options(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every subcommand can be imported and documents itself."""
    with pytest.raises(SystemExit) as stopped:
        main([*name.split(), "--help"])
    assert stopped.value.code == 0
    assert f"magma-ros {name}" in capsys.readouterr().out


def test_module_can_be_run_and_imports_nothing_heavy_for_help() -> None:
    """`python -m magma_ros.cli` works; help needs neither torch nor MuJoCo."""
    program = (
        "import sys, runpy; sys.argv = ['magma-ros', '--help']\n"
        "try: runpy.run_module('magma_ros.cli', run_name='__main__')\n"
        "except SystemExit as done: assert not done.code\n"
        "assert not {'torch', 'mujoco', 'transformers', 'rclpy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "usage: magma-ros" in done.stdout


def test_an_option_is_the_same_kind_of_thing_in_every_subcommand() -> None:
    """`--json` is a file everywhere, `--seed` a number, and so on; what differs is listed above with its reason."""
    kinds: dict[str, dict[Any, str]] = {}
    for name, command in COMMANDS.items():
        for option, kind in options_of(_load(command.target)):
            if (name, option) not in OWN_KIND:
                kinds.setdefault(option, {}).setdefault(kind, name)
    assert {} == {option: found for option, found in kinds.items() if len(found) > 1}
    assert {"json": Path, "output": Path, "seed": int, "workers": int, "trials": int, "episodes": int} == {
        option: next(iter(kinds[option])) for option in ("json", "output", "seed", "workers", "trials", "episodes")
    }
    assert not {"first_seed", "seeds", "out", "folder_out", "num_workers"} & set(kinds)


def test_switches_have_one_form(capsys: pytest.CaptureFixture[str]) -> None:
    """A switch that is off can be put on and nothing else; one that is on, off."""
    with pytest.raises(SystemExit):
        main(["eval", "--help"])
    shown = capsys.readouterr().out
    assert "--resume" in shown
    assert "--no-resume" not in shown
    assert "--no-batch" in shown
    assert " --batch" not in shown


def test_bash_completes_subcommands_options_and_choices(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The printed script, read by a real bash, completes what was begun."""
    with pytest.raises(SystemExit) as stopped:
        main(["--tyro-print-completion", "bash"])
    assert not stopped.value.code
    script = tmp_path / "magma-ros.bash"
    script.write_text(capsys.readouterr().out)
    for words, expected in (
        (["b"], {"bag-replay", "bench"}),
        (["data", "i"], {"import"}),
        (["eval", "--tri"], {"--trials"}),
        (["collect", "--se"], {"--seed"}),
        (["annotate", "--preset", "ro"], {"robot"}),
    ):
        begun = shlex.join(["magma-ros", *words])
        program = (
            f"source {script}; COMP_WORDS=({begun}) COMP_CWORD={len(words)}; _tyro_magma_ros; echo ${{COMPREPLY[@]}}"
        )
        done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True)
        assert expected == set(done.stdout.split()), done.stderr


def options_of(function: Any) -> Iterator[tuple[str, Any]]:
    """Name and kind of a command's keyword options, those in dataclasses among them."""
    keywords = function.__kwdefaults__ or {}
    names = function.__code__.co_varnames[function.__code__.co_argcount :][: function.__code__.co_kwonlyargcount]
    assert set(keywords) <= set(names)
    hints = get_type_hints(function)
    for name in names:
        if is_dataclass(hints[name]):
            inner = get_type_hints(hints[name])
            yield from ((field.name, plain(inner[field.name])) for field in fields(hints[name]))
        else:
            yield name, plain(hints[name])


def plain(kind: Any) -> Any:
    """A type without None and notes."""
    if get_origin(kind) is Annotated:
        return plain(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        (only,) = [part for part in get_args(kind) if part is not type(None)]
        return plain(only)
    return kind
