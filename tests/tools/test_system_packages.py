import sys

import pytest
from system_packages import (
    MissingSystemPackagesError,
    Requirement,
    has_program,
    loads,
    packages_of,
    require,
    requirements_for,
)


class Machine:
    """A machine whose packages are a set of names; `install` adds those that its archive has."""

    def __init__(self, present: set[str], archive: set[str]) -> None:
        self.present, self.archive = present, archive
        self.said: list[str] = []

    def install(self, packages):
        if set(packages) <= self.archive:
            self.present |= set(packages)

    def needs(self, *packages: str, optional: bool = False) -> Requirement:
        return Requirement("a purpose", lambda: set(packages) <= self.present, packages, optional=optional)


def test_nothing_is_said_or_installed_when_all_is_there() -> None:
    """A machine that has everything is left alone, in silence."""
    machine = Machine({"libgl1"}, archive=set())
    require([machine.needs("libgl1")], install=machine.install, say=machine.said.append)
    assert [] == machine.said


def test_missing_packages_are_installed_as_root() -> None:
    """What is missing is installed when something can install it."""
    machine = Machine({"libgl1"}, archive={"libegl1", "gcc"})
    require([machine.needs(n) for n in ("libgl1", "libegl1", "gcc")], install=machine.install, say=machine.said.append)
    assert {"libgl1", "libegl1", "gcc"} == machine.present
    assert ["installing system packages: libegl1 gcc"] == machine.said


def test_missing_packages_are_named_in_one_command_otherwise() -> None:
    """Without root, the error holds one command with every missing package once."""
    machine = Machine({"libgl1"}, archive=set())
    requirements = [machine.needs("libgl1"), machine.needs("gcc", "libc6-dev"), machine.needs("g++", "libc6-dev")]
    with pytest.raises(MissingSystemPackagesError) as caught:
        require(requirements, install=None, say=machine.said.append)
    command = "  sudo apt-get update && sudo apt-get install -y --no-install-recommends gcc libc6-dev g++"
    assert command == str(caught.value).splitlines()[-1]


def test_an_installation_that_does_not_help_is_an_error() -> None:
    """A package that the archive does not have ends in the same error, not in a broken environment."""
    machine = Machine(set(), archive=set())
    with pytest.raises(MissingSystemPackagesError, match="gcc"):
        require([machine.needs("gcc")], install=machine.install, say=machine.said.append)


def test_an_optional_package_is_mentioned_and_never_fatal() -> None:
    """An optional package that can't be had is one line; the needed one beside it is installed all the same."""
    machine = Machine(set(), archive={"libegl1"})
    requirements = [machine.needs("libegl1"), machine.needs("libosmesa6", optional=True)]
    require(requirements, install=machine.install, say=machine.said.append)
    assert {"libegl1"} == machine.present
    assert "optional and not there: libosmesa6 (a purpose)" == machine.said[-1]


def test_this_machine_meets_what_its_tests_run_on() -> None:
    """The probes recognise a machine on which the set-up succeeded: this one."""
    lacking = [r for r in requirements_for(sys.executable) if not r.optional and not r.is_met()]
    assert [] == packages_of(lacking)


def test_probes_tell_present_from_absent() -> None:
    """A library counts as there when it loads, a program when it is on PATH."""
    assert loads("libc.so.6")
    assert not loads("libno_such_library.so.1")
    assert has_program("NO_SUCH_VARIABLE", "sh")
    assert not has_program("NO_SUCH_VARIABLE", "no_such_program")
