import io
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header, String

from magma_ros import cli
from magma_ros.errors import RecordingError
from magma_ros.load_options import LoadOptions
from magma_ros.ros.bag_reader import BagReader
from magma_ros.ros.bag_replay import ReplaySettings, _write, replay
from magma_ros.ros.conversions import time_message
from magma_ros.types import ActionChunk
from tests import examples
from tests.ros.recordings import SIM, Recording

START_S = 1_000.0


class SeeingPolicy:
    """Moves by the mean of the picture; the number of questions since the last reset is the token."""

    def __init__(self):
        self.contract = replace(examples.CONTRACT, max_translation_m=0.05)
        self.num_asked, self.is_closed = 0, False

    def infer(self, observation):
        self.num_asked += 1
        rows = [[observation.images["image"].mean() / 255 * 0.02, 0, 0, 0, 0, 0, 1.0]]
        return ActionChunk(rows, "base_link", observation.stamp_s, np.full((1, 7), self.num_asked))

    def reset(self):
        self.num_asked = 0

    def close(self):
        self.is_closed = True


def replayed(folder, *, policy=None, arm=SIM, **settings):
    chosen = ReplaySettings(**settings)
    made = policy or SeeingPolicy()
    parameters = chosen.parameters("scripted", LoadOptions())
    return list(replay(BagReader(folder), arm=arm, settings=chosen, parameters=parameters, load=lambda *_: made))


@pytest.fixture
def recording(tmp_path):
    return Recording(tmp_path / "bag")


def test_pictures_are_answered_at_the_control_rate(recording):
    """Of a camera at 15 Hz every third picture is answered at 5 Hz, at the time of its capture."""
    recording.film(num_pictures=9, rate_hz=15)
    lines = replayed(recording.save(), instruction="put")
    expected_ns = [round((START_S + i * 0.2) * 1e9) for i in range(3)]
    assert expected_ns == pytest.approx([line["stamp_ns"] for line in lines], abs=2000)
    assert [0.01] * 3 == pytest.approx([line["translation_m"][0] for line in lines], abs=1e-3)
    assert [[[n] * 7] for n in (1, 2, 3)] == [line["tokens"] for line in lines]
    assert {"base_link"} == {line["frame"] for line in lines}


def test_recorded_actions_are_compared_with_ours(recording):
    """An action that was sent for the same picture stands beside ours, with the length of the difference."""
    recording.film(num_pictures=2, rate_hz=5)
    recording.send(stamp_s=START_S + 0.2, x_m=0.0)
    first, second = replayed(recording.save(), instruction="put")
    assert "recorded" not in first
    assert [0.0, 0.0, 0.0] == second["recorded"]["translation_m"]
    expected = {"translation_m": second["translation_m"][0], "rotation_vector_rad": 0.0, "gripper_opening": 0.0}
    assert expected == pytest.approx(second["difference"])


def test_the_recorded_instructions_are_followed(recording):
    """Nothing is answered before an instruction and after its end, and each assignment starts afresh."""
    recording.film(num_pictures=2, rate_hz=5)
    recording.follow("put carrot")
    recording.film(num_pictures=2, rate_hz=5)
    recording.follow("put carrot", step=2)
    recording.film(num_pictures=1, rate_hz=5)
    recording.follow("put carrot", step=0)
    recording.film(num_pictures=1, rate_hz=5)
    recording.follow("")
    recording.film(num_pictures=2, rate_hz=5)
    lines = replayed(recording.save())
    assert ["put carrot"] * 4 == [line["instruction"] for line in lines]
    assert [1, 2, 3, 1] == [line["tokens"][0][0] for line in lines]


def test_a_given_instruction_goes_before_the_recorded_ones(recording):
    """What was recorded does not restart or end what the option asks for."""
    recording.follow("put carrot")
    recording.film(num_pictures=1, rate_hz=5)
    recording.follow("")
    recording.film(num_pictures=1, rate_hz=5)
    assert ["push", "push"] == [line["instruction"] for line in replayed(recording.save(), instruction="push")]


def test_what_would_have_stopped_the_arm_is_told(recording):
    """A picture before any measured state is a stop with its reason; so is a camera that froze."""
    recording.see(seed=0)
    for _ in range(4):
        recording.measure()
        recording.now_s += 0.2
        recording.see(seed=1)
    watchful = replace(SIM, watch=replace(SIM.watch, max_identical_pictures=4))
    lines = replayed(recording.save(), arm=watchful, instruction="put")
    assert ["no_proprio", None, None, None, "frozen_camera"] == [line.get("stop") for line in lines]


def test_a_recording_of_a_namespaced_arm_is_replayed(tmp_path):
    """The topics of one of two arms are found under its namespace."""
    recording = Recording(tmp_path / "bag", namespace="/left")
    recording.film(num_pictures=2, rate_hz=5)
    folder = recording.save()
    assert 2 == len(replayed(folder, instruction="put", namespace="left"))
    with pytest.raises(RecordingError, match="/camera/image_raw or /camera/image_raw/compressed"):
        replayed(folder, instruction="put")


