"""Arms that come with the project are whole and right in themselves; anything wrong in a file is named, all at once."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from magma_ros import arms
from magma_ros.arm import JointTrajectoryOutput, PoseOutput, TwistOutput
from magma_ros.errors import ArmConfigError, ContractError
from magma_ros.playout import Playout
from magma_ros.ros.conversions import GripperJoint
from magma_ros.sim.bridge.arm import ARM_JOINTS, EE_OFFSET_M, HOME_JOINTS_RAD
from magma_ros.sim.bridge.env import BRIDGE_CONTRACT, BridgeEnv
from magma_ros.sim.bridge.scene import CONTROL_HZ
from magma_ros.sim.bridge.stages import BASE_POSITION_M, TABLE_TOP_M
from magma_ros.sim.suites import BRIDGE_LIMITS
from magma_ros.supervision import SPREAD
from magma_ros.types import Action, Pose

NAMES = ["fr3", "sim", "sim_servo", "stand_in", "ur5e", "wx250s"]
REAL = ["fr3", "ur5e", "wx250s"]
DELETE = object()


def changed(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """`document` with one key set, added or (DELETE) left out; `path` has dots."""
    *parents, last = path.split(".")
    part = document
    for key in parents:
        part = part[key]
    if value is DELETE:
        del part[last]
    else:
        part[last] = value
    return document


def faults_of(document: Any) -> list[str]:
    with pytest.raises(ArmConfigError) as caught:
        arms.from_dict(document, where="mine.yaml")
    first, *lines = str(caught.value).split("\n  ")
    assert first == f"mine.yaml: {len(lines)} fault{'s' * (len(lines) > 1)}"
    return lines


def test_the_project_brings_six_arms() -> None:
    """The simulated arm, commanded in two ways, a stand-in and three real ones, each in the file of its name."""
    assert NAMES == arms.available()
    assert NAMES == [arms.load(name).name for name in NAMES]


@pytest.mark.parametrize("name", NAMES)
def test_an_arm_is_the_same_after_a_round_trip(name: str, tmp_path: Path) -> None:
    """What is written out as YAML reads back as an equal arm."""
    arm = arms.load(name)
    path = tmp_path / "copy.yaml"
    path.write_text(yaml.safe_dump(arm.to_dict()))
    assert arm == arms.load(path)
    assert arm == arms.from_dict(arm.to_dict())


def test_arms_differ_in_how_they_are_moved() -> None:
    """The output is an instance of its kind's class, with its parameters."""
    assert "ee_delta" == arms.load("sim").output.topic  # type: ignore[union-attr]
    assert isinstance(arms.load("ur5e").output, TwistOutput)
    for name in ("fr3", "wx250s"):
        output = arms.load(name).output
        assert isinstance(output, JointTrajectoryOutput)
        assert output.joints == arms.load(name).home.joints


def test_poses_are_an_output_too() -> None:
    """A file may ask for PoseStamped, though none that is shipped does."""
    output = {"kind": "pose", "topic": "target", "frame": "fr3_link0", "command_type_service": ""}
    read = arms.from_dict(changed(arms.load("fr3").to_dict(), "output", output)).output
    assert PoseOutput(topic="target", frame="fr3_link0", command_type_service="") == read


def test_an_arm_cannot_be_changed() -> None:
    """Every part is frozen, and lists are tuples."""
    arm = arms.load("sim")
    with pytest.raises(dataclasses.FrozenInstanceError):
        arm.limits.max_speed_m_s = 9.0  # type: ignore[misc]
    assert isinstance(arm.limits.workspace.min_m, tuple)


def test_the_simulated_arm_is_limited_as_in_its_evaluation() -> None:
    """config/arms/sim.yaml gives exactly the limits that evaluations use."""
    assert BRIDGE_LIMITS == arms.safety_limits(arms.load("sim"), BRIDGE_CONTRACT)


