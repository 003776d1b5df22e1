"""Check our datasets against the real LeRobot library, both ways; docs/episodes.md says how to run it.

Ours are opened with `LeRobotDataset`, which must give the frames and actions that were written; what `LeRobotDataset`
writes is opened with `RawDataset`. It needs an environment of its own with `lerobot` in it. `--golden FOLDER` keeps
what the library wrote: `tests/episodes/test_lerobot.py` compares our files with that.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from itertools import chain, islice
from pathlib import Path
from typing import Any, get_args

import numpy as np

from magma_ros.contract import ActionContract, CameraSpec
from magma_ros.episodes import Episode, EpisodeDataset, EpisodeWriter, Pictures, RawDataset
from magma_ros.episodes.features import columns_of, features_of

RATE_HZ = 10.0
LENGTHS = (4, 3, 5)
MEAN_ERROR: Mapping[Pictures, float] = {"png": 0.0, "video": 2.5}
"""Levels of 255: exact, or what the codec loses and two ways of turning its colours into RGB differ by."""
CONTRACT = ActionContract(
    embodiment="check_arm",
    frame="base_link",
    rotation_form="rpy",
    gripper_polarity="open_is_one",
    reference="target",
    control_rate_hz=RATE_HZ,
    max_translation_m=0.06,
    max_rotation_rad=0.5,
    cameras=(CameraSpec("front", 64, 64),),
)


def example_episodes() -> list[Episode]:
    """Three episodes of two tasks and two cameras; the same numbers and pixels on every machine."""
    return [_example(number, length) for number, length in enumerate(LENGTHS)]


def main() -> int:
    """Run every check; 1 when one of them fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--golden", type=Path, help="keep what the library wrote in this folder")
    options = parser.parse_args()
    print(f"lerobot {version('lerobot')}, numpy {np.__version__}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        checks: list[tuple[str, Callable[[Path, Pictures], list[str]]]] = [
            ("ours, opened by lerobot", ours_in_theirs),
            ("ours after a kill, opened by lerobot", killed_in_theirs),
            ("lerobot's, opened here", theirs_in_ours),
        ]
        faults = []
        for (title, check), pictures in [(check, kind) for check in checks for kind in get_args(Pictures)]:
            for line in check(folder / check.__name__ / pictures, pictures):
                print(f"{title}, {pictures}: {line}")
                faults += [line] if line.startswith("FAULT") else []
        if options.golden is not None:
            for pictures in get_args(Pictures):
                shutil.rmtree(options.golden / pictures, ignore_errors=True)
                write_theirs(options.golden / pictures, pictures)
    print("everything agrees" if not faults else f"{len(faults)} faults")
    return int(bool(faults))


