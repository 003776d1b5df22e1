"""Make `.venv` ready: packages, compiled messages, links to this checkout. Standard library only.

Each step leaves a stamp with a hash of its inputs, so that a second run only refreshes the links:

1. packages   system packages that are missing (`system_packages.py`), then `.venv` from `requirements/*.txt`
2. extras     with `--extra libero`: the benchmark and its assets, from `requirements/libero*.txt`; `ray`, `docs` too
3. messages   `msg/ srv/ action/` generated, compiled and installed into `.venv`
4. stand-ins  message packages that tests need and no wheel has (`tests/interface_packages`), into `.venv` as well
5. links      `build/python/magma_ros` (this checkout as one package), executables and shared files (`layout.py`)
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Iterable, Iterator, Sequence

import layout
import system_packages

SUPPORTED_PYTHON = ("3.11", "3.12")
# Another ROS installation's variables, and the guard that the ROS wheels leave in their children's environment: a new
# environment's interpreter that inherits it never sets its own library path.
FOREIGN_VARIABLES = (
    "PYTHONPATH",
    "PYTHONHOME",
    "LD_LIBRARY_PATH",
    "AMENT_PREFIX_PATH",
    "CMAKE_PREFIX_PATH",
    "COLCON_PREFIX_PATH",
    "_ROS_WHEELS_BOOTSTRAP_COMPLETE",
)
EXTRAS = ("libero", "ray", "docs")  # lock files whose names begin so are installed only when asked for
WITHOUT_DEPENDENCIES = "no_deps"  # so ends the name of a lock file whose packages' own demands can't be met
STAND_IN_MARK = "Stand-in for tests of magma_ros"  # in the description of each of tests/interface_packages
STARTED = time.monotonic()


def main(arguments: Sequence[str] | None = None) -> None:
    """Bring the `.venv` of this checkout up to date."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--skip-packages", action="store_true", help="take the packages of .venv as they are")
    parser.add_argument(
        "--extra", action="append", default=[], choices=EXTRAS, help="libero is 1.5 GB, ray 0.2, docs 0.1"
    )
    options = parser.parse_args(arguments)
    for name in FOREIGN_VARIABLES:
        os.environ.pop(name, None)
    root = Path(__file__).resolve().parent.parent
    with one_at_a_time(root / "build" / "bootstrap.lock"):
        bootstrap(root, root / ".venv", skip_packages=options.skip_packages, extras=options.extra)


def bootstrap(root: Path, venv: Path, *, skip_packages: bool, extras: Sequence[str]) -> None:
    """Run the steps whose inputs changed."""
    packages = Stamp(venv / "magma_ros.packages", package_sources(root), salt=str(venv))
    if not skip_packages and not packages.is_current():
        install_packages(root, venv)
        packages.write()
    for extra in () if skip_packages else extras:
        files = lock_files(root, extra=extra)
        installed = Stamp(venv / f"magma_ros.{extra}", files, salt=packages.read())
        if not installed.is_current():
            say(f"installing the packages of {extra}; the first time takes minutes")
            run_pip(venv, files)
            installed.write()
    messages = Stamp(venv / "magma_ros.messages", interface_sources(root), salt=packages.read())
    if not messages.is_current():
        build_messages(root, venv)
        messages.write()
    stand_ins = Stamp(venv / "magma_ros.stand_ins", stand_in_sources(root), salt=packages.read())
    if not stand_ins.is_current():
        build_stand_ins(root, venv)
        stand_ins.write()
    layout.link_checkout(root, venv)


def package_sources(root: Path) -> list[Path]:
    """The files that decide what is installed."""
    return [*lock_files(root), root / "tools" / "system_packages.py"]


def lock_files(root: Path, *, extra: str = "") -> list[Path]:
    """What pins the packages of every set-up, or those of one of `EXTRAS`."""
    files = sorted((root / "requirements").glob("*.txt"))
    return [path for path in files if next(filter(path.stem.startswith, EXTRAS), "") == extra]


def interface_sources(root: Path) -> list[Path]:
    """The files that decide what the compiled messages are."""
    folders = [sorted((root / name).iterdir()) for name in ("msg", "srv", "action")]
    return [root / "CMakeLists.txt", root / "package.xml", *(path for folder in folders for path in folder)]


def stand_in_sources(root: Path) -> list[Path]:
    """The files that decide what the compiled stand-ins are."""
    return sorted(path for path in (root / "tests" / "interface_packages").rglob("*") if path.is_file())


def stand_ins_to_build(root: Path, venv: Path) -> list[str]:
    """Names of the stand-ins that `.venv` lacks or has from us; a real package of that name is left alone."""
    found = []
    for path in sorted((root / "tests" / "interface_packages").glob("*/package.xml")):
        name = path.parent.name
        installed = venv / "share" / name / "package.xml"
        if not installed.exists() or STAND_IN_MARK in installed.read_text(encoding="utf-8"):
            found.append(name)
    return found


def install_packages(root: Path, venv: Path) -> None:
    """Install what the machine lacks, make `.venv` unless there is a sound one, and install the pinned packages."""
    python = find_python()
    try:
        requirements = system_packages.requirements_for(python)
        system_packages.require(requirements, install=system_packages.apt_installer(), say=say)
    except system_packages.MissingSystemPackagesError as error:
        raise failure(str(error)) from None
    if not is_sound(venv):
        say(f"making {venv.name} with {python}")
        shutil.rmtree(venv, ignore_errors=True)
        run([python, "-m", "venv", venv])
    say("installing the pinned packages; the first time takes minutes")
    run_pip(venv, lock_files(root))


