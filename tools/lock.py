"""Write requirements/*.txt from requirements/*.in and what `.venv` has installed; run with `.venv/bin/python`.

To move a package: install the new version into `.venv`, run the tests, run this, commit the changed lines.
What `make test` brings must be installed, too.
"""

from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

# A package is pinned in the first file whose closure has it.
ROOMS = ("core", "model", "sim", "ros", "ik", "finetune", "dev", "libero", "ray", "docs")
ALONE = ("no_deps", "libero_no_deps")  # packages pinned without what they ask for; bootstrap.py installs them so
HEADER = "# Written by tools/lock.py from {room}.in; do not edit.\n"


def main() -> None:
    """Write one lock file per .in file."""
    folder = Path(__file__).resolve().parent.parent / "requirements"
    installed = {canonicalize_name(d.metadata["Name"]): d for d in distributions() if d.read_text("INSTALLER")}
    pinned: set[NormalizedName] = set()
    for room in (*ROOMS, *ALONE):
        lines = (folder / f"{room}.in").read_text(encoding="utf-8").splitlines()
        wanted = [Requirement(line) for line in lines if line and not line.startswith("#")]
        names = to_pin(wanted, installed, with_dependencies=room not in ALONE) - pinned
        text = "".join(f"{name}=={public_version(installed[name])}\n" for name in sorted(names))
        (folder / f"{room}.txt").write_text(HEADER.format(room=room) + text, encoding="utf-8")
        pinned |= names


def to_pin(
    wanted: Iterable[Requirement], installed: dict[NormalizedName, Distribution], *, with_dependencies: bool
) -> set[NormalizedName]:
    """Names of what is wanted, and of everything that it needs unless that is not to be followed."""
    if not with_dependencies:
        return {canonicalize_name(requirement.name) for requirement in wanted}
    return {name for requirement in wanted for name in closure(requirement, installed)}


def closure(requirement: Requirement, installed: dict[NormalizedName, Distribution]) -> set[NormalizedName]:
    """Names of a requirement and of everything it needs on this platform."""
    found: set[tuple[NormalizedName, frozenset[str]]] = set()
    waiting = [(canonicalize_name(requirement.name), frozenset(requirement.extras))]
    while waiting:
        item = waiting.pop()
        if item not in found:
            found.add(item)
            waiting.extend(needs(installed[item[0]], item[1]))
    return {name for name, _ in found}


def needs(distribution: Distribution, extras: frozenset[str]) -> Iterator[tuple[NormalizedName, frozenset[str]]]:
    """Names and extras that a distribution asks for on this platform."""
    for requirement in map(Requirement, distribution.requires or ()):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield canonicalize_name(requirement.name), frozenset(requirement.extras)


def public_version(distribution: Distribution) -> str:
    """The version without its local part, so that a CPU and a CUDA build both satisfy the pin."""
    return Version(distribution.version).public


if __name__ == "__main__":
    main()
