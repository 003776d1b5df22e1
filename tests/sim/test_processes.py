import os
import signal
import sys
from pathlib import Path

import pytest
import rclpy
from rclpy.node import Node

from magma_ros.errors import EnvError
from magma_ros.sim.faults.graph import environment
from magma_ros.sim.processes import Child, enter_graph, graph_environment, parameter_arguments, run_id


def start(tmp_path, code):
    return Child.start("child", [sys.executable, "-c", code], log=tmp_path / "logs" / "child.log")


@pytest.mark.parametrize("handler", [signal.default_int_handler, signal.SIG_IGN])
def test_a_child_ends_with_sigint(tmp_path, handler):
    """`stop` sends SIGINT, which Python turns into KeyboardInterrupt, and waits; also in a shell's background job."""
    before = signal.signal(signal.SIGINT, handler)
    try:
        check_that_a_child_ends_with_sigint(tmp_path)
    finally:
        signal.signal(signal.SIGINT, before)


def check_that_a_child_ends_with_sigint(tmp_path):
    child = start(tmp_path, "import time\nprint('up', flush=True)\ntry: time.sleep(60)\nexcept KeyboardInterrupt: pass")
    while "up" not in child.last_lines():
        child.require_alive()
    assert child.stop() == 0
    assert child.stop() == 0


def test_a_child_that_ignores_sigint_is_killed(tmp_path):
    """After the grace period it is killed by its id."""
    child = start(
        tmp_path, "import signal, time\nsignal.signal(2, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(60)"
    )
    while "up" not in child.last_lines():
        child.require_alive()
    assert child.stop(grace_s=0.2) == -9


def test_a_child_that_died_is_reported_with_the_end_of_its_log(tmp_path):
    """The error carries the status and the last lines."""
    child = start(tmp_path, "print('the reason'); raise SystemExit(3)")
    child.process.wait(10)
    with pytest.raises(EnvError, match="status 3:\nthe reason"):
        child.require_alive()


def test_the_run_s_domain_is_the_user_s_or_a_fresh_one(monkeypatch):
    """ROS_DOMAIN_ID is respected; without it a domain from 1 to 100 is taken."""
    monkeypatch.setenv("ROS_DOMAIN_ID", "42")
    assert run_id() == 42
    monkeypatch.delenv("ROS_DOMAIN_ID")
    assert 1 <= run_id() <= 100


def test_the_suite_of_faults_stays_out_of_the_user_s_domain(monkeypatch):
    """A chosen domain may have a real arm in it: faults are injected into another one."""
    monkeypatch.setattr("magma_ros.sim.faults.graph.fresh_id", lambda: 7)
    monkeypatch.setenv("ROS_DOMAIN_ID", "42")
    assert "7" == environment()["ROS_DOMAIN_ID"]


def test_the_user_s_own_transport_profile_and_memory_settings_stay(monkeypatch):
    """What is set already is used, the rest is ours, and the graph stays on this machine in any case."""
    monkeypatch.setattr(os, "environ", dict(os.environ))
    ours = graph_environment()
    for name in ours:
        os.environ.pop(name, None)
    chosen = {"FASTRTPS_DEFAULT_PROFILES_FILE": "mine.xml", "MALLOC_ARENA_MAX": "4", "ROS_DOMAIN_ID": "42"}
    os.environ.update(chosen | {"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"})
    enter_graph()
    assert ours | chosen == {name: os.environ[name] for name in ours}


@pytest.mark.parametrize(
    "value",
    [
        "2000",
        "1e3",
        "true",
        "null",
        "",
        "~",
        'it\'s: "quoted" #1',
        "two\nlines",
        "Möhre 🥕",
        True,
        False,
        3,
        -0.5,
        1e-7,
    ],
)
def test_a_node_gets_the_value_that_it_is_told(value):
    """Text that looks like a number stays text, and numbers stay numbers."""
    context = rclpy.Context()
    rclpy.init(args=["--ros-args", *parameter_arguments({"it": value})], context=context)
    try:
        node = Node("told", context=context, automatically_declare_parameters_from_overrides=True)
        assert (type(value), value) == (type(node.get_parameter("it").value), node.get_parameter("it").value)
        node.destroy_node()
    finally:
        rclpy.shutdown(context=context)


def test_a_path_is_told_as_text():
    """A checkpoint's folder may be named by its step."""
    assert ["-p", 'checkpoint:="2000"'] == parameter_arguments({"checkpoint": Path("2000")})
