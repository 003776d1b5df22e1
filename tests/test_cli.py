"""The command line itself."""

from __future__ import annotations

import subprocess
import sys

import pytest

from magma_ros.cli import COMMANDS, main


def test_help_lists_every_subcommand(capsys: pytest.CaptureFixture[str]) -> None:
    """Without arguments and with --help, the subcommands are shown and nothing is wrong."""
    for arguments in ([], ["--help"], ["-h"]):
        assert main(arguments) == 0
        shown = capsys.readouterr().out
        assert all(name in shown and command.purpose in shown for name, command in COMMANDS.items())


def test_unknown_subcommand_names_the_available_ones(capsys: pytest.CaptureFixture[str]) -> None:
    """A typo exits 2 with the list."""
    assert main(["evaluate"]) == 2
    assert "available: " + ", ".join(COMMANDS) in capsys.readouterr().err


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
