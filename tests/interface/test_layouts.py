"""Layouts of RViz and Foxglove, whose programs are not here: they are parsed, and compared with the interface table."""

import json
from pathlib import Path

import pytest
import yaml

from magma_ros.msg import EndEffectorDelta, MotionStatus, PolicyStatus
from magma_ros.ros import endpoints, interface

CONFIG = Path(__file__).parents[2] / "config"
RVIZ = yaml.safe_load((CONFIG / "rviz/magma_ros.rviz").read_text())
FOXGLOVE = json.loads((CONFIG / "foxglove/magma_ros.json").read_text())
TOPICS = {row.name.lstrip("/"): row for row in vars(interface).values() if isinstance(row, endpoints.Topic)}
SERVICES = {row.name for row in vars(interface).values() if isinstance(row, endpoints.Service)}
SHOWN = {"camera/image_raw", "annotated/image_raw", "planned_motion", "trace_markers", "setpoint"}
RVIZ_MESSAGES = {"MarkerArray": "MarkerArray", "Pose": "PoseStamped", "Image": "Image"}
DISPLAYS = [display for display in RVIZ["Visualization Manager"]["Displays"] if "Topic" in display]


def paths():
    """Every topic, with its field if any, that a Foxglove panel names."""
    for panel in FOXGLOVE["configById"].values():
        yield from panel.get("topics", {})
        yield from (path["value"] for path in panel.get("paths", []))
        named = [panel.get(key) for key in ("topicToRender", "topicPath", "topicName")]
        yield from filter(None, [*named, panel.get("imageMode", {}).get("imageTopic")])


def test_rviz_names_topics_of_the_table_with_their_types():
    """Each display's topic is in the table, is relative, and has the type that the display draws."""
    for display in DISPLAYS:
        topic = TOPICS[display["Topic"]["Value"]]
        assert RVIZ_MESSAGES[display["Class"].partition("/")[2]] == topic.message.__name__


@pytest.mark.parametrize("display", DISPLAYS, ids=lambda display: display["Name"])
def test_rviz_asks_for_what_is_offered(display):
    """No display asks for more reliability or durability than its topic offers: it would get nothing."""
    offered = TOPICS[display["Topic"]["Value"]].offered
    assert display["Topic"]["Reliability Policy"] == "Best Effort" or offered.reliable
    assert display["Topic"]["Durability Policy"] == "Volatile" or offered.latched


def test_rviz_shows_camera_pictures_markers_and_setpoint():
    """Nothing that a person needs is left out."""
    assert {display["Topic"]["Value"] for display in DISPLAYS} >= SHOWN


def test_foxglove_names_topics_and_fields_of_the_table():
    """Each topic is in the table, and each field is one of its message's."""
    for path in paths():
        name, _, field = path.lstrip("/").partition(".")
        fields = TOPICS[name].message.get_fields_and_field_types()
        assert not field or field in fields, path


def test_foxglove_shows_camera_pictures_markers_setpoint_status_and_diagnostics():
    """Nothing that a person needs is left out."""
    shown = {path.lstrip("/").partition(".")[0] for path in paths()}
    assert shown >= SHOWN | {"policy_status", "motion_status", "diagnostics", "policy_action"}
    assert {PolicyStatus, MotionStatus, EndEffectorDelta} <= {TOPICS[name].message for name in shown}


def test_foxglove_can_halt_and_reset():
    """The button publishes true on the emergency stop's topic with its type, and the other calls reset_halt."""
    stop, reset = (FOXGLOVE["configById"][name] for name in ("Publish!stop", "CallService!reset"))
    message = interface.EMERGENCY_STOP.message
    assert ("/emergency_stop", f"std_msgs/msg/{message.__name__}") == (stop["topicName"], stop["datatype"])
    assert message(data=True) == message(**json.loads(stop["value"]))
    assert reset["serviceName"].lstrip("/") in SERVICES


def leaves(layout):
    return [layout] if isinstance(layout, str) else leaves(layout["first"]) + leaves(layout["second"])


def test_every_foxglove_panel_is_placed_once():
    """The arrangement names each configured panel, and no other."""
    assert sorted(FOXGLOVE["configById"]) == sorted(leaves(FOXGLOVE["layout"]))
