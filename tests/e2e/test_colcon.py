"""What a ROS user has after `colcon build`; one build for the whole file, about a minute on two cores."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENVIRONMENT = Path(sys.prefix)
NOT_SOURCE = (".git", ".venv", "build", "install", "log", "outputs", "__pycache__", ".*_cache", ".hypothesis")
BUILD_S = 420
ASK_STATE = """
import rclpy
from lifecycle_msgs.srv import GetState
rclpy.init()
node = rclpy.create_node("asker")
client = node.create_client(GetState, "policy_node/get_state")
assert client.wait_for_service(timeout_sec=60), node.get_service_names_and_types()
future = client.call_async(GetState.Request())
rclpy.spin_until_future_complete(node, future, timeout_sec=30)
print(future.result().current_state.label)
node.destroy_node()
rclpy.shutdown()
"""

pytestmark = pytest.mark.timeout(BUILD_S + 60)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Path:
    """A workspace in which a copy of this tree was built with plain `colcon build`."""
    workspace = tmp_path_factory.mktemp("workspace")
    shutil.copytree(ROOT, workspace / "src" / "magma_ros", ignore=shutil.ignore_patterns(*NOT_SOURCE))
    build = ["colcon", "build", "--cmake-args", "-GNinja", f"-DPython3_EXECUTABLE={sys.executable}"]
    done = subprocess.run(
        build, cwd=workspace, env=clean(), capture_output=True, text=True, timeout=BUILD_S, check=False
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    return workspace


def clean() -> dict[str, str]:
    """The environment of a new terminal in which only this test's ROS installation (the wheels) is active."""
    passed_on = ("HOME", "LANG", "ROS_AUTOMATIC_DISCOVERY_RANGE", "ROS_DOMAIN_ID", "TMPDIR")
    kept = {name: os.environ[name] for name in passed_on if name in os.environ}
    path = os.pathsep.join([str(ENVIRONMENT / "bin"), os.environ["PATH"]])
    return {**kept, "PATH": path, "AMENT_PREFIX_PATH": str(ENVIRONMENT), "CMAKE_PREFIX_PATH": str(ENVIRONMENT)}


def sourced(workspace: Path, command: list[str]) -> list[str]:
    """A command line that runs a command with the workspace's install space sourced."""
    return ["bash", "-c", f"source {shlex.quote(str(workspace))}/install/setup.bash && exec {shlex.join(command)}"]


def output(workspace: Path, *command: str) -> str:
    """What a command prints with the install space sourced."""
    line = sourced(workspace, list(command))
    done = subprocess.run(line, cwd="/", env=clean(), capture_output=True, text=True, timeout=120, check=False)
    assert 0 == done.returncode, done.stderr
    return done.stdout.strip()


def test_messages_and_modules_import_from_the_install_space(workspace) -> None:
    """A new process imports messages and all three rooms from the install space, not from the checkout."""
    modules = (
        "magma_ros.msg",
        "magma_ros.srv",
        "magma_ros.action",
        "magma_ros.types",
        "magma_ros.sim",
        "magma_ros.finetune",
    )
    code = f"import importlib\nfor name in {modules!r}: print(importlib.import_module(name).__file__)"
    files = output(workspace, "python3", "-c", code).splitlines()
    assert [str(workspace / "install")] * len(modules) == [name[: len(str(workspace / "install"))] for name in files]


def test_a_message_round_trips_through_the_installed_type_support(workspace) -> None:
    """The compiled type support serialises our messages and reads them back."""
    code = (
        "from rclpy.serialization import serialize_message as s, deserialize_message as d\n"
        "from magma_ros.msg import ActionChunk, EndEffectorDelta\n"
        "chunk = ActionChunk(embodiment='arm', actions=[EndEffectorDelta(gripper_opening=0.5)], tokens=[1, 2])\n"
        "print(d(s(chunk), ActionChunk) == chunk)"
    )
    assert "True" == output(workspace, "python3", "-c", code)


def test_ros2_finds_executables_and_shared_files(workspace) -> None:
    """What `ros2 run` and `ros2 launch` look up is there: the index entry, lib/magma_ros and share/magma_ros."""
    code = (
        "from ament_index_python.packages import get_package_prefix as prefix, get_package_share_directory as share\n"
        "print(prefix('magma_ros'), share('magma_ros'))"
    )
    prefix, share = map(Path, output(workspace, "python3", "-c", code).split())
    assert workspace / "install" / "magma_ros" == prefix
    executables = {path.name for path in (prefix / "lib" / "magma_ros").iterdir() if os.access(path, os.X_OK)}
    nodes = {f"{name}_node" for name in ("policy", "motion", "teleop", "view", "recorder", "arm", "servo", "driver")}
    assert {"magma-ros", *nodes} == executables
    launch_files = {path.name for path in (ROOT / "launch").glob("*.launch.py")}
    assert launch_files == {path.name for path in (share / "launch").glob("*.launch.py")}
    assert (share / "config" / "fastdds.xml").is_file()


def test_the_policy_node_starts_and_stops(workspace) -> None:
    """The installed policy node starts, answers as a lifecycle node and ends with 0 on SIGINT."""
    node = workspace / "install" / "magma_ros" / "lib" / "magma_ros" / "policy_node"
    process = subprocess.Popen(sourced(workspace, [str(node)]), cwd="/", env=clean(), start_new_session=True)
    try:
        assert "unconfigured" == output(workspace, "python3", "-c", ASK_STATE).splitlines()[-1]
        process.send_signal(signal.SIGINT)
        assert 0 == process.wait(timeout=30)
    finally:
        if process.poll() is None:
            process.kill()


def test_the_command_line_starts(workspace) -> None:
    """`ros2 run magma_ros magma-ros` is the same command line as pip's."""
    program = workspace / "install" / "magma_ros" / "lib" / "magma_ros" / "magma-ros"
    started_s = time.monotonic()
    assert "eval" in output(workspace, str(program), "--help")
    assert time.monotonic() - started_s < 30
