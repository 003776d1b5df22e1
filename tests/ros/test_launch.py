"""The launch files, performed with a small stand-in where ROS 2's own launch is not installed."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest
from std_srvs.srv import Trigger

from magma_ros.ros import interface

ROOT = Path(__file__).resolve().parents[2]
STAND_IN = Path(__file__).with_name("launch_stand_in")
BRINGUP, DEMO, RECORD, TELEOP = (
    ROOT / "launch" / f"{name}.launch.py" for name in ("bringup", "demo", "record", "teleop")
)
ARGUMENTS = {
    BRINGUP: {
        *("arm", "checkpoint", "remote", "camera", "image_transport", "instruction", "device", "dtype", "quantization"),
        *("embodiment", "dry_run", "speed_scale", "namespace", "use_sim_time", "params_file", "autostart", "log_level"),
        *("motion_profile", "rviz"),
    },
    RECORD: {
        *("arm", "camera", "image_transport", "output", "episodes", "min_free_gib", "namespace", "use_sim_time"),
        *("params_file", "log_level"),
    },
    TELEOP: {
        *("arm", "device", "joystick", "script", "speed_m_s", "speed_rad_s", "instruction", "operator", "terminal"),
        *("namespace", "use_sim_time", "params_file", "log_level"),
    },
}
LAUNCHING = "magma_ros.ros.launching"
ARGUMENTS[DEMO] = {"checkpoint", "namespace", "instruction", "seed", "rviz", "log_level"} | ARGUMENTS[BRINGUP]


def has_real_launch():
    """Whether ROS 2's launch imports; our own folder `launch` looks like an empty package of that name."""
    return importlib.util.find_spec("launch_ros") is not None


pytestmark = pytest.mark.skipif(has_real_launch(), reason="ROS 2's own launch is here: `ros2 launch` is the test")


