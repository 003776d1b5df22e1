import numpy as np
import pytest

from magma_ros.errors import ActionDecodeError, EnvError
from magma_ros.sim.faults.policy import BAD_ROWS, ENTROPIES_NATS, StandInPolicy, circling
from magma_ros.sim.faults.settings import CONTRACT, RADIUS_M, STEP_M
from magma_ros.sim.faults.switch import Switch
from magma_ros.types import Observation, Proprio

CENTRE_M = np.array([0.3, 0.0, 0.2])


@pytest.fixture
def switch(tmp_path):
    return Switch(tmp_path / "switch")


def observe(position_m=CENTRE_M):
    proprio = Proprio(position_m, [0.0, 0.0, 0.0, 1.0], 1.0, np.zeros(6))
    return Observation({"image": np.zeros((2, 2, 3), np.uint8)}, "circle", 7.0, proprio)


def test_the_circle_is_reached_and_kept_at_constant_speed():
    """From home on every step is 1 cm long, and after 20 the end effector is within 1 cm of the circle."""
    position = CENTRE_M.copy()
    for number in range(100):
        step = circling(position, CENTRE_M)[:3]
        assert STEP_M == pytest.approx(np.linalg.norm(step))
        position = position + step
        if number >= 20:
            assert RADIUS_M == pytest.approx(np.linalg.norm(position - CENTRE_M), abs=0.01)


@pytest.mark.parametrize("fault", [*BAD_ROWS, "wrong_frame", *ENTROPIES_NATS])
def test_each_bad_answer_differs_from_the_good_one(fault, switch):
    """A fault that changes nothing would prove nothing."""
    policy = StandInPolicy(switch, centre_m=CENTRE_M)
    good = [policy.infer(observe()) for _ in range(2)]
    switch.order(fault)
    bad = [policy.infer(observe()) for _ in range(2)]
    switch.wait_until_begun(timeout_s=0.0)
    assert any(
        not np.array_equal(a.actions, b.actions)
        or a.frame != b.frame
        or not np.array_equal(a.entropy_nats, b.entropy_nats)
        for a, b in zip(good, bad, strict=True)
    )


def test_what_is_within_the_contract_is_within_it(switch):
    """Too fast is not too far: only the arm's own limits can refuse it."""
    policy = StandInPolicy(switch, centre_m=CENTRE_M)
    for fault in ("too_fast", "too_fast_turn", "start_jump", "discontinuity", "walk_out", "walk_down"):
        switch.order(fault)
        row = policy.infer(observe()).actions[0]
        assert np.linalg.norm(row[:3]) <= CONTRACT.max_translation_m
        assert np.linalg.norm(row[3:6]) <= CONTRACT.max_rotation_rad


def test_an_answer_under_way_when_the_order_comes_is_not_the_onset(switch, monkeypatch):
    """It is a good one still; the fault begins with the next."""
    policy = StandInPolicy(switch, centre_m=CENTRE_M)
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(policy, "_interrupt", lambda _: switch.order("nan"))
        assert np.isfinite(policy.infer(observe()).actions).all()
    with pytest.raises(EnvError, match="nan"):
        switch.wait_until_begun(timeout_s=0.0)
    assert np.isnan(policy.infer(observe()).actions).any()
    assert switch.wait_until_begun(timeout_s=0.0) > 0


def test_what_is_raised_is_noted_first(switch):
    """The onset of an error is the instant before it."""
    policy = StandInPolicy(switch, centre_m=CENTRE_M)
    switch.order("undecodable")
    with pytest.raises(ActionDecodeError):
        policy.infer(observe())
    assert switch.wait_until_begun(timeout_s=0.0) > 0
