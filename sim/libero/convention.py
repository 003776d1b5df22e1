"""The one place where our actions meet LIBERO's numbers: OSC units, the gripper's sign, and the action contract."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from magma_ros.contract import ActionContract, CameraSpec
from magma_ros.errors import EnvError, InvalidInputError
from magma_ros.sim.libero.protocol import CAMERAS, CONTROL_RATE_HZ, IMAGE_SIZE_PX
from magma_ros.types import Action, FloatArray

OSC_TRANSLATION_M = 0.05
"""What 1.0 asks robosuite's OSC_POSE controller for along an axis [m]; it gets a fifth of that done in a step."""
OSC_ROTATION_RAD = 0.5
"""What 1.0 asks it for about an axis [rad]."""
FINGERS_OPEN_M = 0.08
"""Distance between the fingers of the Panda at their stops [m]."""
FRAME = "panda_link0"
"""The robot's base; its axes are those of LIBERO's world."""


def libero_contract(cameras: Sequence[str] = CAMERAS, *, image_size_px: int = IMAGE_SIZE_PX) -> ActionContract:
    """What LIBERO's actions mean, with these cameras.

    The displacement is added to the *measured* pose at every step: it says how hard to push, and what the arm does not
    reach in the step is not made up for later. Bounds are the corners of OSC's box with a little slack.

    Raises:
        EnvError: LIBERO has no such camera.
    """
    unknown = sorted(set(cameras) - set(CAMERAS))
    if unknown or not cameras:
        raise EnvError(f"cameras: expected some of {CAMERAS}, got {tuple(cameras)}")
    return ActionContract(
        embodiment="libero_panda",
        frame=FRAME,
        rotation_form="rotation_vector",
        gripper_polarity="open_is_one",
        reference="measured",
        control_rate_hz=CONTROL_RATE_HZ,
        max_translation_m=0.09,
        max_rotation_rad=0.9,
        cameras=tuple(
            CameraSpec(name, image_size_px, image_size_px, rotate_180=True, resampling="lanczos3") for name in cameras
        ),
    )


def to_osc(action: Action) -> FloatArray:
    """LIBERO's seven numbers, each in [-1, 1]: shift and turn in OSC's units, clipped; gripper -1 open, 1 closed.

    Only the gripper's side counts, as upstream's evaluations take its sign: an opening of exactly one half is 0, which
    leaves the fingers' command where it is. A turn of exactly zero keeps the orientation that was asked for before.

    Raises:
        InvalidInputError: another frame, or a number that is not finite.
    """
    if action.frame != FRAME:
        raise InvalidInputError(f"action: expected frame {FRAME!r}, got {action.frame!r}")
    values = action.to_array()
    if not np.isfinite(values).all():
        raise InvalidInputError(f"action: expected finite numbers, got {values}")
    arm = np.concatenate([values[:3] / OSC_TRANSLATION_M, values[3:6] / OSC_ROTATION_RAD])
    return np.append(np.clip(arm, -1.0, 1.0), -np.sign(2.0 * values[6] - 1.0))


def gripper_opening(finger_positions_m: FloatArray) -> float:
    """0 closed … 1 open, from the joints of both fingers, whose signs differ, shape (2,) [m]."""
    return float(np.clip((finger_positions_m[0] - finger_positions_m[1]) / FINGERS_OPEN_M, 0.0, 1.0))
