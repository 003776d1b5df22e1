import json
from dataclasses import replace

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, Header

from magma_ros.errors import ImportDataError
from magma_ros.finetune.importers.bag import BagEpisodes, BagOptions, find_bags
from magma_ros.finetune.importers.conventions import require_settled
from magma_ros.finetune.importers.mapped import Unusable
from magma_ros.msg import EndEffectorDelta, MotionStatus
from magma_ros.ros.conversions import contract_message, time_message
from magma_ros.teleoperation import own_contract
from tests import examples
from tests.ros.recordings import SIM, Recording

CONTRACT = replace(examples.CONTRACT, cameras=own_contract(SIM).cameras)
NOTES = {"instruction": "put it there", "operator": "Ada", "arm": "sim", "outcome": "success", "started": "now"}


class Scene(Recording):
    """An arm that moves a centimetre along x in every 0.2 s, measured at 10 Hz, seen at 5 Hz."""

    def go(self, *, num_steps, act="taken_action", person=False, decision_s=0.0, frame="base_link"):
        for _ in range(num_steps):
            self.be_measured()
            self.see(seed=round(self.now_s * 1000))
            status = MotionStatus(actor=MotionStatus.PERSON if person else MotionStatus.POLICY)
            self.add("motion_status", status)
            if act:
                self.act(act, stamp_s=self.now_s + decision_s, frame=frame)
            self.now_s += 0.1
            self.be_measured()
            self.now_s += 0.1
        self.be_measured()

    def be_measured(self):
        header = Header(stamp=time_message(self.now_s), frame_id="base_link")
        done = self.now_s - 1000.0
        positions = [0.1 * done] * len(SIM.home.joints)
        self.add(
            "joint_states",
            JointState(header=header, name=[*SIM.home.joints, "gripper"], position=[*positions, 1 - done / 10]),
        )
        pose = PoseStamped(header=header)
        pose.pose.position.x = 0.05 * done
        pose.pose.orientation.z, pose.pose.orientation.w = np.sin(0.05 * done), np.cos(0.05 * done)
        self.add("ee_pose", pose)

    def act(self, topic, *, stamp_s, frame):
        message = EndEffectorDelta(header=Header(stamp=time_message(stamp_s), frame_id=frame))
        message.translation_m.x, message.gripper_opening = 0.01, 0.5
        self.add(topic, message)


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path / "bag")


def imported(scene, *, notes=NOTES, arm=SIM, contract=CONTRACT, **options):
    return BagEpisodes([scene.save(notes=notes)], arm, contract=contract, options=BagOptions(**options)).read(0)


def test_a_recording_of_a_policy_is_its_pictures_states_and_taken_actions(scene):
    """Each action with the picture that it answers, and what was measured at that picture's time."""
    scene.go(num_steps=6)
    episode = imported(scene)
    np.testing.assert_allclose(1000.0 + 0.2 * np.arange(6), episode.stamps_s, atol=1e-6)
    np.testing.assert_allclose(np.tile([0.01, 0, 0, 0, 0, 0, 0.5], (6, 1)), episode.actions)
    np.testing.assert_allclose(0.01 * np.arange(6), episode.ee_position_m[:, 0], atol=1e-9)
    np.testing.assert_allclose(1 - 0.02 * np.arange(6), episode.gripper_opening, atol=1e-9)
    np.testing.assert_allclose(np.tile(0.02 * np.arange(6), (6, 1)).T, episode.joint_positions_rad, atol=1e-9)
    assert (6, 128, 128, 3) == episode.images["image"].shape
    shown = np.random.default_rng(1_000_400).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    np.testing.assert_array_equal(shown, episode.images["image"][2])
    assert ("put it there", "Ada", True) == (episode.instruction, episode.operator, episode.success)
    assert not episode.interventions.any()


def test_what_a_person_did_is_marked(scene):
    """The policy acts, a person takes the arm for two steps, the policy goes on."""
    scene.go(num_steps=2)
    scene.go(num_steps=2, person=True, decision_s=0.05)
    scene.go(num_steps=2)
    assert [False, False, True, True, False, False] == imported(scene).interventions.tolist()


def test_state_is_interpolated_to_the_time_of_the_picture(scene):
    """Measured 0.1 s apart, seen in between."""
    scene.be_measured()
    scene.now_s += 0.05
    scene.see(seed=1)
    scene.act("taken_action", stamp_s=scene.now_s, frame="base_link")
    scene.now_s += 0.05
    scene.go(num_steps=2)
    episode = imported(scene)
    np.testing.assert_allclose([0.0025, 0, 0], episode.ee_position_m[0], atol=1e-9)
    np.testing.assert_allclose(0.005, Rotation.from_quat(episode.ee_quat_xyzw[0]).as_rotvec()[2], atol=1e-9)
    np.testing.assert_allclose(0.995, episode.gripper_opening[0], atol=1e-9)


def test_a_recording_of_another_stack_has_its_actions_from_the_motion(scene):
    """Nobody published an action: where the arm went until the next picture, at the control rate."""
    scene.go(num_steps=6, act="")
    episode = imported(scene, actions="measured")
    assert 5 == len(episode)
    np.testing.assert_allclose(np.tile([0.01, 0, 0, 0, 0, 0.02], (5, 1)), episode.actions[:, :6], atol=1e-7)
    np.testing.assert_allclose(1 - 0.02 * np.arange(1, 6), episode.actions[:, 6], atol=1e-9)
    with pytest.raises(ImportDataError, match=r"/taken_action or /ee_delta, got none; --actions measured"):
        BagEpisodes([scene.folder], SIM, contract=CONTRACT).read(0)