def test_the_simulated_arm_s_numbers_are_the_simulator_s() -> None:
    """Home, offset, rate and table of the file agree with sim/bridge."""
    arm = arms.load("sim")
    assert (ARM_JOINTS, HOME_JOINTS_RAD) == (arm.home.joints, arm.home.positions_rad)
    assert (EE_OFFSET_M, 0.0, 0.0) == arm.frames.pose_ee_in_flange.position_m
    assert CONTROL_HZ == arm.command_rate_hz
    assert TABLE_TOP_M - BASE_POSITION_M[2] == pytest.approx(arm.limits.table_height_m, abs=1e-9)
    start, _ = BridgeEnv(render=False).reset(seed=0)
    assert start.proprio is not None
    for name in ("sim", "wx250s"):
        np.testing.assert_allclose(start.proprio.ee_position_m, arms.load(name).home.ee_position_m, atol=1e-3)


def test_a_step_is_as_long_as_speed_and_period_allow() -> None:
    """At 2 Hz a step takes the arm's own limit; at 20 Hz no more than the playout can follow in 50 ms, at any scale."""
    arm = arms.load("fr3")
    slow = dataclasses.replace(BRIDGE_CONTRACT, frame=arm.frames.base, control_rate_hz=2.0)
    assert arms.safety_limits(arm, slow).max_translation_step_m == pytest.approx(0.04)
    fast = dataclasses.replace(slow, control_rate_hz=20.0)
    limits, played = arms.safety_limits(arm, fast), arms.playout_limits(arm, fast)
    assert limits.max_translation_step_m == pytest.approx(played.max_speed_m_s / math.sqrt(3) / 20)
    assert limits.max_rotation_step_rad == pytest.approx(0.9 * played.max_speed_rad_s / math.sqrt(3) / 20)
    scaled = arms.safety_limits(arm, fast, speed_scale=0.5)
    assert scaled.max_translation_step_m == pytest.approx(limits.max_translation_step_m / 2)
    assert "fr3_link0" == limits.workspace_frame


@pytest.mark.parametrize("name", ["fr3", "wx250s", "ur5e", "sim_servo", "stand_in"])
@pytest.mark.parametrize("rate_hz", [3.0, 20.0])
@pytest.mark.parametrize("axis", [0, 3])
def test_the_longest_step_alone_is_made_in_full(name: str, rate_hz: float, axis: int) -> None:
    """What the safety filter lets through, the playout finishes before it expires, along one axis and from rest."""
    arm = arms.load(name)
    contract = dataclasses.replace(BRIDGE_CONTRACT, frame=arm.frames.base, control_rate_hz=rate_hz)
    limits, period_s = arms.safety_limits(arm, contract), contract.control_period_s
    step = np.zeros(6)
    step[axis] = limits.max_translation_step_m if axis < 3 else limits.max_rotation_step_rad
    playout = Playout(
        arms.playout_limits(arm, contract), frame=contract.frame, control_period_s=period_s, spread=SPREAD
    )
    playout.begin(Pose(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0])), 0.0)
    playout.accept(Action(step[:3], step[3:], 1.0, contract.frame), 0.0)
    for now_s in np.arange(0.0, 3 * period_s, 0.02):
        end = playout.tick(float(now_s))
    assert end.done
    assert max(end.dropped_m, end.dropped_rad) < 1e-12


def test_a_contract_in_another_frame_has_no_limits() -> None:
    """A box in one frame says nothing of actions in another."""
    with pytest.raises(ContractError, match=r"'fr3_link0'.*'base_link'"):
        arms.safety_limits(arms.load("fr3"), BRIDGE_CONTRACT)


@pytest.mark.parametrize("name", REAL)
def test_real_arms_are_slow_and_stop_in_a_tenth_of_a_second(name: str) -> None:
    """Below ISO 10218-1's reduced speed of 0.25 m/s; the ramp from full speed to rest takes at most 0.1 s."""
    limits = arms.load(name).limits
    assert limits.max_speed_m_s < 0.25
    for speed, acceleration, jerk in (
        (limits.max_speed_m_s, limits.max_acceleration_m_s2, limits.max_jerk_m_s3),
        (limits.max_speed_rad_s, limits.max_acceleration_rad_s2, limits.max_jerk_rad_s3),
    ):
        assert speed * jerk >= acceleration**2  # the ramp reaches the acceleration
        assert speed / acceleration + acceleration / jerk <= 0.1 + 1e-9


