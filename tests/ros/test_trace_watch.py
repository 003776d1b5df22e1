"""An arm that goes where its policy sees it going, and one that is held: over DDS, with the simulated arm's camera."""

from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseStamped
from rclpy.action import ActionClient

from magma_ros import arms
from magma_ros.action import Ask
from magma_ros.camera_model import CameraModel
from magma_ros.ros import conversions, endpoints, interface, pictures
from magma_ros.ros.camera_info import camera_info_message
from magma_ros.sim.bridge.scene import camera_matrix
from magma_ros.types import Pose
from tests.ros.arm_messages import joint_state, rest
from tests.ros.test_policy_node import set_checkpoint

SCRIPT = str(Path(__file__).with_name("talking_policy_node.py"))
ARM = arms.load("sim")
START_M = np.array([0.3, -0.1, 0.15])
STEP_M = np.array([0.0, 0.003, 0.0])
"""So slow that the tool stays in the picture for more than ten seconds."""
RATE_HZ, SIZE_PX, NUM_STEPS = 10.0, 128, 10
MATRIX = camera_matrix(width_px=SIZE_PX, height_px=SIZE_PX)


def cells_per_step():
    """How far one action moves the tool in the picture, in its 256 x 256 cells."""
    calibration = ARM.topics.cameras[0].calibration
    pose = Pose(np.array(calibration.position_m), np.array(calibration.quat_xyzw))
    model = CameraModel(MATRIX, np.zeros(5), width_px=SIZE_PX, height_px=SIZE_PX)
    path = START_M + np.arange(21)[:, None] * STEP_M
    pixels = model.project(path, pose_camera_in_base=pose)
    return (pixels[-1] - pixels[0]) / 20 * 256 / SIZE_PX


class MovingArm:
    """Publishes pictures, CameraInfo and measured state; makes each action that it hears, unless it is held."""

    def __init__(self, peer):
        self.is_held, self.is_calibrated = False, True
        self._peer, self._place = peer, START_M.copy()
        self._topics = {
            topic.name: peer.publisher(topic)
            for topic in (interface.CAMERA, interface.CAMERA_INFO, interface.JOINTS, interface.EE_POSE)
        }
        self._shade = 0
        peer.node.create_subscription(
            interface.POLICY_ACTION.message, interface.POLICY_ACTION.name, self._move, endpoints.COMMAND.profile()
        )
        peer.node.create_timer(1.0 / RATE_HZ, self.show)

    def home(self):
        self._place = START_M.copy()

    def _move(self, message):
        if not self.is_held:
            self._place += conversions.action_from_message(message).translation_m

    def show(self):
        stamp, self._shade = self._peer.node.get_clock().now().to_msg(), (self._shade + 1) % 100
        joints = joint_state(rest(ARM, gripper=0.5), stamp_s=conversions.seconds(stamp))
        pose = PoseStamped()
        pose.header.frame_id, pose.header.stamp, pose.pose.orientation.w = "base_link", stamp, 1.0
        pose.pose.position.x, pose.pose.position.y, pose.pose.position.z = self._place.tolist()
        picture = np.full((SIZE_PX, SIZE_PX, 3), self._shade, np.uint8)
        self._topics["joint_states"].publish(joints)
        self._topics["ee_pose"].publish(pose)
        if self.is_calibrated:
            size = {"width_px": SIZE_PX, "height_px": SIZE_PX}
            info = camera_info_message(MATRIX, **size, stamp=stamp, frame_id="camera")
            self._topics["camera/camera_info"].publish(info)
        self._topics["camera/image_raw"].publish(pictures.image_message(picture, stamp=stamp, frame_id="camera"))


@pytest.fixture(scope="module")
def arm(peer):
    """An arm whose policy moves it sideways and sees it doing so."""
    step = cells_per_step()
    path = [(step * n).tolist() for n in range(1, 65)]
    options = {"pieces": ["A carrot."], "piece_s": 0.0, "actions": [[*STEP_M.tolist(), 0.0, 0.0, 0.0, 1.0]]}
    folder = peer.write_script("seer", path_cells=path, **options)
    peer.blind = peer.write_script("blind", **options)
    peer.start(
        "policy_node",
        SCRIPT,
        checkpoint=folder,
        control_rate_hz=RATE_HZ,
        trace_steps=NUM_STEPS,
        max_trace_divergence=0.02,
    )
    peer.diagnostics = peer.listen(interface.DIAGNOSTICS)
    peer.commands = peer.listen(interface.POLICY_ACTION)
    peer.asks = ActionClient(peer.node, Ask, interface.ASK.name)
    made = MovingArm(peer)
    made.is_calibrated = False
    peer.wait(lambda: peer.diagnostics, timeout_s=60, what="the node")
    peer.make_active()
    yield made
    peer.asks.destroy()