def test_a_camera_that_is_missing_frames_gives_no_action_over_the_gap(scene):
    """The displacement over half a second is not that of one step."""
    scene.go(num_steps=3, act="")
    for _ in range(3):
        scene.be_measured()
        scene.now_s += 0.1
    scene.go(num_steps=3, act="")
    episode = imported(scene, actions="measured")
    assert 4 == len(episode)
    assert 0.011 > episode.actions[:, 0].max()


def test_actions_in_another_frame_are_refused(scene):
    """They would be read along the wrong axes."""
    scene.go(num_steps=3, frame="tool0")
    with pytest.raises(ImportDataError, match=r"expected the frame 'base_link', got \['tool0'\]"):
        imported(scene)


def test_actions_without_pictures_are_refused_when_they_are_many(scene):
    """A camera at half the control rate has no new picture for every other action."""
    for _ in range(4):
        scene.go(num_steps=1)
        scene.act("taken_action", stamp_s=scene.now_s - 0.05, frame="base_link")
    with pytest.raises(ImportDataError, match="4 of 8 actions have no new picture"):
        imported(scene)


def test_the_outcome_must_be_known(scene):
    """From the notes, the simulated world or an option; nobody guesses."""
    scene.go(num_steps=3)
    folder = scene.save(notes=NOTES | {"outcome": "unknown"})
    with pytest.raises(ImportDataError, match="--outcome success or failure"):
        BagEpisodes([folder], SIM, contract=CONTRACT).read(0)
    told = BagEpisodes([folder], SIM, contract=CONTRACT, options=BagOptions(outcome="failure")).read(0)
    assert not told.success


def test_the_simulated_worlds_verdict_counts_where_nobody_noted_one(scene):
    """The last one."""
    scene.go(num_steps=3)
    scene.add("task_success", Bool(data=False))
    scene.add("task_success", Bool(data=True))
    assert imported(scene, notes={"instruction": "put it there"}).success


def test_the_instruction_is_noted_said_by_the_policy_or_given(scene):
    """In this order of strength from the last to the first; two that were followed need a choice; none is unusable."""
    scene.go(num_steps=3)
    folder = scene.save(notes={})
    options = BagOptions(outcome="success")
    assert Unusable("it has no instruction") == BagEpisodes([folder], SIM, contract=CONTRACT, options=options).read(0)
    said = Scene(folder.with_name("said"))
    said.follow("put carrot")
    said.go(num_steps=3)
    folder = said.save(notes={})
    assert "put carrot" == BagEpisodes([folder], SIM, contract=CONTRACT, options=options).read(0).instruction
    given = replace(options, instruction="tidy up")
    assert "tidy up" == BagEpisodes([folder], SIM, contract=CONTRACT, options=given).read(0).instruction
    both = Scene(folder.with_name("both"))
    both.follow("put carrot")
    both.go(num_steps=3)
    both.follow("stack")
    with pytest.raises(ImportDataError, match="--instruction chooses"):
        imported(both, notes={}, outcome="success")


def test_the_recorded_contract_is_taken_and_a_person_has_his_own(scene):
    """Without an option: the one that the policy said; without a policy, what teleoperation means."""
    scene.add("action_contract", contract_message(CONTRACT))
    scene.go(num_steps=3)
    assert CONTRACT == BagEpisodes([scene.save(notes=NOTES)], SIM).contract
    alone = Scene(scene.folder.with_name("alone"))
    alone.go(num_steps=3, person=True)
    assert own_contract(SIM) == BagEpisodes([alone.save(notes=NOTES)], SIM).contract


def test_bags_of_different_contracts_are_not_mixed(tmp_path):
    """The second bag's numbers mean something else."""
    folders = []
    for name, rate_hz in (("a", 5.0), ("b", 10.0)):
        scene = Scene(tmp_path / name)
        scene.add("action_contract", contract_message(replace(CONTRACT, control_rate_hz=rate_hz)))
        scene.go(num_steps=3)
        folders.append(scene.save(notes=NOTES))
    with pytest.raises(ImportDataError, match="another contract"):
        BagEpisodes(folders, SIM).read(1)


def test_a_contract_in_another_base_is_refused(scene):
    """Poses are measured in the arm's base, so displacements must be."""
    scene.go(num_steps=3)
    with pytest.raises(ImportDataError, match="the base of arm 'sim'"):
        imported(scene, contract=replace(CONTRACT, frame="panda_link0"))


def test_another_rate_than_the_contracts_is_a_doubt(scene):
    """Actions every 0.2 s under a contract of 10 Hz."""
    scene.go(num_steps=12)
    source = BagEpisodes([scene.save(notes=NOTES)], SIM, contract=replace(CONTRACT, control_rate_hz=10.0))
    with pytest.raises(ImportDataError, match=r"irregular_rate.*control_rate_hz"):
        require_settled(source)


def test_a_recorder_that_was_killed_is_named(tmp_path, scene):
    """Its folder has notes and no metadata; bags beside it are found."""
    scene.go(num_steps=2)
    whole = scene.save(notes=NOTES)
    assert [whole] == find_bags([tmp_path])
    killed = tmp_path / "episode_000001"
    killed.mkdir()
    (killed / "episode.json").write_text(json.dumps(NOTES))
    with pytest.raises(ImportDataError, match="mcap recover"):
        find_bags([tmp_path])
    with pytest.raises(ImportDataError, match="expected bags, found none"):
        find_bags([tmp_path / "nowhere"])


def test_a_recording_of_a_namespaced_arm_is_imported(tmp_path):
    """The topics of one of two arms are found under its namespace."""
    scene = Scene(tmp_path / "bag", namespace="/left")
    scene.go(num_steps=3)
    assert 3 == len(imported(scene, namespace="left"))
