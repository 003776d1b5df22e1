from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import mujoco
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from magma_ros import arms
from magma_ros.arm import FixedPose
from magma_ros.errors import InvalidInputError, KinematicsError
from magma_ros.kinematics import SINGULAR_BELOW, Kinematics
from magma_ros.sim.bridge.arm import ARM_JOINTS
from magma_ros.sim.bridge.scene import build_model
from magma_ros.stops import Stop, StopReason
from magma_ros.types import Pose
from tests.wx250s_urdf import HOME, MAX_SPEED_RAD_S, urdf

OFFSET = FixedPose(position_m=(0.093575, 0.02, -0.01), quat_xyzw=(0.5, 0.5, 0.5, 0.5))
PERIOD_S = 0.02
ALLOWED = {"period_s": PERIOD_S, "max_error_m": 0.03, "max_error_rad": 0.2}
STRETCHED = np.array([0.0, 1.0, -0.8, 0.0, 0.0, 0.0])  # forearm and gripper in one line: a wrist singularity


def make(text: str | None = None, **options) -> Kinematics:
    return Kinematics(text or urdf(), **{"joints": ARM_JOINTS, "base": "base_link", "tip": "ee"} | options)


def random_joints(count: int) -> np.ndarray:
    return HOME + np.random.default_rng(0).uniform(-0.6, 0.6, (count, 6))


def shifted(pose: Pose, metres=(0.0, 0.0, 0.0), turn=(0.0, 0.0, 0.0)) -> Pose:
    turned = Rotation.from_rotvec(turn) * Rotation.from_quat(np.array(pose.quat_xyzw))
    return Pose(pose.position_m + np.array(metres), turned.as_quat())


def test_poses_are_those_of_the_simulator() -> None:
    """The end effector in the base frame is MuJoCo's site relative to MuJoCo's base, for the same joints."""
    model = build_model()
    data, site = mujoco.MjData(model), model.site("ee").id
    base = model.body_parentid[model.body("shoulder_link").id]
    kinematics = make()
    for joints in random_joints(10):
        data.qpos[:6] = joints
        mujoco.mj_kinematics(model, data)
        base_turn = data.xmat[base].reshape(3, 3).T
        pose = kinematics.pose(joints)
        expected_m = base_turn @ (data.site_xpos[site] - data.xpos[base])
        assert pytest.approx(expected_m, abs=1e-6) == pose.position_m
        turn = Rotation.from_matrix(base_turn @ data.site_xmat[site].reshape(3, 3))
        assert (turn * Rotation.from_quat(np.array(pose.quat_xyzw)).inv()).magnitude() < 1e-6


@pytest.mark.parametrize("world", ["", 'xyz="0.3 -0.2 1.1" rpy="0.1 0.2 1.5"'])
@pytest.mark.parametrize("offset", [None, OFFSET])
def test_the_jacobian_is_the_derivative_of_the_pose(world, offset) -> None:
    """Wherever the base stands in the world and the end effector on the flange, finite differences agree."""
    kinematics = make(urdf(world=world), tip="gripper_link", pose_ee_in_tip=offset)
    for joints in random_joints(5):
        jacobian = kinematics.jacobian(joints)
        for column, change in enumerate(1e-6 * np.eye(6)):
            difference = kinematics.error(joints - change, kinematics.pose(joints + change)) / 2e-6
            assert pytest.approx(difference, abs=1e-6) == jacobian[:, column]


def test_an_end_effector_that_the_urdf_lacks_is_fixed_to_the_flange() -> None:
    """`of_arm` gives one pose, whether the URDF has the end effector or the arm's file fixes it to the flange."""
    arm = arms.load("sim")
    without = replace(arm, frames=replace(arm.frames, end_effector_in_urdf=False))
    first = Kinematics.of_arm(arm, urdf(), joints=ARM_JOINTS).pose(HOME)
    second = Kinematics.of_arm(without, urdf(with_end_effector=False), joints=ARM_JOINTS).pose(HOME)
    assert pytest.approx(arm.home.ee_position_m, abs=1e-3) == first.position_m
    assert pytest.approx(first.position_m) == second.position_m
    assert pytest.approx(first.quat_xyzw) == second.quat_xyzw


