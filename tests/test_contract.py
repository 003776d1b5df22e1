"""The action contract."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_ros.contract import ActionContract, CameraSpec
from magma_ros.errors import ContractError
from tests.examples import CONTRACT

names = st.text(min_size=1, max_size=8)
positive = st.floats(1e-3, 1e3)
cameras = st.lists(
    st.builds(CameraSpec, names, st.integers(1, 512), st.integers(1, 512), st.booleans()),
    min_size=1,
    max_size=3,
    unique_by=lambda camera: camera.name,
).map(tuple)
contracts = st.builds(
    ActionContract,
    embodiment=names,
    frame=names,
    rotation_form=st.sampled_from(["rpy", "rotation_vector"]),
    gripper_polarity=st.sampled_from(["open_is_one", "open_is_zero"]),
    reference=st.sampled_from(["target", "measured"]),
    control_rate_hz=positive,
    max_translation_m=positive,
    max_rotation_rad=positive,
    cameras=cameras,
)


@given(contract=contracts)
def test_json_round_trip_is_exact(contract: ActionContract) -> None:
    """A contract that went through JSON is the same contract."""
    assert contract == ActionContract.from_dict(json.loads(json.dumps(contract.to_dict())))


@pytest.mark.parametrize(
    "changes",
    [
        {"rotation_form": "euler"},
        {"gripper_polarity": "closed"},
        {"reference": "pose"},
        {"control_rate_hz": 0.0},
        {"control_rate_hz": float("nan")},
        {"max_translation_m": -1.0},
        {"max_rotation_rad": float("inf")},
        {"embodiment": ""},
        {"frame": ""},
        {"cameras": ()},
        {"cameras": (CameraSpec("a", 1, 1), CameraSpec("a", 2, 2))},
    ],
)
def test_meaningless_values_are_refused(changes: dict[str, object]) -> None:
    """A contract that leaves open what an action means cannot be made."""
    with pytest.raises(ContractError):
        dataclasses.replace(CONTRACT, **changes)


@pytest.mark.parametrize("camera", [("", 1, 1), ("image", 0, 1), ("image", 1, -1)])
def test_cameras_need_a_name_and_a_size(camera: tuple[str, int, int]) -> None:
    """A camera without a name or of no size cannot be described."""
    with pytest.raises(ContractError):
        CameraSpec(*camera)


def test_missing_and_unknown_fields_are_named() -> None:
    """A contract from elsewhere says what it lacks and what is too much."""
    data = CONTRACT.to_dict()
    data["units"] = data.pop("frame")
    with pytest.raises(ContractError, match=r"frame.*units"):
        ActionContract.from_dict(data)
    with pytest.raises(ContractError, match="cameras"):
        ActionContract.from_dict({**CONTRACT.to_dict(), "cameras": [{"name": "image"}]})


@pytest.mark.parametrize(
    "changes",
    [
        {"embodiment": "other"},
        {"frame": "tool0"},
        {"rotation_form": "rotation_vector"},
        {"gripper_polarity": "open_is_zero"},
        {"reference": "measured"},
        {"control_rate_hz": 10.0},
    ],
)
def test_a_different_motion_is_refused(changes: dict[str, object]) -> None:
    """Each field that changes what seven numbers do to an arm is compared, and named."""
    with pytest.raises(ContractError, match=next(iter(changes))):
        CONTRACT.require_same_motion(dataclasses.replace(CONTRACT, **changes), who="another arm")


def test_bounds_and_cameras_do_not_change_the_motion() -> None:
    """Contracts that differ in bounds or pictures move the arm alike."""
    other = dataclasses.replace(CONTRACT, max_translation_m=1.0, cameras=(CameraSpec("image", 8, 8),))
    CONTRACT.require_same_motion(other, who="another checkpoint")


def test_control_period_is_the_inverse_of_the_rate() -> None:
    """Five actions per second are 0.2 s apart."""
    assert CONTRACT.control_period_s == pytest.approx(0.2)
