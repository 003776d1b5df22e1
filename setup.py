"""What pip installs: the Python part. Messages are compiled by `colcon build` or `make`, which use CMakeLists.txt."""

from pathlib import Path

from setuptools import find_packages, setup

ROOMS = {"magma_ros": "magma_ros", "magma_ros.sim": "sim", "magma_ros.finetune": "finetune"}


def packages() -> list[str]:
    """Every package of the three top-level folders, under the name that it is imported by."""
    return [".".join([name, *found]) for name, folder in ROOMS.items() for found in ([], *subpackages(folder))]


def subpackages(folder: str) -> list[list[str]]:
    """Packages below a folder, each as the parts of its name."""
    return [name.split(".") for name in find_packages(folder)]


def shared_files(top: str) -> list[tuple[str, list[str]]]:
    """Every file below a folder, by the folder that it is installed into: where colcon installs it, too."""
    folders = [Path(top), *(path for path in sorted(Path(top).rglob("*")) if path.is_dir())]
    return [
        (f"share/magma_ros/{path}", [str(file) for file in sorted(path.iterdir()) if file.is_file()])
        for path in folders
    ]


setup(
    packages=packages(),
    data_files=shared_files("config"),
    package_dir=ROOMS,
    package_data={
        "magma_ros": ["py.typed"],
        "magma_ros.sim": [
            "bridge/assets/**/*",
            "faults/*.c",
            "faults/*.xml",
            "libero/*.json",
            "libero/*.png",
            "report/*.css",
        ],
        "magma_ros.finetune": ["quality/*.css", "recipes/*"],
    },
)
