import numpy as np
import pytest
from geometry_msgs.msg import Point, Pose, PoseStamped
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from magma_ros.msg import EndEffectorDelta, MotionStatus, PolicyStatus
from magma_ros.overlay import FOOTER_PX, HEADER_PX, RED, WIDTH_PX
from magma_ros.ros import endpoints, interface, pictures
from magma_ros.sim.processes import shared_file

VIEW = ["-m", "magma_ros.ros.view_node"]


@pytest.fixture(scope="module")
def watched(peer):
    """A view of a camera at 20 Hz, with a person who looks at both of its topics."""
    # As bringup.launch.py has it: a picture for people is larger than what Fast DDS hands on without loss by itself.
    peer.start_with("view", VIEW, {"FASTRTPS_DEFAULT_PROFILES_FILE": str(shared_file("config/fastdds.xml"))})
    camera = peer.publisher(interface.CAMERA)
    grey = np.full((64, 64, 3), 127, np.uint8)
    peer.node.create_timer(
        0.05, lambda: camera.publish(pictures.image_message(grey, stamp=header(peer).stamp, frame_id="camera"))
    )
    return peer.listen(interface.ANNOTATED), peer.listen(interface.PLANNED_MOTION)


def header(peer, frame="base_link"):
    return Header(stamp=peer.node.get_clock().now().to_msg(), frame_id=frame)


def is_red(message):
    picture = pictures.picture_from_message(message)
    return bool((picture == RED).all(axis=-1).mean() > 0.03)


def gauge(message):
    return pictures.picture_from_message(message)[-FOOTER_PX - 104 : -FOOTER_PX - 8, 8:220]


def title(message):
    return pictures.picture_from_message(message)[:HEADER_PX]


def markers(message):
    return {marker.ns: marker for marker in message.markers}


def test_pictures_come_with_the_stamp_of_the_camera(peer, watched):
    """The annotated picture has the common width and says when and where it was taken."""
    shown, _ = watched
    taken = peer.listen(interface.CAMERA)
    peer.wait(lambda: len(shown) > 3, what="pictures")
    last = shown[-1]
    peer.wait(lambda: any(m.header.stamp == last.header.stamp for m in taken) or len(taken) > 100)
    assert (WIDTH_PX, "camera") == (last.width, last.header.frame_id)
    assert last.header.stamp in [message.header.stamp for message in taken]


def test_a_halt_is_shown_in_red_and_goes_with_its_end(peer, watched):
    """The picture turns red with the motion node's HALTED, and back with HOLDING."""
    shown, _ = watched
    status = peer.publisher(interface.MOTION_STATUS)
    status.publish(MotionStatus(header=header(peer), state=MotionStatus.HALTED, reason="emergency_stop"))
    peer.wait(lambda: is_red(shown[-1]), what="red")
    status.publish(MotionStatus(header=header(peer), state=MotionStatus.HOLDING))
    peer.wait(lambda: not is_red(shown[-1]), what="no red")


def test_an_action_is_drawn_and_then_deleted(peer, watched):
    """Gauge and arrow show a fresh action; both are gone when no further one comes."""
    shown, planned = watched
    peer.wait(lambda: shown and planned)
    before = gauge(shown[-1])
    place = PoseStamped(header=header(peer), pose=Pose(position=Point(x=0.3, y=0.0, z=0.2)))
    action = EndEffectorDelta(header=header(peer), gripper_opening=1.0)
    action.translation_m.x = 0.02

    def is_drawn():  # who reads setpoints asks for none that came before it knew the sender
        peer.publisher(interface.SETPOINT).publish(place)
        peer.publisher(interface.POLICY_ACTION).publish(action)
        return markers(planned[-1])["action"].action == Marker.ADD

    peer.wait(is_drawn, what="the arrow")
    assert 0.3 == markers(planned[-1])["setpoint"].pose.position.x
    peer.wait(lambda: not np.array_equal(before, gauge(shown[-1])), what="the gauge")
    peer.wait(lambda: markers(planned[-1])["action"].action == Marker.DELETE, what="no arrow")
    assert Marker.DELETE == markers(planned[-1])["setpoint"].action
    peer.wait(lambda: np.array_equal(before, gauge(shown[-1])), what="no gauge")


def test_the_state_of_the_policy_is_shown(peer, watched):
    """A status changes the caption."""
    shown, _ = watched
    before = title(shown[-1])
    peer.publisher(interface.STATUS).publish(PolicyStatus(state=PolicyStatus.ACTING, instruction="put carrot on plate"))
    peer.wait(lambda: not np.array_equal(before, title(shown[-1])), what="the instruction")


def test_a_broken_picture_is_not_shown_and_the_next_one_is(peer, watched):
    """A picture of a depth camera costs a warning, not the node."""
    shown, _ = watched
    broken = pictures.image_message(np.zeros((8, 8, 3), np.uint8), stamp=header(peer).stamp, frame_id="depth")
    broken.encoding = "32FC1"
    for _ in range(5):
        peer.publisher(interface.CAMERA).publish(broken)
    count = len(shown)
    peer.wait(lambda: len(shown) > count + 3, what="later pictures")
    assert "depth" not in {message.header.frame_id for message in shown}


def test_nobody_looking_costs_no_picture(peer):
    """Without a subscriber to its picture, the node does not subscribe to the camera."""
    peer.start("unwatched", *VIEW, "--ros-args", "-r", "__ns:=/unwatched")
    peer.wait(lambda: peer.node.count_publishers("/unwatched/annotated/image_raw") == 1, what="the node")
    peer.spin(0.5)
    assert 0 == peer.node.count_subscribers("/unwatched/camera/image_raw")
    watcher = peer.node.create_subscription(
        interface.ANNOTATED.message, "/unwatched/annotated/image_raw", print, endpoints.SENSOR.profile()
    )
    peer.wait(lambda: peer.node.count_subscribers("/unwatched/camera/image_raw") == 1, what="the camera's reader")
    peer.node.destroy_subscription(watcher)
    peer.wait(lambda: peer.node.count_subscribers("/unwatched/camera/image_raw") == 0, what="no reader")


def test_an_unknown_arm_is_refused(peer):
    """A wrong arm ends the process with the refusal's status and a list of the arms."""
    child = peer.start("refused", *VIEW, arm="nosuch")
    peer.wait(lambda: child.process.poll() is not None, what="the end")
    assert 2 == child.process.returncode
    assert "wx250s" in child.last_lines()
