"""From a node's parameters to a policy that is ready to act; no node in here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from magma_ros import arms, talking
from magma_ros.arm import Arm
from magma_ros.contract import ActionContract
from magma_ros.controller import Controller
from magma_ros.entropy_bounds import USUAL, entropy_bounds_of
from magma_ros.errors import CheckpointError, ContractError, PolicyError
from magma_ros.inspection.room import require_room
from magma_ros.load_options import LoadOptions
from magma_ros.pacing import Pacer
from magma_ros.picture_questions import free_question
from magma_ros.policies import fingerprint_of, is_address
from magma_ros.policy import Policy
from magma_ros.policy_process import PolicyProcess
from magma_ros.prompts import clean_instruction
from magma_ros.ros.measured_state import MeasuredState
from magma_ros.ros.observing import Observer
from magma_ros.sources import find
from magma_ros.types import ImageArray, Observation

LoadPolicy = Callable[[str, LoadOptions, float], Policy]
"""Such as `policies.open_policy`."""


@dataclass(frozen=True, slots=True)
class Setup:
    """Everything that configuring the node makes.

    Attributes:
        policy: What infers; closed when the node is cleaned up.
        contract: What its numbers mean, at the rate that it is asked at.
        controller: Ticks it; used on one thread only.
        observer: Turns messages into what the policy sees.
        pacer: Picks the pictures that are acted on.
        checkpoint: Name of the checkpoint's folder, or the address of its server.
        fingerprint: Of its pipeline; empty for a policy without one.
        camera_timeout_s: Age of the newest picture that holds the arm [s].
        max_observation_age_s: Oldest picture that may still move the arm [s].
    """

    policy: Policy
    contract: ActionContract
    controller: Controller
    observer: Observer
    pacer: Pacer
    checkpoint: str
    fingerprint: str
    camera_timeout_s: float
    max_observation_age_s: float


def build(parameters: Mapping[str, Any], *, arm: Arm, measured: MeasuredState, load: LoadPolicy) -> Setup:
    """Open the policy and let it infer once on black pictures, so that the first real step is not the slow one.

    Raises:
        CheckpointError: no checkpoint is named, it cannot be loaded, or may not act.
        InvalidInputError: the parameter `instruction` cannot be used.
        ContractError: it wants a camera that the arm has not, or the arm's limits do not fit its contract.
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
    try:
        return _set_up(policy, name, parameters, arm=arm, measured=measured)
    except BaseException:
        policy.close()
        raise


def _set_up(policy: Policy, name: str, parameters: Mapping[str, Any], *, arm: Arm, measured: MeasuredState) -> Setup:
    contract = replace(
        policy.contract, control_rate_hz=parameters["control_rate_hz"] or policy.contract.control_rate_hz
    )
    own = entropy_bounds_of(policy) or USUAL
    limits = replace(
        arms.safety_limits(arm, contract),
        entropy_slow_nats=parameters["entropy_slow_nats"] or own.slow_nats,
        entropy_hold_nats=parameters["entropy_hold_nats"] or own.hold_nats,
    )
    cameras = _cameras(contract, arm)
    black = {c.name: np.zeros((c.height_px, c.width_px, 3), np.uint8) for c in contract.cameras}
    policy.infer(Observation(black, "warm up", 0.0))
    _warm_up_words(policy, next(iter(black.values())))
    return Setup(
        policy=policy,
        contract=contract,
        controller=Controller(
            policy, contract=contract, limits=limits, execution_horizon=parameters["execution_horizon"]
        ),
        observer=Observer(
            cameras,
            measured,
            slop_s=parameters["camera_slop_s"],
            max_proprio_lag_s=limits.max_observation_age_s,
            max_identical_pictures=arm.watch.max_identical_pictures,
        ),
        pacer=Pacer(contract.control_rate_hz),
        checkpoint=name.rstrip("/") if is_address(name) else Path(name).expanduser().resolve().name,
        fingerprint=fingerprint_of(policy),
        camera_timeout_s=arm.watch.camera_timeout_s,
        max_observation_age_s=limits.max_observation_age_s,
    )


def build_beside(
    parameters: Mapping[str, Any],
    *,
    arm: Arm,
    measured: MeasuredState,
    load: LoadPolicy,
    make_room: Callable[[], object],
) -> Setup:
    """As `build`, beside a policy that acts on meanwhile; `make_room` is called once the checkpoint was found.

    Raises:
        CheckpointError: the memory that is left is not enough for two, or there is no such checkpoint.
        MagmaRosError: as `build`.
    """
    name = str(parameters["checkpoint"])
    if is_address(name):
        make_room()
    else:
        find(name)
        make_room()
        require_room(name, load_options(parameters))
    return build(parameters, arm=arm, measured=measured, load=load)


def apart(load: LoadPolicy, *, is_given_up: Callable[[], bool]) -> LoadPolicy:
    """`load` for a policy beside another: a checkpoint is loaded and asked in a process of its own.

    A server's policy is in another process anyway. `is_given_up` ends the loading, within a tenth of a second.
    """

    def load_apart(name: str, options: LoadOptions, deadline_s: float) -> Policy:
        if is_address(name):
            return load(name, options, deadline_s)
        return PolicyProcess(partial(load, name, options, deadline_s), name=name, is_given_up=is_given_up)

    return load_apart


def _warm_up_words(policy: Policy, black: ImageArray) -> None:
    """Let `policy` say one word, so that the first piece of a real answer is not the slow one."""
    if talking.talks(policy):
        with suppress(PolicyError):  # most checkpoints want to act instead, which a person who asks will be told
            next(talking.talk(policy, free_question(black, "warm up", max_new_tokens=1)), None)


def load_options(parameters: Mapping[str, Any]) -> LoadOptions:
    """The options that the parameters of the same names ask for; an empty text is no embodiment."""
    chosen = {field.name: parameters[field.name] for field in fields(LoadOptions)}
    return LoadOptions(**{**chosen, "embodiment": chosen["embodiment"] or None})


def _cameras(contract: ActionContract, arm: Arm) -> list[str]:
    wanted, there = [camera.name for camera in contract.cameras], [camera.name for camera in arm.topics.cameras]
    if not set(wanted) <= set(there):
        raise ContractError(f"cameras: the checkpoint wants {wanted}, arm {arm.name!r} has {there}")
    return wanted