@pytest.fixture
def stand_in(monkeypatch):
    """The stand-in's `perform` module, importable for the time of one test."""
    monkeypatch.syspath_prepend(str(STAND_IN))
    spec = importlib.util.spec_from_file_location("launch_stand_in_perform", STAND_IN / "perform.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    for name in [n for n in sys.modules if n.split(".")[0] in ("launch", "launch_ros") or n == LAUNCHING]:
        del sys.modules[name]


@pytest.mark.parametrize(("path", "expected"), ARGUMENTS.items(), ids=lambda value: getattr(value, "name", ""))
def test_every_argument_is_described(stand_in, path, expected):
    """`ros2 launch --show-args` has a sentence for each argument, and the arguments are those that are documented."""
    declared = stand_in.perform(path, share=ROOT, arm="sim", checkpoint="/somewhere").declared
    assert expected == set(declared)
    assert [] == [name for name, argument in declared.items() if len(argument.description or "") < 10]


def test_the_nodes_are_told_everything_by_arguments(stand_in):
    """Each argument of bringup.launch.py reaches the nodes that it is for, with its type."""
    context = stand_in.perform(
        BRINGUP,
        share=ROOT,
        arm="/robots/arm.yaml",
        checkpoint="/checkpoints/mine",
        camera="/wrist/image",
        image_transport="compressed",
        instruction="12",
        device="cuda:0",
        dtype="bfloat16",
        quantization="int8",
        embodiment="bridge_widowx",
        dry_run="true",
        speed_scale="0.1",
        namespace="left",
        use_sim_time="true",
        params_file="/robots/params.yaml",
        autostart="false",
        log_level="debug",
    )
    common = {"arm": "/robots/arm.yaml", "use_sim_time": True}
    camera = {"camera_topic": "/wrist/image", "image_transport": "compressed"}
    policy = {
        "checkpoint": "/checkpoints/mine",
        "instruction": "12",
        "device": "cuda:0",
        "dtype": "bfloat16",
        "quantization": "int8",
        "embodiment": "bridge_widowx",
        "autostart": False,
    }
    motion = {"dry_run": True, "speed_scale": 0.1, "autostart": False}
    assert {
        "policy_node": common | camera | policy,
        "motion_node": common | motion,
        "view_node": common | camera,
    } == {node["name"]: node["parameters"] for node in context.nodes}
    assert {("left", ("/robots/params.yaml",), ("--log-level", "debug"))} == {
        (node["namespace"], tuple(node["files"]), tuple(node["ros_arguments"])) for node in context.nodes
    }


def test_every_parameter_that_a_launch_file_sets_exists(stand_in):
    """No argument reaches a node that does not declare it: rclpy would drop it without a word."""
    tables = {
        "policy_node": interface.POLICY_PARAMETERS,
        "motion_node": interface.MOTION_PARAMETERS,
        "view_node": interface.VIEW_PARAMETERS,
        "recorder_node": interface.RECORDER_PARAMETERS,
        "teleop_node": interface.TELEOP_PARAMETERS,
        "arm_node": interface.ARM_PARAMETERS,
    }
    for path in ARGUMENTS:
        nodes = stand_in.perform(path, share=ROOT, arm="sim", checkpoint="/somewhere").nodes
        for node in (node for node in nodes if node["package"] == "magma_ros"):
            names = {row.name for row in tables[node["executable"]]} | {"use_sim_time"}
            assert set(node["parameters"]) <= names, node["executable"]


def test_a_server_goes_before_a_checkpoint(stand_in):
    """With `remote` the policy node asks that server."""
    context = stand_in.perform(BRINGUP, share=ROOT, arm="sim", checkpoint="/mine", remote="wss://host:8000")
    assert context.nodes[0]["parameters"]["checkpoint"] == "wss://host:8000"


def test_the_arm_must_be_named(stand_in):
    """bringup.launch.py has no default arm: nobody's robot is driven with the simulator's limits."""
    with pytest.raises(RuntimeError, match="arm"):
        stand_in.perform(BRINGUP, share=ROOT, checkpoint="/mine")


def test_teleoperation_starts_what_the_device_needs(stand_in):
    """A joystick has its driver, a keyboard a terminal, and the launch ends with the teleoperation."""
    started = {
        device: stand_in.perform(TELEOP, share=ROOT, arm="fr3", device=device, speed_m_s="0.1", instruction="12").nodes
        for device in ("joystick", "keyboard", "script")
    }
    assert ["joy_node", "teleop_node"] == [node["executable"] for node in started["joystick"]]
    assert ["xterm -e", ""] == [started[device][-1]["prefix"] for device in ("keyboard", "script")]
    assert [1, 1] == [len(started[device]) for device in ("keyboard", "script")]
    told = started["keyboard"][0]["parameters"]
    assert (0.1, "12", "keyboard") == (told["speed_m_s"], told["instruction"], told["device"])
    assert started["keyboard"][0]["ends_all"]


def test_rviz_starts_only_when_it_is_wanted(stand_in):
    """RViz gets our view, which is a file that exists."""
    assert "rviz2" not in {node["name"] for node in stand_in.perform(BRINGUP, share=ROOT, arm="sim").nodes}
    (rviz,) = [n for n in stand_in.perform(BRINGUP, share=ROOT, arm="sim", rviz="true").nodes if n["name"] == "rviz2"]
    assert ("rviz2", "-d") == (rviz["package"], rviz["arguments"][0])
    assert Path(rviz["arguments"][1]).is_file()


def test_what_the_user_set_for_the_transport_stays(stand_in, monkeypatch):
    """Our transport profile is used only where the user has chosen none."""
    ours = stand_in.perform(BRINGUP, share=ROOT, arm="sim").environment
    assert Path(ours["FASTRTPS_DEFAULT_PROFILES_FILE"]).is_file()
    monkeypatch.setenv("FASTRTPS_DEFAULT_PROFILES_FILE", "/mine.xml")
    theirs = stand_in.perform(BRINGUP, share=ROOT, arm="sim").environment
    assert theirs["FASTRTPS_DEFAULT_PROFILES_FILE"] == "/mine.xml"


def test_the_motion_node_has_a_transport_without_shared_memory(stand_in):
    """Its Fast DDS profile is its own, names UDP alone, and may be replaced."""
    nodes = {node["name"]: node for node in stand_in.perform(BRINGUP, share=ROOT, arm="sim").nodes}
    profile = Path(nodes["motion_node"]["environment"]["FASTRTPS_DEFAULT_PROFILES_FILE"]).read_text()
    assert ["UDPv4"] == re.findall("<type>(.*)</type>", profile)
    assert {} == nodes["policy_node"]["environment"]
    nodes = stand_in.perform(BRINGUP, share=ROOT, arm="sim", motion_profile="/mine.xml").nodes
    assert "/mine.xml" == nodes[1]["environment"]["FASTRTPS_DEFAULT_PROFILES_FILE"]


def test_the_demo_starts_all_nodes_with_the_shipped_checkpoint(stand_in):
    """demo.launch.py starts the simulated arm and its bring-up, and ends with the arm."""
    context = stand_in.perform(DEMO, share=ROOT)
    assert ["policy_node", "motion_node", "view_node", "arm_node"] == [node["executable"] for node in context.nodes]
    assert [False, False, False, True] == [node["ends_all"] for node in context.nodes]
    assert context.nodes[0]["parameters"]["checkpoint"] == f"{ROOT}/checkpoints/magma-tiny-talking"
    assert context.nodes[0]["parameters"]["instruction"] == "put carrot on plate"
    assert {"sim"} == {node["parameters"]["arm"] for node in context.nodes[:3]}


def test_two_arms_run_in_one_graph_and_end_with_sigint(stand_in, peer):
    """The nodes of demo.launch.py, started twice in two namespaces, move each its own arm; a halt stops only one."""
    programs = {
        "arm_node": [str(ROOT / "scripts" / "arm_node")],
        "motion_node": [str(ROOT / "scripts" / "motion_node")],
        "policy_node": [str(Path(__file__).with_name("scripted_policy_node.py"))],
    }
    script, commands, children = str(peer.write_script()), {}, []
    for side in ("left", "right"):
        folder = peer.folder / side
        folder.mkdir()
        context = stand_in.perform(DEMO, share=ROOT, namespace=side, checkpoint=script)
        children += [
            peer.start_with(
                f"{side}_{node['name']}",
                [*programs[node["executable"]], *stand_in.arguments_of(node, folder)],
                context.environment | node["environment"],
            )
            for node in context.nodes
            if node["executable"] in programs
        ]
        commands[side] = peer.listen_in(side, "ee_delta")
    for side, found in commands.items():
        peer.wait(lambda found=found: len(found) >= 2, timeout_s=60, what=f"commands of the {side} arm")
    assert peer.call(Trigger, "/left/emergency_stop").success
    peer.spin(0.3)
    counts = {side: len(found) for side, found in commands.items()}
    peer.wait(lambda: len(commands["right"]) >= counts["right"] + 2, what="the right arm's commands after the halt")
    assert counts["left"] == len(commands["left"])
    assert [0] * 6 == [child.stop() for child in reversed(children)]