def test_a_joint_without_end_turns_on() -> None:
    """A continuous joint has no limits and passes a whole turn."""
    kinematics = make(urdf(kind="continuous"))
    joints = HOME + np.array([2 * np.pi, 0.0, 0.0, 0.0, 0.0, 0.0])
    assert pytest.approx(make().pose(HOME).position_m) == kinematics.pose(joints).position_m
    step = kinematics.velocity_step(joints, [0.0, 0.1, 0.0, 0.0, 0.0, 0.0], period_s=PERIOD_S)
    assert () == step.at_limit


def test_joints_are_in_the_callers_order() -> None:
    """Joints named in another order come and go in that order."""
    order = [3, 0, 5, 1, 4, 2]
    other = make(joints=[ARM_JOINTS[index] for index in order])
    assert pytest.approx(make().pose(HOME).position_m) == other.pose(HOME[order]).position_m
    assert pytest.approx(make().jacobian(HOME)[:, order]) == other.jacobian(HOME[order])


def test_a_velocity_step_moves_the_end_effector_with_the_twist() -> None:
    """Away from limits and singularities the end effector moves by twist times period, to second order."""
    kinematics = make()
    twist = np.array([0.02, -0.03, 0.01, 0.1, 0.05, -0.1])
    step = kinematics.velocity_step(HOME, twist, period_s=PERIOD_S)
    assert () == step.at_limit
    assert step.smallest_singular_value > SINGULAR_BELOW
    assert pytest.approx(PERIOD_S * twist, abs=2e-5) == kinematics.error(HOME, kinematics.pose(step.positions))
    assert pytest.approx((step.positions - HOME) / PERIOD_S) == step.velocities


def test_a_moving_pose_is_followed_to_a_hair() -> None:
    """Steps after a pose on a circle of 5 cm that also turns leave less than 0.05 mm and 0.0005 rad each."""
    kinematics, joints = make(), HOME
    start = kinematics.pose(HOME)
    for tick in range(200):
        angle = 2 * np.pi * tick / 200
        around = (0.05 * np.sin(angle), 0.05 * (np.cos(angle) - 1), 0.02 * np.sin(2 * angle))
        target = shifted(start, around, (0.3 * np.sin(angle), 0.2 * np.sin(angle), 0.0))
        step = kinematics.pose_step(joints, target, **ALLOWED)
        joints = step.positions
        left = kinematics.error(joints, target)
        assert np.linalg.norm(left[:3]) < 5e-5
        assert np.linalg.norm(left[3:]) < 5e-4
    assert np.abs(joints - HOME).max() < 0.02


