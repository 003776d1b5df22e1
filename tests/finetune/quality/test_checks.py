"""Each planted fault is named by its code, and nothing else is called an error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from magma_ros.contract import CameraSpec
from magma_ros.episodes import Episode
from magma_ros.finetune.quality import collection, pictures
from magma_ros.finetune.quality.findings import Finding, without_consequences
from magma_ros.finetune.quality.track import stretches
from tests.finetune.quality.moving_pictures import (
    LIMITS,
    SYSTEMATIC,
    errors_of,
    findings_of,
    late_camera,
    reaching,
    tracks_of,
)
from tests.model.random_checkpoints import CONTRACT

NUM_EPISODES = 8


@pytest.fixture(scope="module")
def clean() -> list[Episode]:
    """Eight invented episodes without a fault."""
    return [reaching(seed) for seed in range(NUM_EPISODES)]


def codes(episodes: list[Episode], *, severity: str | None = None) -> dict[str, list[Finding]]:
    """Code → findings."""
    found: dict[str, list[Finding]] = {}
    for finding in findings_of(episodes):
        if severity in (None, finding.severity):
            found.setdefault(finding.code, []).append(finding)
    return found


def test_clean_episodes_have_no_finding(clean: list[Episode]) -> None:
    """Neither errors nor warnings: a moving arm with a noisy camera is all right."""
    assert [] == [finding for finding in findings_of(clean) if finding.severity != "note"]


@pytest.mark.parametrize("name", SYSTEMATIC)
def test_a_fault_of_all_episodes_is_named_and_no_other(name: str, clean: list[Episode]) -> None:
    """A wrong importer spoils the whole dataset."""
    plant, code = SYSTEMATIC[name]
    assert {code} == errors_of([plant(episode) for episode in clean])


@pytest.mark.parametrize("name", SYSTEMATIC)
def test_a_fault_of_one_episode_is_named_there_and_no_other(name: str, clean: list[Episode]) -> None:
    """The seven others are left alone."""
    plant, code = SYSTEMATIC[name]
    spoiled = [plant(episode) if index == 5 else episode for index, episode in enumerate(clean)]
    errors = [finding for finding in findings_of(spoiled) if finding.severity == "error"]
    assert {(code, 5)} == {(finding.code, finding.episode) for finding in errors}


def test_a_copy_is_a_duplicate_even_under_another_name(clean: list[Episode]) -> None:
    """Other stamps, instruction and compression of the pictures do not hide it."""
    noise = np.random.default_rng(0).integers(-2, 3, clean[2].images["image"].shape)
    pictures = np.clip(clean[2].images["image"] + noise, 0, 255).astype(np.uint8)
    copy = replace(
        clean[2], images={"image": pictures}, stamps_s=clean[2].stamps_s + 100.0, instruction="put the spoon away"
    )
    errors = [finding for finding in findings_of([*clean, copy]) if finding.severity == "error"]
    assert [("duplicate_episode", NUM_EPISODES)] == [(finding.code, finding.episode) for finding in errors]
    assert "episode 2" in errors[0].text
    assert "put the spoon away" in errors[0].text


def test_a_replay_is_a_near_duplicate_and_a_new_scene_is_none(clean: list[Episode]) -> None:
    """The same motion to a tenth of a millimetre over the same pictures; over other pictures it is another episode."""
    shifted = replace(clean[1], ee_position_m=clean[1].ee_position_m + 1e-4)
    assert [NUM_EPISODES] == [finding.episode for finding in codes([*clean, shifted])["near_duplicate"]]
    elsewhere = replace(shifted, images={"image": 255 - shifted.images["image"]})
    assert "near_duplicate" not in codes([*clean, elsewhere])


@pytest.mark.parametrize("steps", [2, -2])
def test_the_lag_of_a_camera_is_measured(clean: list[Episode], steps: int) -> None:
    """Two steps late or early are 0.4 s at 5 Hz, and the sentence says which."""
    spoiled = [late_camera(episode, steps=steps) for episode in clean]
    (found,) = codes(spoiled)["camera_lag"]
    assert found.episode is None
    assert ("after" if steps > 0 else "before") in found.text
    lag_steps = float(found.text.split("motion ")[1].split(" steps")[0])
    assert lag_steps == pytest.approx(2.0, abs=0.25)


def test_of_two_cameras_the_late_one_is_named(clean: list[Episode]) -> None:
    """Its lag explains that the two disagree, which is not said as well."""
    spoiled = [
        replace(e, images={"image": e.images["image"], "wrist": late_camera(e).images["image"][:, ::-1]}) for e in clean
    ]
    (found,) = [finding for finding in findings_of(spoiled) if finding.severity == "error"]
    assert "camera_lag" == found.code
    assert "'wrist'" in found.text


def test_cameras_that_disagree_are_named_where_no_state_says_which_is_late(clean: list[Episode]) -> None:
    """Without a measured pose, only the pair is known."""
    spoiled = [
        replace(
            e,
            images={"image": e.images["image"], "wrist": late_camera(e).images["image"][:, ::-1]},
            ee_position_m=np.zeros_like(e.ee_position_m),
            ee_quat_xyzw=np.tile([0.0, 0.0, 0.0, 1.0], (len(e), 1)),
        )
        for e in clean
    ]
    (found,) = codes(spoiled)["sync_error"]
    assert "'wrist' shows everything" in found.text


def test_still_episodes_have_no_lag_and_are_idle() -> None:
    """A camera's noise and an arm at rest say nothing about each other; 12 s of rest are a pause."""
    generator = np.random.default_rng(7)
    still = []
    for seed in range(6):
        episode = reaching(seed)
        actions = np.tile([0, 0, 0, 0, 0, 0, 1.0], (60, 1))
        jitter = 1e-5 * generator.normal(size=(60, 3))
        noise = generator.integers(-3, 4, episode.images["image"].shape)
        pictures = np.clip(episode.images["image"][0] + noise, 0, 255).astype(np.uint8)
        still.append(
            replace(
                episode,
                images={"image": pictures},
                actions=actions,
                ee_position_m=episode.ee_position_m[0] + jitter,
                ee_quat_xyzw=np.tile(episode.ee_quat_xyzw[0], (60, 1)),
                gripper_opening=np.ones(60),
            )
        )
    assert {"idle"} == set(codes(still, severity="warning"))
    assert {} == codes(still, severity="error")


