import json
import re
from pathlib import Path

import numpy as np
from mcap.exceptions import EndOfFile
from mcap.reader import NonSeekingReader, make_reader
from rclpy.serialization import deserialize_message
from rosbags.rosbag2 import Reader
from std_msgs.msg import Bool, Header, String

from magma_ros.bag_writer import NOTES_NAME
from magma_ros.episode_notes import EpisodeNotes
from magma_ros.msg import ActionChunk, EndEffectorDelta, MotionStatus, PolicyStatus
from magma_ros.ros import interface, pictures
from magma_ros.ros.episode_bags import next_episode
from magma_ros.srv import EndEpisode, StartEpisode

RECORDER = ("-m", "magma_ros.ros.recorder_node")
PICTURE = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)


def publish_all(peer, stamp):
    """One message on each of the stack's topics and a picture."""
    header = Header(stamp=stamp, frame_id="base_link")
    for topic, message in (
        (interface.CAMERA, pictures.image_message(PICTURE, stamp=stamp, frame_id="camera")),
        (interface.POLICY_ACTION, EndEffectorDelta(header=header, gripper_opening=0.5)),
        (interface.ACTION_CHUNK, ActionChunk(header=header, embodiment="toy", tokens=[1, 2, 3])),
        (interface.ACTION_CONTRACT, String(data="{}")),
        (interface.STATUS, PolicyStatus(header=header, instruction="put")),
        (interface.MOTION_STATUS, MotionStatus(header=header, reason="stale_state")),
        (interface.EMERGENCY_STOP, Bool(data=True)),
        (interface.EE_DELTA, EndEffectorDelta(header=header)),
    ):
        peer.publisher(topic).publish(message)


def connected(peer):
    """Every publisher that the peer has made so far has a reader."""
    return all(publisher.get_subscription_count() > 0 for publisher in peer.publishers.values())


def read(folder):
    with Reader(folder) as bag:
        return [(connection.topic, connection.msgtype, bytes(data)) for connection, _, data in bag.messages()]


def recorded(folder, name, kind):
    return [deserialize_message(data, kind) for topic, _, data in read(folder) if topic == name]


def test_what_was_published_is_in_the_bag_after_sigint(peer):
    """Every topic is in a closed bag, byte for byte what ROS itself deserialises, for rosbags and for mcap."""
    folder = peer.folder / "whole"
    diagnostics = peer.listen(interface.DIAGNOSTICS)
    child = peer.start("recorder", *RECORDER, output=str(folder))
    stamps = []

    def reported():
        stamps.append(peer.node.get_clock().now().to_msg())
        publish_all(peer, stamps[-1])
        counts = [re.match(r"(\d+) messages? in", status.message) for m in diagnostics for status in m.status]
        return any(int(count[1]) > 50 for count in counts if count)

    peer.wait(reported, what="the recorder's count")
    assert 0 == child.stop(), child.last_lines()
    picture = recorded(folder, "/camera/image_raw", interface.CAMERA.message)[-1]
    np.testing.assert_array_equal(PICTURE, pictures.picture_from_message(picture))
    assert picture.header.stamp in stamps
    assert "put" == recorded(folder, "/policy_status", PolicyStatus)[-1].instruction
    assert [1, 2, 3] == list(recorded(folder, "/action_chunk", ActionChunk)[-1].tokens)
    topics = {topic for topic, _, _ in read(folder)}
    assert topics >= {"/policy_action", "/action_contract", "/motion_status", "/emergency_stop", "/ee_delta"}
    with (folder / "whole.mcap").open("rb") as file:
        assert len(read(folder)) == sum(1 for _ in make_reader(file).iter_messages())


def test_a_full_disk_ends_the_bag_and_nothing_else(peer):
    """The node says so in log and diagnostics and lives on; the bag is closed and holds what came before."""
    folder = peer.folder / "full"
    diagnostics = peer.listen(interface.DIAGNOSTICS)
    child = peer.start("full", "tests/ros/full_disk_recorder.py", output=str(folder), min_free_gib=0.0)
    peer.wait(lambda: connected(peer), what="the recorder's readers")

    def told():
        publish_all(peer, peer.node.get_clock().now().to_msg())
        statuses = [status for message in diagnostics for status in message.status]
        return any(status.level == b"\x02" and "the disk is full" in status.message for status in statuses)

    peer.wait(told, what="the diagnosis")
    assert "the disk is full" in child.last_lines()
    assert 4 <= len(recorded(folder, "/camera/image_raw", interface.CAMERA.message)) <= 12
    child.require_alive()
    assert 0 == child.stop(), child.last_lines()


