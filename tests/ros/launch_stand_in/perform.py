"""Performs a launch file without ROS 2's launch: what it declares, what it would start, and the commands for that.

Only this folder's `launch` and `launch_ros` know `execute`; the tests put the folder on the path where the real ones
do not import (they are not on PyPI).
"""

import runpy
from pathlib import Path

import yaml


class Context:
    """What performing a launch file collects."""

    def __init__(self, share, arguments):
        self.share = share
        self.configurations = dict(arguments)
        self.declared, self.environment, self.nodes = {}, {}, []


def perform(path, *, share, **arguments):
    """The context after the launch file at `path` was performed with `arguments`."""
    context = Context(share, arguments)
    for entity in runpy.run_path(str(path))["generate_launch_description"]().entities:
        entity.execute(context)
    return context


def arguments_of(node, folder: Path):
    """Command-line arguments that start a recorded node, its own parameters in a file as launch writes them."""
    full_name = "/" + "/".join(part for part in (node["namespace"], node["name"]) if part)
    own = folder / f"{node['name']}.yaml"
    own.write_text(yaml.safe_dump({full_name: {"ros__parameters": node["parameters"]}}))
    arguments = [*node["arguments"], "--ros-args", *node["ros_arguments"], "-r", f"__node:={node['name']}"]
    if node["namespace"]:
        arguments += ["-r", f"__ns:=/{node['namespace']}"]
    for file in [*node["files"], str(own)]:
        arguments += ["--params-file", file]
    return arguments
