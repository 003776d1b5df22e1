"""The arms that this project knows: reading their YAML files, naming every fault, and the limits that follow."""

from __future__ import annotations

import types
import typing
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

from magma_ros.arm import Arm, EeDeltaOutput, TwistOutput
from magma_ros.arm_checks import arm_faults
from magma_ros.contract import ActionContract
from magma_ros.errors import ArmConfigError, ContractError
from magma_ros.json_files import read_object
from magma_ros.motion import PER_AXIS, TURN_SHARE
from magma_ros.playout import PlayoutLimits
from magma_ros.safety import SafetyLimits
from magma_ros.schema_faults import schema_faults
from magma_ros.servoing import playout_share
from magma_ros.shared_files import find_named, names_in, shared_file
from magma_ros.yaml_files import read_mapping

FOLDER = "config/arms"
"""Where the arms that come with this project are, `<name>.yaml` each, beside `schema.json`."""


def load(name_or_path: Path | str) -> Arm:
    """The arm in a YAML file, or of one of the `available` names.

    Raises:
        ArmConfigError: there is no such file or name, or it holds something else; names every fault.
    """
    path = find_named(name_or_path, folder=FOLDER, suffix=".yaml", what="arm", error=ArmConfigError)
    return from_dict(read_mapping(path, error=ArmConfigError), where=str(path))


def from_dict(data: Any, *, where: str = "arm") -> Arm:
    """The arm in `data`, which `Arm.to_dict` gives; `where` is what an error calls it.

    Raises:
        ArmConfigError: names every fault: what the schema refuses or, if that is nothing, what does not fit together.
    """
    faults = schema_faults(data, schema())
    if not faults:
        arm: Arm = _build(Arm, data)
        faults = arm_faults(arm)
        if not faults:
            return arm
    raise ArmConfigError("\n  ".join([f"{where}: {len(faults)} fault{'s' * (len(faults) > 1)}", *faults]))


def available() -> list[str]:
    """Names of the arms that come with this project."""
    return names_in(FOLDER, suffix=".yaml")


@cache
def schema() -> dict[str, Any]:
    """The JSON schema of an arm's file; not to be changed.

    Raises:
        ArmConfigError: it is not where the project's data files are.
    """
    return read_object(shared_file(f"{FOLDER}/schema.json", error=ArmConfigError), error=ArmConfigError)


def safety_limits(arm: Arm, contract: ActionContract, *, speed_scale: float = 1.0) -> SafetyLimits:
    """What `arm` may be told in one step of a policy with `contract`, at `speed_scale` of its speeds and steps.

    A step is as long as the arm's own step limit, or as the playout can follow along one axis in a control period,
    whichever is less; for an arm that interpolates each step itself (`ee_delta`) the step limit alone counts.

    Raises:
        ContractError: the contract's displacements are in another frame than the arm's base.
    """
    if contract.frame != arm.frames.base:
        raise ContractError(
            f"arm {arm.name!r}: its limits are in {arm.frames.base!r}, but actions of {contract.embodiment!r} are in "
            f"{contract.frame!r}; expected one frame"
        )
    limits = arm.limits
    step_m, step_rad = limits.max_translation_step_m, limits.max_rotation_step_rad
    if not isinstance(arm.output, EeDeltaOutput):
        played, period_s = playout_limits(arm, contract), contract.control_period_s
        step_m = min(step_m, period_s * PER_AXIS * played.max_speed_m_s)
        step_rad = min(step_rad, period_s * PER_AXIS * TURN_SHARE * played.max_speed_rad_s)
    return SafetyLimits(
        max_translation_step_m=speed_scale * step_m,
        max_rotation_step_rad=speed_scale * step_rad,
        max_observation_age_s=limits.max_observation_age_s,
        max_step_change_m=limits.max_step_change_m,
        workspace_min_m=limits.workspace.min_m,
        workspace_max_m=limits.workspace.max_m,
        workspace_margin_m=limits.workspace.margin_m,
        workspace_frame=arm.frames.base,
        table_height_m=limits.table_height_m,
    )


def playout_limits(arm: Arm, contract: ActionContract, *, speed_scale: float = 1.0) -> PlayoutLimits:
    """How the setpoint of `arm` may move, at `speed_scale` of its speeds; a control period late, it rests."""
    limits = arm.limits
    whole = PlayoutLimits(
        max_speed_m_s=speed_scale * limits.max_speed_m_s,
        max_acceleration_m_s2=limits.max_acceleration_m_s2,
        max_jerk_m_s3=limits.max_jerk_m_s3,
        max_speed_rad_s=speed_scale * limits.max_speed_rad_s,
        max_acceleration_rad_s2=limits.max_acceleration_rad_s2,
        max_jerk_rad_s3=limits.max_jerk_rad_s3,
        max_lag_m=limits.max_lag_m,
        max_lag_rad=limits.max_lag_rad,
        expiry_s=contract.control_period_s,
    )
    return playout_share(whole) if isinstance(arm.output, TwistOutput) else whole


def _build(hint: Any, value: Any) -> Any:
    """`value`, which the schema has passed, as the type `hint`."""
    if isinstance(hint, types.UnionType):
        chosen = [kind for kind in hint.__args__ if kind.__dataclass_fields__["kind"].default == value["kind"]]
        return _build(chosen[0], value)
    if is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        return hint(**{field.name: _build(hints[field.name], value[field.name]) for field in fields(hint)})  # type: ignore[operator]
    if typing.get_origin(hint) is tuple:
        return tuple(_build(typing.get_args(hint)[0], item) for item in value)
    return float(value) if hint is float else value