def test_too_little_space_refuses_to_start(peer):
    """A recorder that could not keep the free space that was asked for ends at once and says so."""
    child = peer.start("refused", *RECORDER, output=str(peer.folder / "refused"), min_free_gib=1000.0)
    peer.wait(lambda: child.process.poll() is not None, what="the end")
    assert 2 == child.process.returncode
    assert "GiB of free space" in child.last_lines()


def notes_of(folder):
    with Reader(folder) as bag:
        return EpisodeNotes.from_dict(bag.storage.metadata.custom)


def start_episode(peer, instruction="put carrot on plate", operator="ada"):
    return peer.call(StartEpisode, interface.START_EPISODE.name, instruction=instruction, operator_name=operator)


def end_episode(peer, outcome):
    return peer.call(EndEpisode, interface.END_EPISODE.name, outcome=outcome)


def publish_until(peer, condition, what):
    def done():
        publish_all(peer, peer.node.get_clock().now().to_msg())
        return condition()

    peer.wait(done, what=what)


def file_size(folder):
    return sum(path.stat().st_size for path in folder.glob("*.mcap"))


def test_each_episode_is_a_bag_with_its_notes(peer):
    """Success and failure are kept under numbers, a discarded one leaves nothing, and what is asked wrongly is told."""
    folder = peer.folder / "demos"
    child = peer.start("episodes", *RECORDER, output=str(folder), episodes=True)
    assert "no episode" in end_episode(peer, EndEpisode.Request.SUCCESS).message
    assert "sentence" in start_episode(peer, instruction=" ").message
    assert "one line" in start_episode(peer, operator="a\nb").message
    for outcome in (EndEpisode.Request.SUCCESS, EndEpisode.Request.DISCARD, EndEpisode.Request.FAILURE):
        started = start_episode(peer)
        assert started.accepted, started.message
        bag = Path(started.bag)
        publish_until(peer, lambda bag=bag: file_size(bag) > 2**20, what="a chunk on the disk")
        assert "under way" in start_episode(peer).message
        assert "outcome" in end_episode(peer, 7).message
        ended = end_episode(peer, outcome)
        assert ended.accepted, ended.message
        assert bag.exists() == (outcome != EndEpisode.Request.DISCARD)
    assert ["episode_000000", "episode_000001"] == sorted(path.name for path in folder.iterdir())
    found = [notes_of(folder / name) for name in ("episode_000000", "episode_000001")]
    assert ["success", "failure"] == [notes.outcome for notes in found]
    assert {("put carrot on plate", "ada", "sim")} == {(n.instruction, n.operator, n.arm) for n in found}
    assert found[0].started < found[0].ended < found[1].started
    assert recorded(folder / "episode_000001", "/action_contract", String)
    assert 0 == child.stop(), child.last_lines()


def test_one_bag_for_everything_takes_no_episodes(peer):
    """A recorder that was not started for episodes says how to."""
    child = peer.start("everything", *RECORDER, output=str(peer.folder / "everything"))
    assert "episodes:=true" in start_episode(peer).message
    assert "no episode" in end_episode(peer, EndEpisode.Request.DISCARD).message
    assert 0 == child.stop(), child.last_lines()
    assert (peer.folder / "everything" / "metadata.yaml").is_file()


def test_a_killed_recorder_leaves_its_closed_chunks_and_its_notes(peer):
    """After kill -9 every closed chunk is read, the notes are beside them, and its number is taken."""
    folder = peer.folder / "killed"
    child = peer.start("killed", *RECORDER, output=str(folder), episodes=True)
    bag = folder / "episode_000000"
    request = StartEpisode.Request(instruction="put carrot on plate", operator_name="ada")
    client = peer.node.create_client(StartEpisode, interface.START_EPISODE.name)
    peer.find(client, "start_episode")
    client.call_async(request)  # the files say what came of it: Fast DDS drops answers to a client that is new to it
    publish_until(peer, lambda: file_size(bag) > 4 * 2**20, what="some chunks on the disk")
    child.process.kill()
    child.process.wait()
    assert "put carrot on plate" == json.loads((bag / NOTES_NAME).read_text())["instruction"]
    assert not (bag / "metadata.yaml").exists()
    with (bag / f"{bag.name}.mcap").open("rb") as file:
        pictures_read = sum(channel.topic == "/camera/image_raw" for _, channel, _ in closed_chunks(file))
    assert pictures_read >= 10
    assert folder / "episode_000001" == next_episode(folder)


def closed_chunks(file):
    """Messages up to where the file breaks off."""
    messages = NonSeekingReader(file).iter_messages(log_time_order=False)
    while True:
        try:
            yield next(messages)
        except (EndOfFile, StopIteration):
            return
