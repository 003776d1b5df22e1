import numpy as np
import pytest

from magma_ros.contract import ActionContract
from magma_ros.errors import ContractError, EnvError, InvalidInputError
from magma_ros.safety import SafetyFilter
from magma_ros.sim.libero.convention import FRAME, gripper_opening, libero_contract, to_osc
from magma_ros.sim.suites import SUITES
from magma_ros.types import Action
from tests.sim.libero.osc import from_osc


def action(*row: float, frame: str = FRAME) -> Action:
    return Action.from_array([*row, *[0.0] * (7 - len(row))], frame=frame)


def test_metres_and_radians_become_oscs_units() -> None:
    """5 cm and half a radian are 1; in between is linear; beyond is clipped, each axis by itself."""
    numbers = to_osc(action(0.05, -0.025, 0.2, 0.5, -0.25, -3.0, 1.0))
    np.testing.assert_allclose(numbers, [1.0, -0.5, 1.0, 1.0, -0.5, -1.0, -1.0])


@pytest.mark.parametrize(("opening", "number"), [(1.0, -1.0), (0.51, -1.0), (0.5, 0.0), (0.49, 1.0), (0.0, 1.0)])
def test_the_grippers_sign_is_upstreams(opening: float, number: float) -> None:
    """Open is -1, closed is +1, only the side counts, and one half leaves the fingers' command alone."""
    assert number == to_osc(action(0, 0, 0, 0, 0, 0, opening))[6]


def test_demonstrations_numbers_come_back() -> None:
    """LIBERO's own numbers survive the way through our action."""
    rows = np.random.default_rng(0).uniform(-1, 1, (50, 7))
    rows[:, 6] = np.sign(rows[:, 6])
    for row in rows:
        np.testing.assert_allclose(to_osc(from_osc(row)), row, atol=1e-12)


def test_actions_that_cannot_be_used_are_refused() -> None:
    """Another frame or a number that is none raises."""
    with pytest.raises(InvalidInputError, match="panda_link0"):
        to_osc(action(0.01, frame="base_link"))
    with pytest.raises(InvalidInputError, match="finite"):
        to_osc(action(np.nan))


def test_the_contract_is_upstreams() -> None:
    """Rotation vector, open is one, added to the measured pose, 20 Hz; pictures of 256 px that the pipeline turns."""
    contract = libero_contract(("agentview", "robot0_eye_in_hand"))
    assert ("rotation_vector", "open_is_one", "measured", 20.0) == (
        contract.rotation_form,
        contract.gripper_polarity,
        contract.reference,
        contract.control_rate_hz,
    )
    assert [(256, 256, True)] * 2 == [(c.height_px, c.width_px, c.rotate_180) for c in contract.cameras]
    assert contract == ActionContract.from_dict(contract.to_dict())
    with pytest.raises(ContractError, match="reference"):
        contract.require_same_motion(ActionContract.from_dict({**contract.to_dict(), "reference": "target"}), who="it")


def test_the_limits_speak_of_the_contracts_frame() -> None:
    """Every LIBERO suite's limits fit its contract."""
    for suite in (suite for suite in SUITES.values() if suite.simulator == "libero"):
        SafetyFilter(suite.limits, libero_contract())


@pytest.mark.parametrize("cameras", [(), ("frontview",)])
def test_cameras_that_libero_lacks_are_refused(cameras: tuple[str, ...]) -> None:
    """No camera, or one of another name."""
    with pytest.raises(EnvError, match="agentview"):
        libero_contract(cameras)


def test_the_openness_of_the_fingers() -> None:
    """Their distance over 8 cm: the joints' signs differ."""
    assert 1.0 == gripper_opening(np.array([0.04, -0.04]))
    assert 0.5 == pytest.approx(gripper_opening(np.array([0.02, -0.02])))
    assert 0.0 == gripper_opening(np.array([-0.001, 0.0]))
