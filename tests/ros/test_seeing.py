import numpy as np
import pytest
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, Pose
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from magma_ros import arms
from magma_ros.camera_model import CameraModel
from magma_ros.msg import MotionStatus, PolicyStatus, PredictedTraces, Trace
from magma_ros.ros.seeing import ARROW_GAIN, caption, planned_motion, trace_markers
from tests.examples import make_action

SIM = arms.load("sim")
STAMP = Time(sec=7)
POSE = Pose(position=Point(x=0.3, y=0.1, z=0.2))
ACTING = PolicyStatus(
    state=PolicyStatus.ACTING, instruction="put", step=3, step_budget=60, observation_age_s=0.2, detail="slow"
)
MOVING = MotionStatus(state=MotionStatus.MOVING, speed_m_s=0.083)


def test_the_caption_tells_what_is_done():
    """Instruction, step, speed and latency are those of the two status messages."""
    said = caption(ACTING, MOVING)
    assert ("put", "ACTING 3/60", "MOVING 0.08 m/s") == (said.instruction, said.policy, said.motion)
    assert (0.2, True, False, False) == (said.latency_s, said.is_moving, said.is_halted, said.is_dry_run)


def test_the_caption_tells_why_nothing_moves():
    """A stop's reason stands beside the state, and the motion node's sentence goes before the policy's."""
    stopped = PolicyStatus(state=PolicyStatus.STOPPED, stop_reason="frozen_camera", detail="same picture")
    halted = MotionStatus(state=MotionStatus.HALTED, reason="emergency_stop", detail="pressed", dry_run=True)
    said = caption(stopped, halted)
    assert ("STOPPED frozen_camera", "HALTED emergency_stop", "pressed") == (said.policy, said.motion, said.detail)
    assert (None, True, True, False) == (said.latency_s, said.is_halted, said.is_dry_run, said.is_moving)
    assert "same picture" == caption(stopped, MOVING).detail


def test_a_node_that_is_not_heard_of_is_silent():
    """Silence is shown as such, not as the last state that was heard."""
    assert ("SILENT", "SILENT") == (caption(None, None).policy, caption(None, None).motion)
    assert "SILENT" == caption(ACTING, None).motion


def markers(pose=POSE, action=None):
    made = planned_motion(SIM, pose_ee_in_base=pose, action=action, stamp=STAMP).markers
    return {marker.ns: marker for marker in made}


def test_markers_are_in_the_base_frame_and_stamped():
    """Every marker, a deletion too, has the arm's base frame and the stamp."""
    for marker in markers(action=make_action(0.01)).values():
        assert ("base_link", STAMP) == (marker.header.frame_id, marker.header.stamp)


def test_the_arrow_starts_at_the_end_effector_and_follows_the_displacement():
    """Its length is the displacement times the gain."""
    start, end = markers(action=make_action(0.01, -0.02, 0.005))["action"].points
    assert POSE.position == start
    np.testing.assert_allclose(
        ARROW_GAIN * np.array([0.01, -0.02, 0.005]), [end.x - start.x, end.y - start.y, end.z - start.z], atol=1e-12
    )


@pytest.mark.parametrize(
    ("pose", "action", "deleted"),
    [
        (POSE, None, {"action"}),
        (None, make_action(0.01), {"action", "setpoint"}),
        (POSE, make_action(0.01, frame="tool"), {"action"}),
        (POSE, make_action(np.nan), {"action"}),
        (POSE, make_action(0.01), set()),
    ],
)
def test_what_is_not_there_is_deleted(pose, action, deleted):
    """Idle, without a pose, in another frame or broken: the marker is deleted instead of left where it was."""
    assert deleted == {name for name, marker in markers(pose, action).items() if marker.action == Marker.DELETE}


def test_box_and_table_are_the_arms_limits():
    """The wire frame spans the workspace with twelve edges, and the sheet's top is at the table's height."""
    corners = np.array([[p.x, p.y, p.z] for p in markers()["workspace"].points])
    table = markers()["table"]
    assert 24 == len(corners)
    assert [list(SIM.limits.workspace.min_m), list(SIM.limits.workspace.max_m)] == [
        corners.min(axis=0).tolist(),
        corners.max(axis=0).tolist(),
    ]
    assert (np.abs(np.diff(corners.reshape(12, 2, 3), axis=1)) > 0).sum(axis=-1).tolist() == [[1]] * 12
    assert SIM.limits.table_height_m == pytest.approx(table.pose.position.z + table.scale.z / 2)


def test_what_moves_vanishes_when_nobody_deletes_it():
    """Arrow and sphere have a lifetime; the box stays."""
    made = markers(action=make_action(0.01))
    assert [1, 1, 0, 0] == [made[name].lifetime.sec for name in ("action", "setpoint", "workspace", "table")]


def test_predicted_traces_stand_before_the_camera():
    """Each line runs along the rays of its pixels, 1 m away, in the picture's frame; a broken one is left out."""
    camera = CameraModel(
        np.array([[100.0, 0.0, 31.5], [0.0, 100.0, 23.5], [0.0, 0.0, 1.0]]), np.zeros(5), width_px=64, height_px=48
    )
    traces = [Trace(number=3, x_px=[31.5, 41.5], y_px=[23.5, 13.5]), Trace(number=4, x_px=[1.0], y_px=[])]
    predicted = PredictedTraces(header=Header(stamp=STAMP, frame_id="eye"), traces=traces)
    (marker,) = trace_markers(predicted, camera).markers
    assert (3, "eye", Marker.LINE_STRIP) == (marker.id, marker.header.frame_id, marker.type)
    np.testing.assert_allclose([[0.0, 0.0, 1.0], [0.1, -0.1, 1.0]], [[p.x, p.y, p.z] for p in marker.points], atol=1e-9)
    assert marker.lifetime.sec > 0
