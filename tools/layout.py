"""Links that make a checkout importable and discoverable in its `.venv`; cheap enough to refresh at every start."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

EXTRA_ROOMS = ("sim", "finetune")  # top-level folders that are imported as magma_ros.sim and magma_ros.finetune
SHARED_FOLDERS = ("launch", "config", "checkpoints")


def link_checkout(root: Path, venv: Path) -> None:
    """Make `magma_ros` in `.venv` mean this checkout: modules, executables (lib/magma_ros) and shared files."""
    site_packages = next(venv.glob("lib/python3.*/site-packages"))
    package = link_package(root)
    write_if_different(site_packages / "magma_ros_checkout.pth", path_file(package.parent))
    link(site_packages / "magma_ros" / "__init__.py", root / "magma_ros" / "__init__.py")
    for folder in SHARED_FOLDERS:
        link(venv / "share" / "magma_ros" / folder, root / folder)
    install_scripts(root / "scripts", venv / "lib" / "magma_ros", python=venv / "bin" / "python")
    install_executable(root / "scripts" / "magma-ros", venv / "bin" / "magma-ros", python=venv / "bin" / "python")


def link_package(root: Path) -> Path:
    """The folder `build/python/magma_ros` of a checkout, which holds one link for each module and room."""
    package = root / "build" / "python" / "magma_ros"
    entries = {path.name: path for path in (root / "magma_ros").iterdir() if path.name != "__pycache__"}
    entries.update({room: root / room for room in EXTRA_ROOMS})
    link_exactly(package, entries)
    return package


def path_file(folder: Path) -> str:
    """Text of the .pth file: the checkout's package on sys.path, and this environment as the default ament prefix."""
    return f"{folder}\nimport os, sys; os.environ.setdefault('AMENT_PREFIX_PATH', sys.prefix)\n"


def link_exactly(folder: Path, entries: dict[str, Path]) -> None:
    """Make `folder` hold exactly one link per entry, and what Python compiled; links whose file is gone are removed."""
    folder.mkdir(parents=True, exist_ok=True)
    for present in list(folder.iterdir()):
        if present.name not in {*entries, "__pycache__"}:
            remove(present)
    for name, target in entries.items():
        link(folder / name, target)


def link(path: Path, target: Path) -> None:
    """Make `path` a relative symbolic link to `target`; leaves nothing there when the target does not exist."""
    wanted = os.path.relpath(target, path.parent)
    if path.is_symlink() and str(path.readlink()) == wanted and target.exists():
        return
    remove(path)
    if target.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(wanted)


def install_scripts(scripts: Path, folder: Path, *, python: Path) -> None:
    """Make `folder` hold exactly the executables of the folder `scripts`, as an installed package's does."""
    names = {path.name for path in scripts.iterdir() if path.is_file()} if scripts.is_dir() else set()
    folder.mkdir(parents=True, exist_ok=True)
    for present in list(folder.iterdir()):
        if present.name not in names:
            remove(present)
    for name in names:
        install_executable(scripts / name, folder / name, python=python)


def install_executable(script: Path, path: Path, *, python: Path) -> None:
    """Copy a script with this environment's interpreter in its first line, as pip does for its own."""
    if not script.exists():
        remove(path)
        return
    _, _, body = script.read_text(encoding="utf-8").partition("\n")
    write_if_different(path, f"#!{python}\n{body}")
    path.chmod(0o755)


def write_if_different(path: Path, text: str) -> None:
    """Write a file unless it already holds the text."""
    if path.is_symlink() or not path.exists() or path.read_text(encoding="utf-8") != text:
        remove(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def remove(path: Path) -> None:
    """Delete a link, a file or a folder if it is there."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        shutil.rmtree(path)