def run_pip(venv: Path, files: Sequence[Path]) -> None:
    """Install what these lock files pin into `.venv`."""
    pip = [str(venv / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    pip += ["--no-compile"]  # Python caches the few modules that are imported; compiling all costs 50 s
    pip += ["--use-pep517"]  # one way to build a source package, whatever pip's age
    for arguments in pip_runs(files):
        run([*pip, *arguments])


def pip_runs(files: Sequence[Path]) -> list[list[str]]:
    """What pip is asked for in turn: all packages together, then those whose own demands can't be met beside them."""
    alone = [path for path in files if path.stem.endswith(WITHOUT_DEPENDENCIES)]
    together = [argument for path in files if path not in alone for argument in ("-r", str(path))]
    by_themselves = [argument for path in alone for argument in ("-r", str(path))]
    return [together, ["--no-deps", *by_themselves]] if alone else [together]


def find_python() -> str:
    """The interpreter for `.venv`: this one if it is supported, else the first supported one on PATH that starts."""
    for candidate in (sys.executable, *(f"python{minor}" for minor in reversed(SUPPORTED_PYTHON))):
        query = "import sys; print('%d.%d' % sys.version_info[:2], sys.executable)"
        with contextlib.suppress(FileNotFoundError):
            minor, _, executable = system_packages.run_python(candidate, query).strip().partition(" ")
            if minor in SUPPORTED_PYTHON:
                return executable
    raise failure(
        f"Python {' or '.join(SUPPORTED_PYTHON)} is needed and none was found; name one: make PYTHON=/path/to/python"
    )


def is_sound(venv: Path) -> bool:
    """Whether `.venv` was made at this very place with a supported Python, and its pip starts."""
    settings = venv / "pyvenv.cfg"
    if not settings.exists() or f" {venv}\n" not in settings.read_text(encoding="utf-8"):
        return False
    if next((venv / "lib").glob("python3.*")).name.removeprefix("python") not in SUPPORTED_PYTHON:
        return False
    pip = [str(venv / "bin" / "python"), "-m", "pip", "--version"]
    return subprocess.run(pip, capture_output=True, check=False).returncode == 0


def build_messages(root: Path, venv: Path) -> None:
    """Generate, compile and install our interfaces into `.venv`."""
    say("compiling the messages; about a minute")
    run([venv / "bin" / "python", root / "tools" / "patch_ros_wheels.py"])
    options = {"CMAKE_BUILD_TYPE": "Release", "MAGMA_ROS_INTERFACES_ONLY": "ON"}
    build_interfaces(root, root / "build" / "interfaces", venv, options=options)


def build_stand_ins(root: Path, venv: Path) -> None:
    """Generate, compile and install what `.venv` lacks of `tests/interface_packages`."""
    names = stand_ins_to_build(root, venv)
    if not names:
        return
    say(f"compiling stand-ins of {', '.join(names)} for tests; half a minute")
    options = {"PACKAGES": ";".join(names)}
    build_interfaces(root / "tests" / "interface_packages", root / "build" / "stand_ins", venv, options=options)


def build_interfaces(source: Path, build: Path, venv: Path, *, options: dict[str, str]) -> None:
    """Run CMake on `source` in a fresh folder `build`, and install into `.venv`."""
    binaries = venv / "bin"
    os.environ["PATH"] = os.pathsep.join([str(binaries), os.environ.get("PATH", os.defpath)])
    os.environ["AMENT_PREFIX_PATH"] = str(venv)
    shutil.rmtree(build, ignore_errors=True)
    build.mkdir(parents=True)
    settings = {
        "BUILD_TESTING": "OFF",
        "CMAKE_INSTALL_PREFIX": venv,
        "CMAKE_PREFIX_PATH": venv,
        "CMAKE_MAKE_PROGRAM": binaries / "ninja",
        "Python3_EXECUTABLE": binaries / "python",
        **options,
    }
    flags = [f"-D{name}={value}" for name, value in settings.items()]
    log = build / "build.log"
    run([binaries / "cmake", "-S", source, "-B", build, "-GNinja", *flags], log=log)
    run([binaries / "cmake", "--build", build, "--target", "install"], log=log)


class Stamp:
    """A file that holds the hash of what a step was last done with."""

    def __init__(self, path: Path, sources: Iterable[Path], *, salt: str) -> None:
        total = hashlib.sha256(salt.encode())
        for source in sources:
            total.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
        self._path, self._wanted = path, total.hexdigest()

    def is_current(self) -> bool:
        """Whether the step was last done with the present inputs."""
        return self.read() == self._wanted

    def read(self) -> str:
        """The hash of the inputs that the step was last done with; empty when it never was."""
        return self._path.read_text(encoding="utf-8") if self._path.exists() else ""

    def write(self) -> None:
        """Record that the step is done with the present inputs."""
        self._path.write_text(self._wanted, encoding="utf-8")


@contextlib.contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Hold a lock file, so that two `make`s in one checkout don't install over each other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run(command: Sequence[str | Path], *, log: Path | None = None) -> None:
    """Run a command to its end; with `log` its output goes there and its tail is shown only on failure."""
    with contextlib.ExitStack() as stack:
        output = stack.enter_context(log.open("ab")) if log else None
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False)
    if done.returncode:
        tail = [*log.read_text(encoding="utf-8", errors="replace").splitlines()[-40:], f"(from {log})"] if log else []
        raise failure("\n".join([*tail, f"this command failed: {' '.join(map(str, command))}"]))


def say(message: str) -> None:
    """Tell the person who waits what happens now, with the time since the start."""
    print(f"[set-up {time.monotonic() - STARTED:4.0f} s] {message}", flush=True)


def failure(message: str) -> SystemExit:
    """The end of the set-up, with a message for a person; to be raised."""
    return SystemExit(f"magma_ros set-up: {message}")


if __name__ == "__main__":
    main()
