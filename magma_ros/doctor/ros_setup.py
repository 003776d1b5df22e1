"""Checks of the ROS installation: distribution, middleware, our messages, transport and memory settings."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from magma_ros.doctor.finding import Finding, fail, ok, warn
from magma_ros.sim.processes import graph_environment

DISTRO = "jazzy"
PROFILE = "FASTRTPS_DEFAULT_PROFILES_FILE"
IGNORED_PROFILE = "FASTDDS_DEFAULT_PROFILES_FILE"
LEAST_SEGMENT_BYTES = 8 * 2**20
"""A segment holds several pictures of 1280x720 (2.8 MB)."""
_MESSAGES = ("magma_ros.msg", "magma_ros.srv", "magma_ros.action")

Import = Callable[[str], Any]


def distribution(environment: Mapping[str, str] = os.environ, load: Import = importlib.import_module) -> Finding:
    """Rclpy can be imported, from Jazzy: a sourced installation or the wheels."""
    try:
        load("rclpy")
    except ImportError as error:
        cure = f"source /opt/ros/{DISTRO}/setup.bash, or use the environment that `make setup` builds"
        return fail("ROS", f"rclpy cannot be imported: {error}", cure)
    named = environment.get("ROS_DISTRO", "")
    try:
        wheels = metadata.version(f"ros-{DISTRO}-rclpy")
    except metadata.PackageNotFoundError:
        wheels = ""
    if named and named != DISTRO:
        return warn("ROS", f"ROS_DISTRO is {named}", f"magma_ros is tested with {DISTRO}")
    if not named and not wheels:
        return warn("ROS", "rclpy is there, ROS_DISTRO is not set", "source the setup.bash of your ROS installation")
    return ok("ROS", f"{DISTRO}, {f'wheels, rclpy {wheels}' if wheels else 'installed'}")


def middleware(environment: Mapping[str, str] = os.environ, load: Import = importlib.import_module) -> Finding:
    """Which DDS is used, and with whom this machine talks."""
    try:
        name = load("rclpy.utilities").get_rmw_implementation_identifier()
    except (ImportError, RuntimeError) as error:
        chosen = environment.get("RMW_IMPLEMENTATION", "the default")
        return fail("middleware", f"{chosen}: {error}", "unset RMW_IMPLEMENTATION or install that package")
    domain = environment.get("ROS_DOMAIN_ID") or "0"
    reach = environment.get("ROS_AUTOMATIC_DISCOVERY_RANGE") or "SUBNET"
    found = f"{name}, domain {domain}, range {reach}"
    if reach == "SUBNET" and domain == "0":
        cure = "export ROS_DOMAIN_ID=<yours>, or ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST if all runs on one machine"
        return warn("middleware", f"{found}: everybody on the network can command this arm", cure)
    return ok("middleware", found)


def messages(load: Import = importlib.import_module) -> Finding:
    """Our own messages, services and actions were built for this Python."""
    try:
        kinds = [name for module in _MESSAGES for name in dir(load(module)) if name[0].isupper() and "_" not in name]
    except ImportError as error:
        cure = "build the package (`colcon build` and source install/setup.bash, or `make setup`)"
        return fail("messages", f"not built: {error}", cure)
    return ok("messages", ", ".join(kinds))


def transport_profile(environment: Mapping[str, str] = os.environ) -> Finding:
    """Fast DDS has a shared-memory segment that large pictures fit in; by default it loses them without a word."""
    check, ours = "Fast DDS profile", graph_environment()[PROFILE]
    cure = f"export {PROFILE}={ours}"
    if "fastrtps" not in (environment.get("RMW_IMPLEMENTATION") or "rmw_fastrtps_cpp"):
        return ok(check, f"not needed by {environment['RMW_IMPLEMENTATION']}")
    path = environment.get(PROFILE, "")
    if not path:
        ignored = f"; {IGNORED_PROFILE} is set, which Fast DDS 2.14 ignores" if IGNORED_PROFILE in environment else ""
        return warn(check, f"{PROFILE} is not set{ignored}: pictures of 640x480 and more get lost on the way", cure)
    if not Path(path).is_file():
        return fail(check, f"{PROFILE}: no file {path}", cure)
    sizes = re.findall(r"<segment_size>\s*(\d+)", Path(path).read_text(encoding="utf-8", errors="replace"))
    if not sizes or int(sizes[0]) < LEAST_SEGMENT_BYTES:
        found = f"{path}: segment_size is {sizes[0] if sizes else 'not set'}"
        return warn(check, found, f"{cure}, or raise segment_size to {LEAST_SEGMENT_BYTES} bytes or more")
    return ok(check, f"{path}, segment of {int(sizes[0]) / 2**20:.0f} MiB")


def malloc_settings(environment: Mapping[str, str] = os.environ) -> Finding:
    """Freed buffers of pictures are kept, so that their pages are not faulted in again for each."""
    wanted = {name: value for name, value in graph_environment().items() if name.startswith("MALLOC_")}
    unset = [f"{name}={value}" for name, value in wanted.items() if not environment.get(name)]
    if not unset:
        return ok("malloc", ", ".join(f"{name}={environment[name]}" for name in wanted))
    cure = f"export {' '.join(unset)} (the launch files do)"
    return warn("malloc", f"{len(unset)} of {len(wanted)} settings not set: 720p pictures take 3 times as long", cure)
