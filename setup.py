"""What pip installs: the Python part. Messages are compiled by `colcon build` or `make`, which use CMakeLists.txt."""

from setuptools import find_packages, setup

ROOMS = {"magma_ros": "magma_ros", "magma_ros.sim": "sim", "magma_ros.finetune": "finetune"}


def packages() -> list[str]:
    """Every package of the three top-level folders, under the name that it is imported by."""
    return [".".join([name, *found]) for name, folder in ROOMS.items() for found in ([], *subpackages(folder))]


def subpackages(folder: str) -> list[list[str]]:
    """Packages below a folder, each as the parts of its name."""
    return [name.split(".") for name in find_packages(folder)]


setup(
    packages=packages(),
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