def test_the_stand_in_stops_before_a_fault_is_a_failure() -> None:
    """From any state within its limits, full acceleration included, it is at rest in 0.08 s."""
    limits = arms.load("stand_in").limits
    for speed, acceleration, jerk in (
        (limits.max_speed_m_s, limits.max_acceleration_m_s2, limits.max_jerk_m_s3),
        (limits.max_speed_rad_s, limits.max_acceleration_rad_s2, limits.max_jerk_rad_s3),
    ):
        assert speed * jerk >= acceleration**2  # the ramp reaches the acceleration
        assert speed / acceleration + 2 * acceleration / jerk <= 0.08


def chain(rows: list[tuple[float, float, float]], joints: tuple[float, ...], *, craig: bool) -> np.ndarray:
    """The last frame in the first, by rows (alpha, a, d) of Denavit and Hartenberg, classic or as Craig writes them."""
    pose = np.eye(4)
    for (alpha, a, d), q in zip(rows, joints, strict=True):
        along_x = np.array(
            [
                [1, 0, 0, a],
                [0, math.cos(alpha), -math.sin(alpha), 0],
                [0, math.sin(alpha), math.cos(alpha), 0],
                [0, 0, 0, 1],
            ]
        )
        along_z = np.array(
            [[math.cos(q), -math.sin(q), 0, 0], [math.sin(q), math.cos(q), 0, 0], [0, 0, 1, d], [0, 0, 0, 1]]
        )
        pose = pose @ (along_x @ along_z if craig else along_z @ along_x)
    return pose


P = math.pi / 2
FR3_ROWS = [
    (0, 0, 0.333),
    (-P, 0, 0),
    (P, 0, 0.316),
    (P, 0.0825, 0),
    (-P, -0.0825, 0.384),
    (P, 0, 0),
    (P, 0.088, 0),
    (0, 0, 0.107),
]
UR5E_ROWS = [(P, 0, 0.1625), (0, -0.425, 0), (0, -0.3922, 0), (P, 0, 0.1333), (-P, 0, 0.0997), (0, 0, 0.0996)]