def ours_in_theirs(folder: Path, pictures: Pictures) -> list[str]:
    """Write the examples with our writer and read them with `LeRobotDataset`; lines that say what came of it."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset  # noqa: PLC0415 - in an environment of its own

    with EpisodeWriter(folder, contract=CONTRACT, source={"made_by": "lerobot_check"}, pictures=pictures) as writer:
        for episode in example_episodes():
            writer.append(episode)
    own = EpisodeDataset(folder)
    theirs = LeRobotDataset("local/check", root=folder, video_backend="pyav")
    lines = list(_differences_of_size(theirs))
    errors, own_errors = [], []
    for item, episode, step, number in _paired(theirs):
        lines += _differing_numbers(item, episode, step)
        decoded = own.read(number)
        for camera, array in episode.images.items():
            picture = _to_uint8(item[f"observation.images.{camera}"])
            errors.append(np.abs(picture.astype(int) - array[step]))
            own_errors.append(np.abs(picture.astype(int) - decoded.images[camera][step]))
    error, own_error = np.stack(errors), np.stack(own_errors)
    lines.append(
        f"{len(errors)} pictures, error to what was written: mean {error.mean():.3f}, most {error.max()} levels"
    )
    lines.append(f"against our own decoding: mean {own_error.mean():.4f}, most {own_error.max()} levels")
    if error.mean() > MEAN_ERROR[pictures] or own_error.mean() > MEAN_ERROR[pictures]:
        lines.append("FAULT pictures differ")
    return lines


def killed_in_theirs(folder: Path, pictures: Pictures) -> list[str]:
    """What `LeRobotDataset` makes of a dataset whose writer was killed before the last episode had its row."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset  # noqa: PLC0415 - in an environment of its own

    *earlier, last = example_episodes()
    with EpisodeWriter(folder, contract=CONTRACT, source={}, pictures=pictures) as writer:
        for episode in earlier:
            writer.append(episode)
        shutil.copytree(folder / "meta", folder / "before")
        writer.append(last)
    shutil.rmtree(folder / "meta")
    (folder / "before").rename(folder / "meta")
    theirs = LeRobotDataset("local/check", root=folder, video_backend="pyav")
    lines = [] if (theirs.num_episodes, len(theirs)) == (2, sum(LENGTHS[:2])) else ["FAULT another number of episodes"]
    for item, episode, step, _number in islice(_paired(theirs), len(theirs)):
        lines += _differing_numbers(item, episode, step)
    return [*lines, f"{theirs.num_episodes} of {len(LENGTHS)} episodes, {len(theirs)} frames"]


def theirs_in_ours(folder: Path, pictures: Pictures) -> list[str]:
    """Write the examples with `LeRobotDataset` and read them with `RawDataset`; lines that say what came of it."""
    theirs = write_theirs(folder, pictures)
    own = RawDataset(folder)
    lines = [] if len(own) == len(LENGTHS) else [f"FAULT expected {len(LENGTHS)} episodes, got {len(own)}"]
    errors = []
    for number, episode in enumerate(example_episodes()):
        raw = own.read(number)
        for name, expected in _columns(episode, number).items():
            if raw.columns[name].dtype != expected.dtype or not np.array_equal(raw.columns[name], expected):
                lines.append(f"FAULT episode {number}: {name} differs")
        if set(raw.instructions) != {episode.instruction}:
            lines.append(f"FAULT episode {number}: instruction {set(raw.instructions)}")
        for camera, array in episode.images.items():
            for step in range(len(episode)):
                item = theirs[sum(LENGTHS[:number]) + step]
                wanted = _to_uint8(item[f"observation.images.{camera}"]) if pictures == "video" else array[step]
                got = raw.pictures[f"observation.images.{camera}"][step]
                errors.append(np.abs(got.astype(int) - wanted))
    error = np.stack(errors)
    lines.append(f"{len(errors)} pictures, two decodings differ: mean {error.mean():.3f}, most {error.max()} levels")
    return lines if error.mean() <= MEAN_ERROR[pictures] else [*lines, "FAULT pictures differ"]


