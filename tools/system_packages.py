"""Libraries and programs that pip can't bring: found by using them, installed as root, else named in one command."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Sequence

EGL_PROBE = """
import ctypes
egl = ctypes.CDLL("libEGL.so.1")
egl.eglGetDisplay.restype = ctypes.c_void_p
egl.eglGetDisplay.argtypes = [ctypes.c_void_p]
egl.eglInitialize.argtypes = [ctypes.c_void_p] * 3
raise SystemExit(0 if egl.eglInitialize(egl.eglGetDisplay(None), None, None) else 1)
"""


class MissingSystemPackagesError(Exception):
    """System packages are missing and could not be installed; the message has the command that installs them."""


@dataclass(frozen=True)
class Requirement:
    """One thing the machine must have: what for, how to tell, and the Debian/Ubuntu packages that bring it."""

    purpose: str
    is_met: Callable[[], bool]
    packages: tuple[str, ...]
    optional: bool = False


def requirements_for(python: str) -> list[Requirement]:
    """What a machine needs to install, compile, render and test, with `python` as the base interpreter."""
    minor = run_python(python, "import sys; print('python%d.%d' % sys.version_info[:2])").strip()
    return [
        Requirement(
            "virtual environments",
            lambda: bool(run_python(python, "import ensurepip, venv; print(1)")),
            (f"{minor}-venv",),
        ),
        Requirement("compiling the messages: Python headers", lambda: has_headers(python), (f"{minor}-dev",)),
        Requirement("compiling the messages: C", lambda: has_program("CC", "cc", "gcc", "clang"), ("gcc", "libc6-dev")),
        Requirement("compiling the messages: C++", lambda: has_program("CXX", "c++", "g++", "clang++"), ("g++",)),
        Requirement("OpenCV: GL", lambda: loads("libGL.so.1"), ("libgl1",)),
        Requirement("OpenCV: GLib", lambda: loads("libgthread-2.0.so.0"), ("libglib2.0-0",)),
        Requirement(
            "rendering without a screen: EGL",
            lambda: egl_starts() or loads("libOSMesa.so.8"),
            ("libegl1", "libegl-mesa0", "libgl1-mesa-dri"),
        ),
        Requirement("rendering: the second backend", lambda: loads("libOSMesa.so.8"), ("libosmesa6",), optional=True),
    ]


def require(
    requirements: Sequence[Requirement],
    *,
    install: Callable[[Sequence[str]], None] | None,
    say: Callable[[str], None],
) -> None:
    """Have every requirement met; `install` gets the names of missing packages (None: nothing can be installed).

    Raises:
        MissingSystemPackagesError: something is still missing; the message names every package in one command.
    """
    lacking = [requirement for requirement in requirements if not requirement.is_met()]
    if lacking and install:
        say(f"installing system packages: {' '.join(packages_of(lacking))}")
        for optional in (False, True):  # apart, so that a name unknown to this release does not spoil the rest
            names = packages_of([requirement for requirement in lacking if requirement.optional is optional])
            if names:
                install(names)
        lacking = [requirement for requirement in lacking if not requirement.is_met()]
    if any(not requirement.optional for requirement in lacking):
        raise MissingSystemPackagesError(explain(lacking))
    for requirement in lacking:
        say(f"optional and not there: {' '.join(requirement.packages)} ({requirement.purpose})")


def explain(lacking: Sequence[Requirement]) -> str:
    """What is missing and the one command that installs it."""
    lines = ["this machine lacks system packages:"]
    lines += [f"  {' '.join(requirement.packages):<44} {requirement.purpose}" for requirement in lacking]
    command = f"apt-get install -y --no-install-recommends {' '.join(packages_of(lacking))}"
    return "\n".join([*lines, "Install them and start again:", f"  sudo apt-get update && sudo {command}"])


def packages_of(requirements: Sequence[Requirement]) -> list[str]:
    """Package names of some requirements, each once, in their order."""
    return list(dict.fromkeys(name for requirement in requirements for name in requirement.packages))


def apt_installer() -> Callable[[Sequence[str]], None] | None:
    """What installs packages here: apt-get when we are root and it is there, else None."""
    return apt_install if os.geteuid() == 0 and shutil.which("apt-get") else None


def apt_install(packages: Sequence[str]) -> None:
    """Ask apt-get for packages, after a fresh list; a failure shows in the requirement that stays unmet."""
    apt = ["apt-get", "-qq", "-o", "Dpkg::Use-Pty=0"]
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        subprocess.run([*apt, *arguments], env=quiet, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False)


def has_program(variable: str, *names: str) -> bool:
    """Whether the program that an environment variable or one of the names says is on PATH."""
    return any(shutil.which(name) for name in (os.environ.get(variable, ""), *names) if name)


def has_headers(python: str) -> bool:
    """Whether an interpreter's C headers are installed."""
    folder = run_python(python, "import sysconfig; print(sysconfig.get_path('include'))").strip()
    return Path(folder, "Python.h").is_file()


def loads(library: str) -> bool:
    """Whether the dynamic loader finds a library and everything it needs."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def egl_starts() -> bool:
    """Whether EGL finds a driver that works without a screen (asked in a process of its own: drivers can crash)."""
    surfaceless = {**os.environ, "EGL_PLATFORM": "surfaceless"}
    probe = [sys.executable, "-c", EGL_PROBE]
    return subprocess.run(probe, env=surfaceless, capture_output=True, check=False).returncode == 0


def run_python(python: str, code: str) -> str:
    """What an interpreter prints for some code; empty when it fails."""
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=False).stdout
