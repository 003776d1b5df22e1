import re

import numpy as np
from mcap.reader import make_reader
from rclpy.serialization import deserialize_message
from rosbags.rosbag2 import Reader
from std_msgs.msg import Bool, Header, String

from magma_ros.msg import ActionChunk, EndEffectorDelta, MotionStatus, PolicyStatus
from magma_ros.ros import interface, pictures

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
        counts = [re.match(r"(\d+) messages in", status.message) for m in diagnostics for status in m.status]
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