def reports(peer):
    return [one for message in peer.diagnostics for one in message.status if one.name.endswith(": trace divergence")]


def wait_for(peer, condition, what):
    """The first report that fulfils `condition` from now on."""
    peer.diagnostics.clear()
    peer.wait(lambda: any(map(condition, reports(peer))), what=what)
    return next(filter(condition, reports(peer)))


def px(report):
    return float(next((v.value for v in report.values if v.key == "trace divergence [px]"), "nan"))


def act(peer, arm, instruction="slide"):
    arm.home()
    assert peer.set_instruction(instruction).accepted


def test_it_says_why_it_is_off(peer, arm):
    """Without an instruction, and then without CameraInfo, nothing is compared, and both are no fault."""
    peer.wait(lambda: reports(peer), what="a report")
    assert "nothing is acted on" in reports(peer)[-1].message
    act(peer, arm)
    report = wait_for(peer, lambda one: "CameraInfo" in one.message, "the reason")
    assert (DiagnosticStatus.OK, []) == (report.level, report.values)
    arm.is_calibrated = True


def test_an_arm_that_moves_as_told_is_quiet(peer, arm):
    """The divergence of an arm that makes every action is a small part of its motion."""
    act(peer, arm)
    moved_px = NUM_STEPS * np.linalg.norm(cells_per_step()) * SIZE_PX / 256
    wait_for(peer, lambda one: one.level == DiagnosticStatus.OK and px(one) < 0.3 * moved_px, "a small divergence")


def test_an_arm_that_is_held_is_told_of(peer, arm):
    """Two horizons after it was stopped, the diagnostics warn with the distance; let go, they are quiet again."""
    mean_px = np.linalg.norm(cells_per_step()) * SIZE_PX / 256 * np.arange(1, NUM_STEPS + 1).mean()
    act(peer, arm)
    wait_for(peer, lambda one: one.level == DiagnosticStatus.OK and px(one) >= 0.0, "a comparison")
    arm.is_held = True
    held = 0.8 * mean_px, 1.2 * mean_px
    wait_for(peer, lambda one: one.level == DiagnosticStatus.WARN and held[0] < px(one) < held[1], "the warning")
    arm.is_held = False
    wait_for(peer, lambda one: one.level == DiagnosticStatus.OK and px(one) >= 0.0, "the end of the warning")


def test_predicted_traces_are_shown(peer, arm):
    """The topic has the tool's trace in the camera's pixels, while the arm acts and nobody asked."""
    predicted = peer.listen(interface.PREDICTED_TRACES)
    act(peer, arm)
    peer.wait(lambda: predicted, what="a trace")
    (trace,) = predicted[-1].traces
    assert (NUM_STEPS + 1, "image") == (len(trace.x_px), predicted[-1].camera)
    moved = np.array([trace.x_px[-1] - trace.x_px[0], trace.y_px[-1] - trace.y_px[0]])
    np.testing.assert_allclose(NUM_STEPS * cells_per_step() * SIZE_PX / 256, moved, atol=1.0)


def test_a_person_is_answered_while_the_arm_acts_and_is_watched(peer, arm):
    """A quick answer is found between actions, goes before the watch's own question, and stops no action."""
    act(peer, arm)
    peer.wait(peer.asks.server_is_ready, what="the action server")
    before = len(peer.commands)
    handle = peer.future(peer.asks.send_goal_async(Ask.Goal(question="What is this?")))
    assert "A carrot." == peer.future(handle.get_result_async()).result.text
    peer.wait(lambda: len(peer.commands) > before + 3, what="actions")
    wait_for(peer, lambda one: px(one) >= 0.0, "a comparison")


def test_a_policy_that_predicts_nothing_is_not_asked(peer, arm):
    """A checkpoint that was not trained on traces turns the watch off, and talks all the same."""
    assert peer.transition("deactivate")
    assert peer.transition("cleanup")
    assert set_checkpoint(peer, peer.blind).successful
    peer.make_active()
    act(peer, arm)
    wait_for(peer, lambda one: "not trained to predict traces" in one.message, "the reason")
