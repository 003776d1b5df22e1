"""The launch files, performed with a small stand-in where ROS 2's own launch is not installed."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STAND_IN = Path(__file__).with_name("launch_stand_in")
FILES = [ROOT / "launch" / name for name in ("demo.launch.py", "policy.launch.py")]


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
    for name in [n for n in sys.modules if n.split(".")[0] in ("launch", "launch_ros")]:
        del sys.modules[name]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_argument_is_described(stand_in, path):
    """`ros2 launch --show-args` has a sentence for each argument."""
    declared = stand_in.perform(path, share=ROOT, checkpoint="/somewhere").declared
    assert {"checkpoint", "params_file", "namespace", "instruction", "log_level"} <= set(declared)
    assert [] == [name for name, argument in declared.items() if len(argument.description or "") < 10]


def test_the_policy_is_told_everything_by_arguments(stand_in):
    """Each argument of policy.launch.py reaches the node, with its type."""
    context = stand_in.perform(
        ROOT / "launch" / "policy.launch.py",
        share=ROOT,
        checkpoint="/checkpoints/mine",
        params_file="/robots/arm.yaml",
        namespace="left",
        instruction="12",
        camera="wrist/image",
        device="cuda:0",
        dtype="bfloat16",
        quantization="int8",
        embodiment="bridge_widowx",
        autostart="false",
        use_sim_time="true",
        log_level="debug",
    )
    (node,) = context.nodes
    assert node == {
        "executable": "policy_node",
        "name": "policy_node",
        "namespace": "left",
        "files": ["/robots/arm.yaml"],
        "parameters": {
            "checkpoint": "/checkpoints/mine",
            "instruction": "12",
            "device": "cuda:0",
            "dtype": "bfloat16",
            "quantization": "int8",
            "embodiment": "bridge_widowx",
            "autostart": False,
            "use_sim_time": True,
        },
        "remappings": [("camera/image_raw", "wrist/image")],
        "ros_arguments": ["--log-level", "debug"],
        "ends_all": False,
    }


def test_the_policy_needs_a_checkpoint(stand_in):
    """policy.launch.py has no default checkpoint: it never drives an unknown arm with magma-tiny."""
    with pytest.raises(RuntimeError, match="checkpoint"):
        stand_in.perform(ROOT / "launch" / "policy.launch.py", share=ROOT)


def test_the_demo_starts_both_nodes_with_the_shipped_files(stand_in):
    """demo.launch.py starts the arm and the policy with our parameters, transport profile and checkpoint."""
    context = stand_in.perform(ROOT / "launch" / "demo.launch.py", share=ROOT)
    assert [node["executable"] for node in context.nodes] == ["arm_node", "policy_node"]
    assert [node["ends_all"] for node in context.nodes] == [True, False]
    assert {tuple(node["files"]) for node in context.nodes} == {(f"{ROOT}/config/sim_wx250s.yaml",)}
    assert context.nodes[1]["parameters"]["checkpoint"] == f"{ROOT}/checkpoints/magma-tiny"
    assert context.nodes[1]["parameters"]["instruction"] == "put carrot on plate"
    profile = Path(context.environment["FASTRTPS_DEFAULT_PROFILES_FILE"])
    assert profile.is_file()


def test_the_demo_s_graph_runs_in_a_namespace(stand_in, peer):
    """The nodes of demo.launch.py, started as it says, move the arm of their namespace and end with SIGINT."""
    context = stand_in.perform(
        ROOT / "launch" / "demo.launch.py", share=ROOT, namespace="left", checkpoint=str(peer.write_script())
    )
    programs = {
        "arm_node": [str(ROOT / "scripts" / "arm_node")],
        "policy_node": [str(Path(__file__).with_name("scripted_policy_node.py"))],
    }
    children = [
        peer.start_with(
            node["name"],
            [*programs[node["executable"]], *stand_in.arguments_of(node, peer.folder)],
            context.environment,
        )
        for node in context.nodes
    ]
    commands = peer.listen_in("left", "ee_delta")
    peer.wait(lambda: len(commands) >= 2, timeout_s=40, what="commands in the namespace")
    assert [child.stop() for child in reversed(children)] == [0, 0]
