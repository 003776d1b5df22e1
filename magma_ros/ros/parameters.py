"""Declaring a node's parameters from the interface table, with descriptions, ranges and read-only flags."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter as RclpyParameter

from magma_ros.ros.endpoints import Parameter

_LARGEST_INT = 2**63 - 1
_LARGEST_FLOAT = 1.7e308


def descriptor(parameter: Parameter) -> ParameterDescriptor:
    """The ROS description of one row of the table."""
    described = ParameterDescriptor(description=parameter.meaning, read_only=parameter.read_only)
    low, high = parameter.minimum, parameter.maximum
    if low is None and high is None:
        return described
    if isinstance(parameter.default, int):
        limits = IntegerRange(
            from_value=-_LARGEST_INT if low is None else int(low), to_value=_LARGEST_INT if high is None else int(high)
        )
        described.integer_range = [limits]
    else:
        described.floating_point_range = [
            FloatingPointRange(
                from_value=-_LARGEST_FLOAT if low is None else float(low),
                to_value=_LARGEST_FLOAT if high is None else float(high),
            )
        ]
    return described


def declare(node: Node, parameters: Iterable[Parameter]) -> None:
    """Declare every row of the table on `node`.

    Raises:
        rclpy.exceptions.InvalidParameterValueException: an override is out of its range.
        rclpy.exceptions.InvalidParameterTypeException: an override has another type.
    """
    for parameter in parameters:
        node.declare_parameter(parameter.name, parameter.default, descriptor(parameter))


def refuse_changes(node: Node, parameters: Iterable[Parameter], *, when: Callable[[], str]) -> None:
    """Refuse to set any row of the table while `when` gives a reason; an empty reason allows it."""
    names = {parameter.name for parameter in parameters}

    def check(changes: list[RclpyParameter]) -> SetParametersResult:
        ours = sorted(names & {change.name for change in changes})
        reason = when() if ours else ""
        return SetParametersResult(successful=not reason, reason=f"{', '.join(ours)}: {reason}" if reason else "")

    node.add_on_set_parameters_callback(check)


def values(node: Node, parameters: Iterable[Parameter]) -> dict[str, Any]:
    """The present value of every row of the table, by name."""
    return {parameter.name: node.get_parameter(parameter.name).value for parameter in parameters}
