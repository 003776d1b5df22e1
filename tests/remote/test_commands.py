"""`magma-ros serve` as a process."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from magma_ros.checkpoint import load_policy
from magma_ros.cli import main
from magma_ros.remote.access import TOKEN_VARIABLE
from magma_ros.remote.client import RemotePolicy
from magma_ros.remote.commands import _until_signal
from magma_ros.remote.server import PolicyServer, ServerSettings
from tests.examples import make_observation
from tests.model.random_checkpoints import write_random_checkpoint
from tests.remote.serving import TOKEN, EchoPolicy


def test_a_checkpoint_is_served_until_ctrl_c(tmp_path: Path) -> None:
    """It prints address and fingerprint once clients can connect, answers like the checkpoint, and ends cleanly."""
    folder = write_random_checkpoint(tmp_path / "mine", action_horizon=2)
    (tmp_path / "token").write_text(TOKEN)
    command = [sys.executable, "-m", "magma_ros.cli", "serve", str(folder), "--port", "0"]
    command += ["--token-file", str(tmp_path / "token")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        _, name, _, address, _, fingerprint = server.stdout.readline().replace(",", "").split()
        remote, local = RemotePolicy(address, token=TOKEN, expected_fingerprint=fingerprint), load_policy(folder)
        assert ("mine", local.pipeline.fingerprint()) == (name, fingerprint)
        answers = [policy.infer(make_observation()) for policy in (local, remote)]
        server.send_signal(signal.SIGINT)
        output, errors = server.communicate(timeout=60)
        remote.close()
    assert answers[0].tokens.tolist() == answers[1].tokens.tolist()
    assert (2, 7) == answers[1].actions.shape
    assert (0, "stopped serving mine\n") == (server.returncode, output), errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_server(number: signal.Signals) -> None:
    """Either of the two that ask a process to end lets the server close its connections and return."""
    server = PolicyServer(EchoPolicy(), name="toy", settings=ServerSettings(port=0))
    asyncio.run(_until_signal(server, lambda _: signal.raise_signal(number)))
    assert not server._worker.is_alive


def test_other_machines_are_refused_before_the_checkpoint_is_loaded(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without token and certificate the command ends at once, with one line that says what is missing."""
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    assert 2 == main(["serve", "no-such-folder", "--host", "0.0.0.0"])  # noqa: S104 - to be refused
    assert "no token and no certificate" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flag", "value"),
    [("--dtype", "int3"), ("--quantization", "int3"), ("--embodiment", "octopus")],
)
def test_flags_reach_the_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str], flag: str, value: str) -> None:
    """What cannot be had is refused by the loader, in a line that names it."""
    assert 2 == main(["serve", str(write_random_checkpoint(tmp_path)), "--port", "0", flag, value])
    assert value in capsys.readouterr().err


def test_the_token_cannot_be_given_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Every user of the machine could read it there."""
    with pytest.raises(SystemExit):
        main(["serve", "folder", "--token", TOKEN])
    assert "token" in capsys.readouterr().err


def test_limits_are_checked_before_anything_is_loaded(capsys: pytest.CaptureFixture[str]) -> None:
    """A deadline of zero is one line of refusal."""
    assert 2 == main(["serve", "folder", "--deadline-s", "0"])
    assert "deadline_s" in capsys.readouterr().err