def test_home_is_where_the_makers_kinematics_puts_it() -> None:
    """The published Denavit-Hartenberg parameters lead from the home joints to the file's end-effector position."""
    fr3, ur5e = arms.load("fr3"), arms.load("ur5e")
    flange = chain(FR3_ROWS, (*fr3.home.positions_rad, 0.0), craig=True)
    tip = flange @ np.array([*fr3.frames.pose_ee_in_flange.position_m, 1])
    np.testing.assert_allclose(fr3.home.ee_position_m, tip[:3], atol=1e-3)
    base_in_base_link = np.diag([-1.0, -1.0, 1.0, 1.0])
    tool0 = base_in_base_link @ chain(UR5E_ROWS, ur5e.home.positions_rad, craig=False)
    tip = tool0 @ np.array([*ur5e.frames.pose_ee_in_flange.position_m, 1])
    np.testing.assert_allclose(ur5e.home.ee_position_m, tip[:3], atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_the_gripper_map_is_one_that_the_node_takes(name: str) -> None:
    """Closed is opening 0, open is 1."""
    gripper = arms.load(name).gripper
    joint = GripperJoint(gripper.joint, gripper.closed_position, gripper.open_position)
    assert (0.0, 1.0) == (joint.opening(gripper.closed_position), joint.opening(gripper.open_position))


@pytest.mark.parametrize("name", NAMES)
def test_what_was_not_tried_is_not_called_verified(name: str) -> None:
    """A choice of ours for a real arm, which nobody here has, is marked as open."""
    sources = dataclasses.asdict(arms.load(name).sources)
    for source in sources.values():
        assert not (source["kind"] == "own_choice" and source["verified"])


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("limits", DELETE, "limits: expected, but missing"),
        ("limits.max_speed_m_s", DELETE, "limits.max_speed_m_s: expected, but missing"),
        ("limits.max_speed_cm_s", 20.0, "limits.max_speed_cm_s: expected no such key, got 20.0; available ["),
        ("limits.max_speed_m_s", "fast", "limits.max_speed_m_s: expected a value of type number, got 'fast'"),
        ("limits.max_speed_m_s", True, "limits.max_speed_m_s: expected a value of type number, got True"),
        ("limits.max_speed_m_s", 200.0, "limits.max_speed_m_s: expected at most 2, got 200.0"),
        ("limits.max_speed_m_s", 0, "limits.max_speed_m_s: expected more than 0, got 0"),
        ("limits.max_jerk_m_s3", -1.0, "limits.max_jerk_m_s3: expected more than 0, got -1.0"),
        ("limits.max_speed_m_s", math.nan, "limits.max_speed_m_s: expected a finite number, got nan"),
        ("limits.max_speed_m_s", math.inf, "limits.max_speed_m_s: expected a finite number, got inf"),
        ("limits.workspace.min_m", [0, 0, math.nan], "limits.workspace.min_m[2]: expected a finite number, got nan"),
        ("limits.workspace.min_m", [0, 0], "limits.workspace.min_m: expected at least 3 items, got [0, 0]"),
        ("limits.workspace.max_m", [500, 1, 1], "limits.workspace.max_m[0]: expected at most 3, got 500"),
        ("limits.workspace.max_m", [0.5, -0.4, 0.6], "limits.workspace: expected min_m below max_m on y, got -0.3 and"),
        ("limits.table_height_m", 0.1, "limits.workspace.min_m[2]: expected at least table_height_m = 0.1, got 0.02"),
        ("limits.max_step_change_m", 0.01, "limits.max_step_change_m: expected at least max_translation_step_m"),
        ("watch.max_identical_pictures", 1, "watch.max_identical_pictures: expected 0 (never) or at least 2, got 1"),
        ("frames.base", "", "frames.base: expected text of the form"),
        ("frames.base", "/fr3_link0", "frames.base: expected text of the form"),
        ("frames.base", "fr3_link0\n", "frames.base: expected text of the form"),
        ("frames.flange", "fr3_hand_tcp", "frames.pose_ee_in_flange: expected the identity"),
        (
            "frames.pose_ee_in_flange.quat_xyzw",
            [0, 0, 0, 0.9],
            "frames.pose_ee_in_flange.quat_xyzw: expected unit norm",
        ),
        ("topics.cameras", [], "topics.cameras: expected at least 1 item, got []"),
        ("topics.ee_pose.parent", "world", "topics.ee_pose.parent: expected frames.base = 'fr3_link0', got 'world'"),
        ("topics.ee_pose.child", "world", "topics.ee_pose.child: expected flange or end effector"),
        ("topics.joint_states", "joint states", "topics.joint_states: expected text of the form"),
        ("output.kind", "velocity", "output.kind: expected one of ['ee_delta', 'twist', 'pose', 'joint_trajectory']"),
        ("output", {}, "output.kind: expected, but missing"),
        ("output.time_from_start_s", 0.005, "output.time_from_start_s: expected at least the command period 0.01 s"),
        ("gripper.unit", "mm", "gripper.unit: expected one of ['m', 'rad', 'opening'], got 'mm'"),
        ("gripper.unit", "opening", None),
        ("gripper.open_position", 0.0, "gripper: expected two different positions"),
        ("gripper.open_position", 4.0, "gripper.open_position: expected -0.5 to 0.5 for the unit 'm', got 4.0"),
        ("gripper.joint", "fr3_joint1", "gripper.joint: expected a joint that is not one of the arm's"),
        ("home.ee_position_m", [0.3, 0, 0.9], "home.ee_position_m: expected inside the workspace, 0.02 to 0.55 on z"),
        ("home.positions_rad", [0.0], "home.positions_rad: expected one for each of 7 joints, got 1"),
        ("sources.home.verified", "perhaps", "sources.home.verified: expected a value of type boolean"),
        ("sources.home", DELETE, "sources.home: expected, but missing"),
        ("surprise", 1, "surprise: expected no such key, got 1"),
    ],
)
def test_each_fault_is_one_clear_line(path: str, value: Any, expected: str | None) -> None:
    """One wrong value gives one line that says where, what was expected and what came; None: nothing is wrong."""
    document = changed(arms.load("fr3").to_dict(), path, value)
    if expected is None:
        arms.from_dict(document)
        return
    (line,) = faults_of(document)
    assert line.startswith(expected), line


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("output.frame", "tool0", "output.frame: expected frames.base = 'base_link', got 'tool0'"),
        ("output.command_timeout_s", 0.01, "output.command_timeout_s: expected more than the command period 0.01 s"),
        ("output.joints", ["a"], "output.joints: expected no such key, got ['a']; available ['command_timeout_s',"),
        ("output.topic", DELETE, "output.topic: expected, but missing"),
        ("gripper.command.max_effort_n", 1e6, "gripper.command.max_effort_n: expected at most 200, got 1000000.0"),
    ],
)
def test_parameters_of_another_kind_do_not_fit(path: str, value: Any, expected: str) -> None:
    """Each output and gripper command has parameters of its own."""
    (line,) = faults_of(changed(arms.load("ur5e").to_dict(), path, value))
    assert line.startswith(expected), line


