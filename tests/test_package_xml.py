"""package.xml names what the code imports from ROS, once each."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

ROOT = Path(__file__).resolve().parents[1]
LIKE_MESSAGES = ("_msgs", "_srvs", "_interfaces")
OTHERS = {"ament_index_python", "cv_bridge", "launch", "launch_ros", "rclpy"}


def declared() -> list[str]:
    """The keys of every dependency."""
    package = ET.parse(ROOT / "package.xml").getroot()  # noqa: S314 - our own file
    return [str(element.text) for element in package if element.tag.endswith("depend")]


def source(*folders: str) -> str:
    """The text of every Python file in these folders."""
    return "".join(path.read_text(encoding="utf-8") for folder in folders for path in (ROOT / folder).rglob("*.py"))


def imported() -> set[str]:
    """ROS packages that are imported anywhere in the package or its launch files."""
    found = re.findall(r"^ *(?:from|import) (\w+)", source("magma_ros", "sim", "finetune", "launch"), re.MULTILINE)
    return {name for name in found if name.endswith(LIKE_MESSAGES) or name in OTHERS}


def test_every_ros_package_that_is_imported_is_declared() -> None:
    """Installing what package.xml names installs what the nodes and launch files need."""
    assert {"rclpy", "builtin_interfaces", "sensor_msgs"} <= imported()
    assert imported() - set(declared()) == set()


def test_nothing_is_declared_twice_and_no_message_package_in_vain() -> None:
    """A package of messages that is declared is named somewhere in the code, by an import or by its name as text."""
    keys = declared()
    assert sorted(set(keys)) == sorted(keys)
    interfaces = [
        path.read_text(encoding="utf-8") for name in ("msg", "srv", "action") for path in (ROOT / name).iterdir()
    ]
    text = source("magma_ros", "sim") + "".join(interfaces)
    messages = {key for key in keys if key.endswith(LIKE_MESSAGES)} - {"action_msgs"}  # what every action is made of
    assert {key for key in messages if key not in text} == set()