def test_no_joint_is_faster_than_it_can_be() -> None:
    """Of a step that is too fast every joint is slowed down alike: the direction stays."""
    twist = np.array([5.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    step = make().velocity_step(HOME, twist, period_s=PERIOD_S)
    assert pytest.approx(MAX_SPEED_RAD_S) == np.abs(step.velocities).max()
    slow = make().velocity_step(HOME, twist / 100, period_s=PERIOD_S)
    factor = np.abs(step.velocities).max() / np.abs(slow.velocities).max()
    assert pytest.approx(factor * slow.velocities) == step.velocities


def test_a_joint_stops_at_its_limit_and_one_beyond_goes_no_further() -> None:
    """At the elbow's limit its velocity is zero; measured 1 mrad beyond it, it may only come back."""
    kinematics = make()
    limit_rad = 1.6057
    for beyond in (0.0, 0.001):
        joints = np.array([*HOME[:2], limit_rad + beyond, *HOME[3:]])
        outward = kinematics.jacobian(joints)[:, 2]  # the twist that the elbow alone makes
        outwards = kinematics.velocity_step(joints, outward, period_s=PERIOD_S)
        assert ("elbow",) == outwards.at_limit
        assert limit_rad + beyond == outwards.positions[2]
        back = kinematics.velocity_step(joints, -outward, period_s=PERIOD_S)
        assert back.positions[2] < limit_rad + beyond


def test_joint_speeds_stay_small_at_a_singularity() -> None:
    """Where the wrist is stretched, a turn that no joint can make does not end in a wild motion."""
    kinematics = make()
    assert kinematics.velocity_step(STRETCHED, np.zeros(6), period_s=PERIOD_S).smallest_singular_value < 1e-3
    for axis in range(6):
        step = kinematics.velocity_step(STRETCHED, 0.05 * np.eye(6)[axis], period_s=PERIOD_S)
        assert np.abs(step.velocities).max() < 1.0


@pytest.mark.parametrize(
    ("start", "metres", "why"),
    [
        (HOME, (0.0, 0.1, 0.0), "joints are too slow"),
        (np.array([0.0, 0.0, 1.6, 0.0, 0.3, 0.0]), (-0.04, 0.0, 0.0), "elbow would leave its limits"),
        (np.array([0.0, 1.2, -1.2, 0.0, 0.0, 0.0]), (0.06, 0.0, 0.0), "singularity"),
    ],
)
def test_a_pose_that_cannot_be_followed_stops_with_its_cause(start, metres, why) -> None:
    """More than the allowed distance left over is UNREACHABLE, and the sentence says what is in the way."""
    kinematics = make()
    stop = kinematics.pose_step(start, shifted(kinematics.pose(start), metres), **ALLOWED)
    assert isinstance(stop, Stop)
    assert StopReason.UNREACHABLE == stop.reason
    assert why in stop.detail


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("not xml", {}, "expected a robot description"),
        (" " * 4_000_001, {}, "at most 4000000 characters"),
        (None, {"joints": ["waist", "knee"]}, r"'knee'.*available \['waist'"),
        (None, {"joints": ["waist", "waist"]}, "expected names of the URDF"),
        (None, {"tip": "hand"}, r"'hand'.*available \['base_link'"),
        (None, {"base": "wrist_link"}, "moves, got 'wrist_link'"),
        (urdf(kind="floating"), {}, r"expected revolute.*\['waist'\]"),
        (urdf().replace(f'velocity="{MAX_SPEED_RAD_S}"', 'velocity="0"'), {}, "'waist'.*velocity above zero"),
    ],
)
def test_a_urdf_that_does_not_fit_says_what_it_has(text, options, message) -> None:
    """Each way in which a description and an arm's file disagree is one error that names what was expected."""
    with pytest.raises(KinematicsError, match=message):
        make(text, **options)


@pytest.mark.parametrize(
    "call",
    [
        lambda kinematics: kinematics.pose(HOME[:5]),
        lambda kinematics: kinematics.pose([*HOME[:5], np.nan]),
        lambda kinematics: kinematics.velocity_step(HOME, [0.0, 0.0, np.inf, 0.0, 0.0, 0.0], period_s=PERIOD_S),
        lambda kinematics: kinematics.velocity_step(HOME, np.zeros(6), period_s=0.0),
        lambda kinematics: kinematics.pose_step(HOME, kinematics.pose(HOME), **ALLOWED | {"period_s": 0.0}),
        lambda kinematics: kinematics.pose_step(HOME, Pose(np.zeros(3), np.zeros(4)), **ALLOWED),
    ],
)
def test_numbers_that_mean_nothing_are_refused(call) -> None:
    """Shapes, numbers that are not finite, a period of zero and a quaternion without direction raise."""
    with pytest.raises(InvalidInputError):
        call(make())


def test_without_pinocchio_the_error_says_how_to_get_it() -> None:
    """Only an arm that needs inverse kinematics needs the package, and then it is named."""
    program = (
        "import sys; sys.modules['pinocchio'] = None\n"
        "from magma_ros.kinematics import Kinematics\n"
        "Kinematics('', joints=['a'], base='b', tip='c')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "magma_ros.errors.KinematicsError" in done.stderr
    assert "pip install 'magma_ros[ik]'" in done.stderr
