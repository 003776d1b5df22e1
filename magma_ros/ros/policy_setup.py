"""From a node's parameters to a policy that is ready to act; no node in here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from magma_ros.contract import ActionContract
from magma_ros.controller import Controller
from magma_ros.errors import CheckpointError, ContractError
from magma_ros.load_options import LoadOptions
from magma_ros.policies import fingerprint_of, is_address
from magma_ros.policy import Policy
from magma_ros.prompts import clean_instruction
from magma_ros.ros.conversions import GripperJoint
from magma_ros.ros.observing import Observer
from magma_ros.safety import SafetyLimits
from magma_ros.types import Observation

LoadPolicy = Callable[[str, LoadOptions, float], Policy]
"""Such as `policies.open_policy`."""


@dataclass(frozen=True, slots=True)
class Setup:
    """Everything that configuring the node makes.

    Attributes:
        policy: What infers; closed when the node is cleaned up.
        controller: Ticks it; used on one thread only.
        observer: Turns messages into what the policy sees.
        checkpoint: Name of the checkpoint's folder, or the address of its server.
        fingerprint: Of its pipeline; empty for a policy without one.
        max_observation_age_s: Oldest picture that may still move the arm [s].
    """

    policy: Policy
    controller: Controller
    observer: Observer
    checkpoint: str
    fingerprint: str
    max_observation_age_s: float


def build(parameters: Mapping[str, Any], *, load: LoadPolicy) -> Setup:
    """Open the policy and let it infer once on a black picture, so that the first real step is not the slow one.

    Raises:
        CheckpointError: no checkpoint is named, it cannot be loaded, or may not act.
        InvalidInputError: the parameter `instruction` cannot be used.
        ContractError: it wants more than one camera, or the limits do not fit its contract.
        MagmaRosError: the first inference failed.
    """
    name = str(parameters["checkpoint"])
    if not name:
        raise CheckpointError(
            "parameter checkpoint: expected a folder, a name, a hub id or a server's address, got none"
        )
    if parameters["instruction"]:
        clean_instruction(parameters["instruction"])
    policy = load(name, load_options(parameters), parameters["deadline_s"])
    contract = policy.contract
    if len(contract.cameras) != 1:
        names = [camera.name for camera in contract.cameras]
        raise ContractError(f"cameras: this node feeds one picture, the checkpoint wants {names}")
    camera = contract.cameras[0]
    black = np.zeros((camera.height_px, camera.width_px, 3), np.uint8)
    policy.infer(Observation({camera.name: black}, "warm up", 0.0))
    return Setup(
        policy=policy,
        controller=Controller(
            policy, limits=safety_limits(parameters, contract), execution_horizon=parameters["execution_horizon"]
        ),
        observer=Observer(
            camera=camera.name,
            gripper=_gripper(parameters),
            frame=contract.frame,
            max_proprio_lag_s=parameters["max_observation_age_s"],
        ),
        checkpoint=name.rstrip("/") if is_address(name) else Path(name).expanduser().resolve().name,
        fingerprint=fingerprint_of(policy),
        max_observation_age_s=parameters["max_observation_age_s"],
    )


def load_options(parameters: Mapping[str, Any]) -> LoadOptions:
    """The options that the parameters of the same names ask for; an empty text is no embodiment."""
    chosen = {field.name: parameters[field.name] for field in fields(LoadOptions)}
    return LoadOptions(**{**chosen, "embodiment": chosen["embodiment"] or None})


def safety_limits(parameters: Mapping[str, Any], contract: ActionContract) -> SafetyLimits:
    """The limits that the parameters ask for; a step limit of 0 is the contract's own bound.

    Raises:
        ContractError: one corner of the workspace without the other, or a corner that is not three numbers.
    """
    corners = parameters["workspace_min_m"], parameters["workspace_max_m"]
    if (corners[0] is None) != (corners[1] is None) or any(c is not None and len(c) != 3 for c in corners):
        raise ContractError(
            f"workspace_min_m, workspace_max_m: expected both with three numbers or none, got {corners}"
        )
    return SafetyLimits(
        workspace_min_m=corners[0],
        workspace_max_m=corners[1],
        max_translation_step_m=parameters["max_translation_step_m"] or contract.max_translation_m,
        max_rotation_step_rad=parameters["max_rotation_step_rad"] or contract.max_rotation_rad,
        max_observation_age_s=parameters["max_observation_age_s"],
        max_step_change_m=parameters["max_step_change_m"] or 2 * contract.max_translation_m,
        workspace_frame=contract.frame,
    )


def _gripper(parameters: Mapping[str, Any]) -> GripperJoint | None:
    if not parameters["gripper_joint"]:
        return None
    return GripperJoint(
        parameters["gripper_joint"], parameters["gripper_closed_position"], parameters["gripper_open_position"]
    )