def test_a_compressed_camera_is_replayed(recording):
    """Where the bag has the compressed topic only, its pictures are decoded."""
    recording.measure()
    _, data = cv2.imencode(".png", np.full((128, 128, 3), 255, np.uint8))
    message = CompressedImage(header=Header(stamp=time_message(START_S)), format="png", data=data.tobytes())
    recording.add("camera/image_raw/compressed", message)
    assert [0.02] == pytest.approx([line["translation_m"][0] for line in replayed(recording.save(), instruction="put")])


def test_the_policy_is_closed_even_when_the_reader_stops_early(recording):
    """Leaving after the first line releases the policy."""
    recording.film(num_pictures=2, rate_hz=5)
    policy, chosen = SeeingPolicy(), ReplaySettings(instruction="put")
    parameters = chosen.parameters("scripted", LoadOptions())
    lines = replay(BagReader(recording.save()), arm=SIM, settings=chosen, parameters=parameters, load=lambda *_: policy)
    next(lines)
    lines.close()
    assert policy.is_closed


def test_a_recording_without_an_instruction_is_refused(recording):
    """Neither the bag nor an option says what to do."""
    recording.film(num_pictures=1, rate_hz=5)
    with pytest.raises(RecordingError, match="expected one in /policy_status"):
        replayed(recording.save())


def test_another_type_or_version_is_refused(recording, monkeypatch):
    """A topic of another type, or a type whose definition has changed since, is not read as something else."""
    recording.add("camera/image_raw", String(data="no picture"))
    folder = recording.save()
    with pytest.raises(RecordingError, match="expected sensor_msgs/msg/Image, the bag has std_msgs/msg/String"):
        list(BagReader(folder).read({"/camera/image_raw": Image}))
    monkeypatch.setattr("magma_ros.ros.bag_reader._installed_hash", lambda _: "RIHS01_other")
    with pytest.raises(RecordingError, match="another version of std_msgs/msg/String"):
        list(BagReader(folder).read({"/camera/image_raw": String}))


def test_what_is_no_bag_is_refused(tmp_path):
    """A missing path, an empty folder and a file of something else are errors, not tracebacks."""
    (tmp_path / "text.mcap").write_text("no bag")
    for path in (tmp_path / "missing", tmp_path, tmp_path / "text.mcap"):
        with pytest.raises(RecordingError, match="expected a rosbag2 folder or MCAP file"):
            BagReader(path)


def test_a_bag_that_was_cut_off_is_refused(recording):
    """Half a file is an error that names it."""
    recording.film(num_pictures=3, rate_hz=5)
    file = recording.save() / "bag.mcap"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(RecordingError, match="bag: expected a rosbag2 folder or MCAP file"):
        replayed(recording.folder, instruction="put")


def test_a_message_of_garbage_is_refused(recording, monkeypatch):
    """Bytes that are no message of their topic's type are an error that names the topic."""
    recording.film(num_pictures=1, rate_hz=5)
    folder = recording.save()
    monkeypatch.setattr("magma_ros.ros.bag_reader.deserialize_message", lambda _, kind: deserialize_message(b"x", kind))
    with pytest.raises(RecordingError, match="/joint_states: expected a sensor_msgs/msg/JointState"):
        replayed(folder, instruction="put")


def test_two_runs_give_identical_bytes(recording):
    """The lines of two replays, as they are written, do not differ in a byte."""
    recording.follow("put carrot")
    recording.film(num_pictures=12, rate_hz=15)
    recording.send(stamp_s=START_S + 0.2, x_m=0.01)
    folder = recording.save()
    runs = [io.StringIO(), io.StringIO()]
    sums = [_write(iter(replayed(folder)), run) for run in runs]
    assert runs[0].getvalue().encode() == runs[1].getvalue().encode()
    assert sums[0] == sums[1]
    assert 4 == len(runs[0].getvalue().splitlines())


def test_the_command_replays_with_a_checkpoint(recording, capsys):
    """`magma-ros bag-replay` writes magma-tiny's tokens and actions a line each, and sums them up."""
    recording.follow("put carrot on plate")
    recording.film(num_pictures=2, rate_hz=5)
    recording.send(stamp_s=START_S + 0.2, x_m=0.01)
    output = recording.folder.parent / "lines.jsonl"
    command = ["bag-replay", str(recording.save()), "--checkpoint", "magma-tiny", "--output", str(output)]
    assert 0 == cli.main(command)
    first, second = (json.loads(line) for line in output.read_text().splitlines())
    assert [7, 7] == [len(line["tokens"][0]) for line in (first, second)]
    assert ["translation_m", "rotation_vector_rad", "gripper_opening"] == list(second["difference"])
    assert "2 actions, 0 stops {}, largest difference to 1 recorded actions" in capsys.readouterr().err
