"""SimplerEnv's rules on a state of the world: success, grasped and moved."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from magma_ros.sim.bridge.layouts import CARROT_HALF_SIZE_M, PLATE_HALF_HEIGHT_M, PLATE_RADIUS_M
from magma_ros.types import FloatArray

XY_SLACK_M = 0.003
Z_SLACK_M = 0.02
MOVED_DISTANCE_M = 0.03
CONSECUTIVE_GRASP_STEPS = 5
MIN_GRASP_FORCE_N = 0.5
_HALF_HEIGHTS_M = CARROT_HALF_SIZE_M[2] + PLATE_HALF_HEIGHT_M


@dataclass(frozen=True, slots=True)
class Contacts:
    """What the carrot touches now: names of bodies, and the normal force on each finger pad [N]."""

    bodies: frozenset[str]
    left_force_n: float
    right_force_n: float

    @property
    def grasped(self) -> bool:
        """Both pads press on the carrot."""
        return min(self.left_force_n, self.right_force_n) >= MIN_GRASP_FORCE_N


def is_on_target(source_position_m: FloatArray, target_position_m: FloatArray) -> bool:
    """The carrot's centre is over the plate and just above it; positions (3,) in the world [m]."""
    offset = source_position_m - target_position_m
    xy_limit = float(np.linalg.norm([PLATE_RADIUS_M, PLATE_RADIUS_M])) + XY_SLACK_M
    return bool(np.linalg.norm(offset[:2]) <= xy_limit and 0.0 < offset[2] <= _HALF_HEIGHTS_M + Z_SLACK_M)


def is_success(source_position_m: FloatArray, target_position_m: FloatArray, contacts: Contacts) -> bool:
    """'full' rule: on target, and the carrot touches the plate and nothing else but the robot."""
    only_target = "plate" in contacts.bodies and "table" not in contacts.bodies
    return only_target and is_on_target(source_position_m, target_position_m)


def has_moved(start_position_m: FloatArray, position_m: FloatArray) -> bool:
    """The carrot is more than 3 cm from where it began."""
    return bool(np.linalg.norm(position_m - start_position_m) > MOVED_DISTANCE_M)


def read_contacts(model: mujoco.MjModel, data: mujoco.MjData) -> Contacts:
    """What the carrot touches in the state that `data` holds after a forward pass."""
    carrot = model.geom("carrot").id
    pads = {model.geom("left_pad").id: 0, model.geom("right_pad").id: 1}
    forces, bodies, wrench = [0.0, 0.0], set(), np.zeros(6)
    for index in range(data.ncon):
        pair = (int(data.contact.geom1[index]), int(data.contact.geom2[index]))
        if carrot not in pair:
            continue
        other = pair[1] if pair[0] == carrot else pair[0]
        body = model.geom_bodyid[other]
        bodies.add("table" if body == 0 else model.body(body).name)
        if other in pads:
            mujoco.mj_contactForce(model, data, index, wrench)
            forces[pads[other]] += abs(float(wrench[0]))
    return Contacts(frozenset(bodies), *forces)
