"""Checks of the ROS installation, each provoked to fail."""

import importlib
from pathlib import Path

import pytest

from magma_ros.doctor import ros_setup
from magma_ros.doctor.finding import Verdict
from magma_ros.sim.processes import graph_environment


def refuse(name):
    raise ImportError(f"No module named {name!r}")


def test_this_environment_has_ros_middleware_and_messages():
    """The real rclpy, its middleware and our built messages are found."""
    for found in (ros_setup.distribution({}), ros_setup.middleware({"ROS_DOMAIN_ID": "7"}), ros_setup.messages()):
        assert found.verdict is Verdict.OK, found
    assert "rmw_fastrtps_cpp, domain 7, range SUBNET" == ros_setup.middleware({"ROS_DOMAIN_ID": "7"}).found
    assert "EndEffectorDelta" in ros_setup.messages().found


def test_what_cannot_be_imported_fails_with_its_cure():
    """Without rclpy, without a middleware and without built messages there is a line on what to run."""
    findings = [ros_setup.distribution({}, refuse), ros_setup.middleware({}, refuse), ros_setup.messages(refuse)]
    assert [Verdict.FAIL] * 3 == [found.verdict for found in findings]
    assert "source /opt/ros/jazzy/setup.bash" in findings[0].cure
    assert "No module named 'rclpy.utilities'" in findings[1].found
    assert "colcon build" in findings[2].cure


def test_another_distribution_warns():
    """A sourced Humble is named, because nothing here was tested with it."""
    found = ros_setup.distribution({"ROS_DISTRO": "humble"}, importlib.import_module)
    assert (Verdict.WARN, "ROS_DISTRO is humble") == (found.verdict, found.found)


def test_a_graph_that_the_whole_network_can_command_warns():
    """Domain 0 without a limit on discovery is open to everybody."""
    assert ros_setup.middleware({}).verdict is Verdict.WARN
    assert ros_setup.middleware({"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}).verdict is Verdict.OK


def test_the_profile_of_the_launch_files_passes():
    """What the demo sets is what the doctor wants."""
    environment = graph_environment()
    profile, malloc = ros_setup.transport_profile(environment), ros_setup.malloc_settings(environment)
    assert (Verdict.OK, Verdict.OK) == (profile.verdict, malloc.verdict)
    assert "segment of 32 MiB" in profile.found


@pytest.mark.parametrize("content", ["<profiles/>", "<segment_size>524288</segment_size>"])
def test_a_profile_with_a_small_segment_warns(tmp_path, content):
    """A file that leaves Fast DDS's 512 kB loses pictures all the same."""
    path = tmp_path / "profile.xml"
    path.write_text(content)
    found = ros_setup.transport_profile({ros_setup.PROFILE: str(path)})
    assert found.verdict is Verdict.WARN
    assert "segment_size is" in found.found


def test_a_profile_that_is_not_set_not_there_or_under_the_ignored_name_is_told_apart():
    """Each mistake has its own line; another middleware needs none of it."""
    unset = ros_setup.transport_profile({})
    ignored = ros_setup.transport_profile({ros_setup.IGNORED_PROFILE: "x.xml"})
    gone = ros_setup.transport_profile({ros_setup.PROFILE: "/nowhere/x.xml"})
    other = ros_setup.transport_profile({"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"})
    verdicts = [found.verdict for found in (unset, ignored, gone, other)]
    assert [Verdict.WARN, Verdict.WARN, Verdict.FAIL, Verdict.OK] == verdicts
    assert "which Fast DDS 2.14 ignores" in ignored.found
    assert "which" not in unset.found
    path = unset.cure.partition("=")[2]
    assert Path(path).is_file()


def test_malloc_settings_that_are_missing_are_listed():
    """The cure holds just what is not set yet."""
    found = ros_setup.malloc_settings({"MALLOC_ARENA_MAX": "1"})
    assert found.verdict is Verdict.WARN
    assert "2 of 3" in found.found
    assert "MALLOC_ARENA_MAX" not in found.cure
    assert "MALLOC_TRIM_THRESHOLD_=268435456" in found.cure
