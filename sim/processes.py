"""Child processes that are started, watched and ended by their own ids, each with its log in a file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from magma_ros.errors import EnvError
from magma_ros.shared_files import shared_folders

_USERS_CHOICE = (
    "FASTRTPS_DEFAULT_PROFILES_FILE",
    "MALLOC_MMAP_THRESHOLD_",
    "MALLOC_TRIM_THRESHOLD_",
    "MALLOC_ARENA_MAX",
)


@dataclass(frozen=True, slots=True)
class Child:
    """One child process.

    Attributes:
        name: For messages.
        process: The process; `start` made it.
        log: Everything that it printed.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @classmethod
    def start(
        cls, name: str, command: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None
    ) -> Child:
        """Run `command` with its output in `log`; `environment` is added to this process's own.

        It can be interrupted even where this process cannot: a shell's background jobs inherit that SIGINT is ignored.
        """
        ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as sink:
            process = subprocess.Popen(
                [*(("env", "--default-signal=INT") if ignored else ()), *command],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                env={**os.environ, **(environment or {})},
            )
        return cls(name, process, log)

    def require_alive(self) -> None:
        """Nothing while it runs.

        Raises:
            EnvError: it ended; the message carries the end of its log.
        """
        status = self.process.poll()
        if status is not None:
            raise EnvError(f"{self.name} ended by itself with status {status}:\n{self.last_lines()}")

    def last_lines(self, count: int = 15) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-count:])

    def stop(self, *, grace_s: float = 8.0) -> int:
        """Ask it to end with SIGINT, and kill it after `grace_s`; returns its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(grace_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def parameter_arguments(parameters: Mapping[str, object]) -> list[str]:
    """What follows `--ros-args` so that a node has `parameters`; paths are text, too."""
    return [part for name, value in parameters.items() for part in ("-p", f"{name}:={_yaml(value)}")]


def run_id() -> int:
    """A ROS domain from 1 to 100 for a run of this process, unless the user chose one."""
    chosen = os.environ.get("ROS_DOMAIN_ID", "")
    return int(chosen) if chosen.isdigit() else fresh_id()


def fresh_id() -> int:
    """A ROS domain from 1 to 100 that another run hardly has."""
    return (os.getpid() + time.monotonic_ns() // 1_000_000) % 100 + 1


def graph_environment() -> dict[str, str]:
    """What the nodes' processes should have: this machine, a domain of this run, a transport that loses no picture."""
    return {
        "ROS_DOMAIN_ID": str(run_id()),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "FASTRTPS_DEFAULT_PROFILES_FILE": str(shared_file("config/fastdds.xml")),
        "MALLOC_MMAP_THRESHOLD_": "33554432",
        "MALLOC_TRIM_THRESHOLD_": "268435456",
        "MALLOC_ARENA_MAX": "1",
    }


def enter_graph() -> None:
    """Let this process's children be nodes of its graph; the user's own transport profile and memory settings stay."""
    ours = graph_environment()
    chosen = {name: os.environ[name] for name in _USERS_CHOICE if name in os.environ}
    os.environ.update(ours | chosen)


def shared_file(name: str) -> Path:
    """A file of this project outside the Python package: from the source checkout, or from where it was installed.

    Raises:
        EnvError: it is in neither place.
    """
    places = list(shared_folders(name))
    for place in places:
        if place.is_file():
            return place
    raise EnvError(f"{name}: expected in one of {[str(place) for place in places]}")


def _yaml(value: object) -> str:
    """JSON, which is YAML: ROS reads values as YAML, and text in quotes stays text where it looks like a number."""
    return json.dumps(value if isinstance(value, int | float) else str(value), ensure_ascii=False)