def _paused(episode: Episode) -> Episode:
    """Eleven steps without motion in the middle, at 5 Hz 2.2 s."""
    steps = np.concatenate([np.arange(30), np.full(11, 30), np.arange(30, 60)])
    values = {
        name: getattr(episode, name)[steps]
        for name in ("actions", "ee_position_m", "ee_quat_xyzw", "gripper_opening", "joint_positions_rad")
    }
    values["actions"][30:41, :6] = 0.0
    images = {"image": episode.images["image"][steps]}
    marks = np.zeros(len(steps), bool)
    return replace(episode, images=images, stamps_s=0.2 * np.arange(len(steps)), interventions=marks, **values)


def _blocked(episode: Episode) -> Episode:
    """From step 20 on the arm does not move, whatever it is told."""
    values = {
        name: np.concatenate([getattr(episode, name)[:20], getattr(episode, name)[[20] * 40]])
        for name in ("ee_position_m", "ee_quat_xyzw")
    }
    images = {"image": np.concatenate([episode.images["image"][:20], episode.images["image"][[20] * 40]])}
    return replace(episode, images=images, **values)


def _clipped(episode: Episode) -> Episode:
    """Every translation is as long as the contract allows."""
    actions = episode.actions.copy()
    lengths = np.linalg.norm(actions[:, :3], axis=1, keepdims=True)
    actions[:, :3] *= np.where(lengths > 1e-9, CONTRACT.max_translation_m / np.maximum(lengths, 1e-9), 0.0)
    return replace(episode, actions=actions)


def _wild(episode: Episode) -> Episode:
    """A single turn of 2.9 rad, where 0.2 is usual."""
    actions = episode.actions.copy()
    actions[31, 3] = 2.9
    return replace(episode, actions=actions)


def _teleported(episode: Episode) -> Episode:
    """The measured position jumps by half a metre and back."""
    positions = episode.ee_position_m.copy()
    positions[25] += 0.5
    return replace(episode, ee_position_m=positions)


def _half_frozen(episode: Episode) -> Episode:
    """A camera at half the control rate."""
    steps = np.arange(len(episode)) // 2 * 2
    return replace(episode, images={"image": episode.images["image"][steps]})


def _jittery(episode: Episode) -> Episode:
    """Steps come in pairs."""
    shift = np.where(np.arange(len(episode)) % 2, 0.08, 0.0)
    return replace(episode, stamps_s=episode.stamps_s + shift)


def _dim(episode: Episode) -> Episode:
    """A lamp goes out for the last ten pictures."""
    pictures = episode.images["image"].copy()
    pictures[-10:] = pictures[-10:] // 32
    return replace(episode, images={"image": pictures})


@pytest.mark.parametrize(
    ("plant", "code"),
    [
        (_paused, "idle"),
        (_blocked, "stuck"),
        (_clipped, "saturated"),
        (_wild, "outlier"),
        (_teleported, "outlier"),
        (_half_frozen, "frozen_frames"),
        (_jittery, "irregular_rate"),
        (_dim, "dark_picture"),
    ],
)
def test_what_may_spoil_training_is_a_warning(
    plant: Callable[[Episode], Episode], code: str, clean: list[Episode]
) -> None:
    """It is named where it is and nowhere else."""
    spoiled = [plant(episode) if index == 3 else episode for index, episode in enumerate(clean)]
    assert {3} == {finding.episode for finding in codes(spoiled, severity="warning")[code]}