def write_theirs(folder: Path, pictures: Pictures) -> Any:
    """The examples as the library writes them, with our features; opened again."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset  # noqa: PLC0415 - in an environment of its own

    folder.parent.mkdir(parents=True, exist_ok=True)
    first = example_episodes()[0]
    features = features_of(first, pictures=pictures, rate_hz=RATE_HZ)
    always = ("timestamp", "frame_index", "episode_index", "index", "task_index")
    asked = {
        name: {key: tuple(value) if key == "shape" else value for key, value in feature.items() if key != "info"}
        for name, feature in features.items()
        if name not in always
    }
    dataset = LeRobotDataset.create(
        "local/check",
        fps=int(RATE_HZ),
        features=asked,
        root=folder,
        robot_type="check_arm",
        use_videos=pictures == "video",
    )
    for number, episode in enumerate(example_episodes()):
        columns = _columns(episode, number)
        for step in range(len(episode)):
            frame = {name: np.atleast_1d(columns[name][step]) for name in asked if name in columns}
            frame |= {f"observation.images.{camera}": array[step] for camera, array in episode.images.items()}
            dataset.add_frame({**frame, "task": episode.instruction})
        dataset.save_episode()
    dataset.finalize()
    shutil.rmtree(folder / "images", ignore_errors=True)
    return LeRobotDataset("local/check", root=folder, video_backend="pyav")


def _example(number: int, length: int) -> Episode:
    draw = np.random.default_rng(number)
    step, y, x = np.mgrid[0:length, 0:64, 0:64]
    waves = [np.sin(x / 29 + step + number), np.cos(y / 23 - step), np.sin((x + y) / 37 + step / 2)]
    front = np.stack([(127 + 90 * wave).astype(np.uint8) for wave in waves], axis=-1)
    return Episode(
        images={"front": front, "wrist": np.ascontiguousarray(front[:, ::-1, :, ::-1])},
        actions=np.concatenate([draw.uniform(-0.02, 0.02, (length, 6)), draw.integers(0, 2, (length, 1))], axis=1),
        ee_position_m=draw.normal(size=(length, 3)),
        ee_quat_xyzw=np.tile([0.0, 0.0, 0.0, 1.0], (length, 1)),
        gripper_opening=draw.uniform(size=length),
        joint_positions_rad=draw.normal(size=(length, 6)),
        stamps_s=100.0 + np.arange(length) / RATE_HZ,
        instruction=("put the carrot on the plate", "stack the cubes")[number % 2],
        seed=number,
        success=number != 1,
        interventions=draw.random(length) < 0.5,
        operator="Ada",
    )


def _columns(episode: Episode, number: int) -> dict[str, Any]:
    first_frame = sum(LENGTHS[:number])
    return columns_of(episode, index=number, first_frame=first_frame, task_index=number % 2, rate_hz=RATE_HZ)


def _paired(theirs: Any) -> Iterator[tuple[Any, Episode, int, int]]:
    """Each item of the library with the episode, step and number that it is of."""
    steps = chain.from_iterable(
        ((episode, step, number) for step in range(len(episode))) for number, episode in enumerate(example_episodes())
    )
    for index, (episode, step, number) in enumerate(steps):
        yield theirs[index], episode, step, number


def _differences_of_size(theirs: Any) -> Iterator[str]:
    if (theirs.num_episodes, len(theirs), theirs.fps) != (len(LENGTHS), sum(LENGTHS), RATE_HZ):
        yield f"FAULT got {theirs.num_episodes} episodes, {len(theirs)} frames, {theirs.fps} Hz"
    for key in ("action", "observation.state", "observation.images.front"):
        missing = {"mean", "std", "min", "max", "count", "q01", "q99"} - set(theirs.meta.stats.get(key, {}))
        if missing:
            yield f"FAULT statistics of {key} lack {sorted(missing)}"


def _differing_numbers(item: Any, episode: Episode, step: int) -> list[str]:
    """Numbers of an item that are not those of the step, as float32, which is what the library makes of them."""
    state = (episode.ee_position_m[step], episode.ee_quat_xyzw[step], [episode.gripper_opening[step]])
    expected = {
        "action": episode.actions[step],
        "observation.state": np.concatenate([*state, episode.joint_positions_rad[step]]),
        "timestamp": step / RATE_HZ,
        "stamp_s": episode.stamps_s[step],
        "intervention": episode.interventions[step],
    }
    lines = [
        f"FAULT {name} of step {step}: expected {value}, got {item[name]}"
        for name, value in expected.items()
        if not np.array_equal(np.asarray(value, np.float32), item[name].numpy().astype(np.float32))
    ]
    return lines if item["task"] == episode.instruction else [*lines, f"FAULT task {item['task']!r}"]


def _to_uint8(picture: Any) -> Any:
    """(height, width, 3) uint8 of the library's channels-first shares of white."""
    return np.rint(picture.numpy().transpose(1, 2, 0) * 255).astype(np.uint8)


if __name__ == "__main__":
    sys.exit(main())
