import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BUILD_FILES = ("setup.py", "pyproject.toml", "README.md", "LICENSE", "NOTICE")
DATA = ".data/data/share/magma_ros/"
ROOMS = {"magma_ros": "magma_ros", "sim": "magma_ros/sim", "finetune": "magma_ros/finetune"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel that pip builds from a copy of this tree, without the network."""
    tree = tmp_path_factory.mktemp("tree")
    for room in ROOMS:
        shutil.copytree(ROOT / room, tree / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "config", tree / "config")
    for name in BUILD_FILES:
        shutil.copy(ROOT / name, tree / name)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", "dist", "."]
    subprocess.run(build, cwd=tree, check=True, timeout=100)
    return next((tree / "dist").glob("*.whl"))


def test_the_wheel_holds_every_module_and_every_asset(wheel) -> None:
    """Each file of the three rooms is in the wheel under its import name: modules, assets and py.typed."""
    shipped = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name and DATA not in name}
    assert source_files() == shipped


def test_the_wheel_brings_the_shared_files(wheel) -> None:
    """Arms, profiles and layouts are installed where `shared_folders` looks for them, as colcon does."""
    shipped = {name.partition(DATA)[2] for name in zipfile.ZipFile(wheel).namelist() if DATA in name}
    assert {str(path.relative_to(ROOT)) for path in (ROOT / "config").rglob("*") if path.is_file()} == shipped
    assert {"config/arms/sim.yaml", "config/fastdds.xml"} <= shipped


def test_the_wheel_installs_the_command_line(wheel) -> None:
    """`magma-ros` is a console script of the wheel."""
    archive = zipfile.ZipFile(wheel)
    entry_points = next(name for name in archive.namelist() if name.endswith("entry_points.txt"))
    assert "magma-ros = magma_ros.cli:main" in archive.read(entry_points).decode().splitlines()


def source_files() -> set[str]:
    """Names in a wheel of all files in the three rooms."""
    return {
        f"{name}/{path.relative_to(ROOT / room)}"
        for room, name in ROOMS.items()
        for path in (ROOT / room).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