def test_steps_of_a_finding_are_those_of_the_fault(clean: list[Episode]) -> None:
    """The frozen camera of `SYSTEMATIC` shows step 20 of 60 up to step 39."""
    plant, _ = SYSTEMATIC["frozen_camera"]
    (found,) = codes([plant(clean[0]), *clean[1:]])["frozen_frames"]
    assert (20, 39) == found.steps


def test_key_frames_of_a_video_do_not_hide_a_frozen_camera(clean: list[Episode]) -> None:
    """They change an equal picture a little, every other step; a sixth of what motion changes is no motion."""
    (track,) = tracks_of([SYSTEMATIC["frozen_camera"][0](clean[0])])
    camera = track.cameras["image"]
    change = camera.change + np.where(np.arange(59) % 2, np.median(camera.change) / 6, 0.0)
    shown = replace(track, cameras={"image": replace(camera, change=change)})
    (found,) = pictures.frozen(shown, LIMITS)
    assert found.steps is not None
    assert found.steps[0] in (20, 21)
    assert found.steps[1] in (38, 39)


def test_a_missing_camera_and_steps_that_are_too_long_are_errors(clean: list[Episode]) -> None:
    """An import can promise what it does not hold."""
    other = replace(CONTRACT, cameras=(CameraSpec("wrist", 64, 64),), max_translation_m=0.01)
    found = [finding for finding in findings_of(clean, contract=other) if finding.severity == "error"]
    assert {"out_of_contract"} == {finding.code for finding in found}
    texts = [finding.text for finding in found if finding.episode == 0]
    assert texts[0].startswith("no camera wrist; available image")
    assert "steps with a translation beyond 0.01 m" in texts[1]


def test_instructions_that_look_like_slips_are_named(clean: list[Episode]) -> None:
    """Blanks at the ends, letter case, one wording only, and one that is rare."""
    (track,) = tracks_of(clean[:1])

    def texts(*wordings: str) -> str:
        found = collection.instructions([replace(track, instruction=text) for text in wordings], LIMITS)
        return " ".join(f"{finding.severity}: {finding.text}" for finding in found)

    assert texts("stack it", "drop it") == ""
    assert "warning: ' stack it' has spaces at its ends" in texts(" stack it", "drop it")
    assert "'Stack it.' 1 time" in texts("stack it", "Stack it.", "drop it")
    assert "note: all 30 episodes have one instruction" in texts(*["stack it"] * 30)
    assert "note: 'sing' has 1 of 61" in texts(*["stack it", "drop it"] * 30, "sing")


def test_an_empty_instruction_that_a_dataset_lists_is_an_error() -> None:
    """No episode can have it, but a policy may be asked for it."""
    (found,) = collection.unused_instructions(["stack it", " "])
    assert ("instruction_suspect", "error") == (found.code, found.severity)


def test_grippers_that_all_begin_shut_are_odd(clean: list[Episode]) -> None:
    """Where command and measurement are inverted alike, only the beginning of the task tells."""
    inverted = []
    for episode in clean:
        actions = episode.actions.copy()
        actions[:, 6] = 1.0 - actions[:, 6]
        inverted.append(replace(episode, actions=actions, gripper_opening=1.0 - episode.gripper_opening))
    found = codes(inverted)["gripper_inverted"]
    assert ["warning"] == [finding.severity for finding in found]


def test_errors_explain_their_consequences_and_warnings_do_not() -> None:
    """Frozen pictures lag; a lag of another episode stays, as does a warning's consequence."""
    frozen = Finding(code="frozen_frames", severity="error", text="", episode=1)
    lags = [Finding(code="camera_lag", severity="error", text="", episode=episode) for episode in (1, 2)]
    assert [frozen, lags[1]] == without_consequences([frozen, *lags], num_episodes=4)
    mild = replace(frozen, severity="warning")
    assert [mild, *lags] == without_consequences([mild, *lags], num_episodes=4)


def test_an_error_of_most_episodes_explains_its_consequences_in_the_others() -> None:
    """Two of three frozen cameras explain the third episode's lag, but not one of all; two of four explain neither."""
    frozen = [Finding(code="frozen_frames", severity="error", text="", episode=episode) for episode in (1, 2)]
    lag = Finding(code="camera_lag", severity="error", text="", episode=3)
    assert frozen == without_consequences([*frozen, lag], num_episodes=3)
    of_all = replace(lag, episode=None)
    assert [*frozen, of_all] == without_consequences([*frozen, of_all], num_episodes=3)
    assert [*frozen, lag] == without_consequences([*frozen, lag], num_episodes=4)


def test_runs_are_found_by_their_ends() -> None:
    """First and last index, of those that are long enough."""
    marked = np.array([True, False, True, True, True, False, True, True])
    assert [(0, 0), (2, 4), (6, 7)] == stretches(marked)
    assert [(2, 4)] == stretches(marked, at_least=2.5)


@pytest.mark.parametrize("num_steps", [1, 2, 3, 6])
def test_the_shortest_episodes_can_be_checked(num_steps: int) -> None:
    """No check needs a neighbour, a quantile or a lag that is not there."""
    assert set() == errors_of([reaching(0, num_steps=num_steps)])