def test_every_fault_is_named_at_once() -> None:
    """Three faults in three places are three lines of one error; so are three that only checks across keys find."""
    document = arms.load("fr3").to_dict()
    for path, value in (("name", DELETE), ("limits.max_speed_m_s", math.nan), ("gripper.unit", "mm")):
        changed(document, path, value)
    assert ["limits", "name", "gripper"] == [line.split(":")[0].split(".")[0] for line in faults_of(document)]
    document = arms.load("fr3").to_dict()
    for path, value in (("frames.base", "fr3_link8"), ("gripper.open_position", 0.0), ("limits.table_height_m", 0.1)):
        changed(document, path, value)
    keys = ["frames.base", "limits.workspace.min_m[2]", "topics.ee_pose.parent", "gripper"]
    assert keys == [line.split(":")[0] for line in faults_of(document)]


@pytest.mark.parametrize("document", [None, [], "fr3", 3])
def test_what_is_no_mapping_is_no_arm(document: Any) -> None:
    """A document of another form is one fault."""
    assert ["the document: expected a value of type object, got " + repr(document)] == faults_of(document)


def with_alias(text: str) -> str:
    return text.replace("base: fr3_link0", "base: &b fr3_link0") + "more: *b\n"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda text: "a: !!python/object/apply:os.system ['true']\n" + text, "python/object/apply:os.system"),
        (lambda text: text + "#" * 2**16, "at most 65536 bytes"),
        (lambda text: text + "name: again\n", r"each key once, got 'name' again in line \d+"),
        (lambda text: text + "on: 1\n", r"text as a key, got 'on' \(tag:yaml.org,2002:bool\)"),
        (with_alias, r"no alias, got \*b in line \d+"),
        (lambda _: "[" * 65000, "at most 16 levels"),
        (lambda text: text + "more: 0x" + "f" * 9000, "values of at most 2500 characters, got 9002"),
        (lambda _: "- 1\n", "a YAML mapping, got list"),
        (lambda _: "", "a YAML mapping, got NoneType"),
        (lambda text: text.replace("name:", "name: a:"), "plain values: mapping values are not allowed"),
        (lambda text: text + "\x00", "special characters are not allowed"),
    ],
)
def test_a_file_that_is_not_plain_yaml_is_refused(tmp_path: Path, change: Callable[[str], str], expected: str) -> None:
    """Tags, aliases, repeated keys, depth and size end in one error that names the file, and run nothing."""
    path = tmp_path / "mine.yaml"
    path.write_text(change(Path("config/arms/fr3.yaml").read_text()))
    with pytest.raises(ArmConfigError, match=expected) as caught:
        arms.load(path)
    assert str(path) in str(caught.value)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    """A binary file is one error, not a traceback of the parser."""
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"\xff\xfe\x00\xd8\xff")
    with pytest.raises(ArmConfigError, match="plain values"):
        arms.load(path)


@pytest.mark.parametrize("name", ["panda", "../arms/fr3", "", "schema"])
def test_an_unknown_arm_names_those_that_there_are(name: str) -> None:
    """A typo or a path that is no file lists the names."""
    with pytest.raises(ArmConfigError, match=r"\['fr3', 'sim', 'sim_servo', 'stand_in', 'ur5e', 'wx250s'\]"):
        arms.load(name)
