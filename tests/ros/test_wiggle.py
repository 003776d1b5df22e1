"""`magma-ros wiggle` over the real graph: the motion node, a driver with each deliberate fault, and the report."""

import io

import pytest
import yaml
from std_srvs.srv import Trigger

from magma_ros import arms
from magma_ros.errors import MagmaRosError
from magma_ros.msg import MotionStatus
from magma_ros.ros import conversions, interface
from magma_ros.ros.wiggle import wiggle
from magma_ros.wiggle_motion import WiggleMotion

QUICK = WiggleMotion(settle_s=0.2)


@pytest.fixture(scope="module")
def graph(peer, tmp_path_factory):
    """The motion node of the stand-in, with patience for a busy machine; gives the arm's file."""
    document = arms.load("stand_in").to_dict()
    document["watch"].update(max_state_age_s=1.0, policy_timeout_s=1.0)
    document["output"]["command_timeout_s"] = 0.5
    path = tmp_path_factory.mktemp("arm") / "patient.yaml"
    path.write_text(yaml.safe_dump(document))
    peer.start("motion_node", "-m", "magma_ros.ros.motion_node", arm=path, autostart=True)
    peer.statuses = peer.listen(interface.MOTION_STATUS)
    peer.poses = peer.listen(interface.EE_POSE)
    return path


@pytest.fixture
def drive(peer, graph):
    """Starts the driver with a fault; it ends with the test."""
    children = []

    def start(fault):
        now_s = conversions.seconds(peer.node.get_clock().now().to_msg())
        children.append(peer.start("driver_node", "-m", "magma_ros.sim.driver_node", arm=graph, fault=fault))

        def own_poses():
            """What the last driver said may still be on its way, and is no pose of this one."""
            return [pose for pose in peer.poses if conversions.seconds(pose.header.stamp) > now_s]

        peer.wait(lambda: len(own_poses()) > 5, timeout_s=30, what="the driver's poses")
        peer.poses[:] = own_poses()
        assert 0.3 == pytest.approx(peer.poses[0].pose.position.x), "each driver starts at home, and is not drawn away"
        assert peer.call(Trigger, interface.RESET_HALT.name).success
        peer.wait(lambda: peer.statuses and peer.statuses[-1].state == MotionStatus.HOLDING, what="a motion node")

    yield start
    for child in children:
        assert 0 == child.stop()


def verdicts(report):
    """The end of the line of each axis."""
    rows = [line for line in report.splitlines() if " mm " in line or " deg " in line]
    return {row.split()[0]: row.partition("%   ")[2] for row in rows if "%" in row}


@pytest.mark.parametrize(
    ("fault", "axes", "expected"),
    [
        ("none", ("x", "yaw"), {"x": "ok", "yaw": "ok"}),
        ("swapped_axes", ("x", "y"), {"x": "swapped: moves y", "y": "swapped: moves x"}),
        ("wrong_sign", ("z", "yaw"), {"z": "wrong sign", "yaw": "wrong sign"}),
        ("m_as_mm", ("x",), {"x": "wrong unit: moves 0.001"}),
        ("mm_as_m", ("x", "y"), {"x": "wrong unit: moved"}),
        ("rad_as_deg", ("pitch",), {"pitch": "wrong unit: moves 0.0"}),
        ("deg_as_rad", ("roll",), {"roll": "wrong unit: moved"}),
        ("rotated_base", ("x", "y", "z"), {"x": "wrong frame", "y": "wrong frame", "z": "ok"}),
        ("dead_axis", ("y", "roll"), {"y": "no motion", "roll": "ok"}),
    ],
)
def test_every_fault_of_a_driver_is_found(drive, graph, capsys, fault, axes, expected):
    """The verdict of each axis is the fault's, and the exit status says whether all is well."""
    drive(fault)
    status = wiggle(arm=str(graph), axes=axes, motion=QUICK, yes=True)
    printed = capsys.readouterr().out
    found = verdicts(printed)
    assert list(expected) == list(found), printed
    for axis, verdict in expected.items():
        assert found[axis].startswith(verdict), printed
    assert status == int(fault != "none")


def test_a_dry_run_and_a_missing_yes_move_nothing(peer, drive, graph, capsys, monkeypatch):
    """The first says what it would do; the second is refused."""
    drive("none")
    assert 0 == wiggle(arm=str(graph), dry_run=True)
    assert "nothing was moved" in capsys.readouterr().out
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    with pytest.raises(MagmaRosError, match="not confirmed"):
        wiggle(arm=str(graph))
    peer.spin(0.2)
    assert 0.3 == pytest.approx(peer.poses[-1].pose.position.x, abs=1e-3)


def test_it_does_not_run_beside_a_policy(peer, drive, graph):
    """Another publisher of policy_action is named, and nothing moves."""
    drive("none")
    publisher = peer.node.create_publisher(interface.POLICY_ACTION.message, interface.POLICY_ACTION.name, 1)
    with pytest.raises(MagmaRosError, match=r"no other publisher, got \['peer'\]"):
        wiggle(arm=str(graph), yes=True)
    peer.node.destroy_publisher(publisher)


def test_a_halted_arm_is_not_wiggled(peer, drive, graph):
    """A halt ends it with the reason, before anything is published."""
    drive("none")
    peer.publisher(interface.EMERGENCY_STOP).publish(interface.EMERGENCY_STOP.message(data=True))
    peer.wait(lambda: peer.statuses[-1].state == MotionStatus.HALTED, what="a halt")
    with pytest.raises(MagmaRosError, match="halted: emergency_stop"):
        wiggle(arm=str(graph), yes=True)
