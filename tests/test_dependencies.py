"""docs/dependencies.md, pyproject.toml and requirements/ name the same packages in the same layers."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
LAYERS = {
    "": "core",
    "model": "model",
    "sim": "sim",
    "ik": "ik",
    "finetune": "finetune",
    "ray": "ray",
    "dev": "dev",
    "docs": "docs",
}
"""pip's extra, and the file that `make` installs; "" is what everything needs."""
SHARED_WITH_SIM = {"av", "pyarrow"}
"""Pinned in sim.in, which `make` installs in any case; pip's finetune brings them by itself."""
HEAVY = {"torch", "transformers", "mujoco", "av", "pyarrow", "ray", "matplotlib", "scikit-learn"}


def asked_for(name: str) -> set[str]:
    """The packages that a file of `requirements/` names."""
    lines = (ROOT / "requirements" / name).read_text(encoding="utf-8").splitlines()
    return {canonicalize_name(Requirement(line).name) for line in lines if line and not line.startswith("#")}


def of_extra(extra: str) -> set[str]:
    """The packages that pip installs for an extra, or always."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needs = project["optional-dependencies"][extra] if extra else project["dependencies"]
    return {canonicalize_name(Requirement(need).name) for need in needs}


def described() -> dict[str, list[str]]:
    """The rows of the page's tables of packages: name, then reason, licence and size."""
    text = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if re.match(r"\| `", line)]
    return {cells[0].strip("`"): cells[1:] for cells in rows}


@pytest.mark.parametrize(("extra", "file"), LAYERS.items())
def test_pips_extras_are_the_layers_that_make_installs(extra: str, file: str) -> None:
    """Who installs with pip gets the same packages as who uses `make`."""
    beside = SHARED_WITH_SIM if extra == "finetune" else set()
    assert asked_for(f"{file}.in") | beside == of_extra(extra)


def test_every_direct_dependency_is_described() -> None:
    """Each has a reason, a licence and a size on the page, or stands in its text; what is not used is not there."""
    used = {name for path in (ROOT / "requirements").glob("*.in") for name in asked_for(path.name)}
    ours = {name for name in used if not name.startswith("ros-jazzy-")} | {"ros-jazzy-*"}
    text = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    rows = described()
    in_text = {name for name in ours - set(rows) if f"`{name}` (" in text}
    assert ours == set(rows) | in_text
    assert {"pin", "ray"} == in_text
    assert all(len(cells) == 3 and all(cells) for cells in rows.values())


def test_the_core_has_nothing_heavy_not_even_in_passing() -> None:
    """What is pinned for a robot's computer, with all that comes along, is without torch, MuJoCo and the like."""
    pinned = asked_for("core.txt")
    assert asked_for("core.in") <= pinned
    assert not HEAVY & pinned
