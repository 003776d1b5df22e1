import resource
import subprocess
import sys
from pathlib import Path

from bootstrap import EXTRAS, STAND_IN_MARK, Stamp, is_sound, lock_files, package_sources, pip_runs, stand_ins_to_build
from control_msgs.action import GripperCommand, ParallelGripperCommand
from moveit_msgs.srv import ServoCommandType
from tf2_msgs.msg import TFMessage

ROOT = Path(__file__).parents[2]
WARM_START_S = 1.0


def test_a_warm_start_is_silent_and_fast() -> None:
    """When nothing changed, the set-up prints nothing and takes less than a second of processor time."""
    command = [sys.executable, "-S", str(ROOT / "tools" / "bootstrap.py"), "--skip-packages"]
    subprocess.run(command, check=True, capture_output=True)
    before_s = processor_time_of_children_s()
    second = subprocess.run(command, check=True, capture_output=True)
    assert processor_time_of_children_s() - before_s < WARM_START_S
    assert (b"", b"") == (second.stdout, second.stderr)


def processor_time_of_children_s() -> float:
    """User and system time of all ended child processes [s]; unlike wall time, it does not depend on the others."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_a_stamp_is_current_until_its_inputs_change(tmp_path) -> None:
    """A step is skipped exactly while the bytes of its sources and its salt are those it was done with."""
    source = tmp_path / "requirements.txt"
    source.write_text("numpy==2.4.6\n")
    assert not Stamp(tmp_path / "stamp", [source], salt="here").is_current()
    Stamp(tmp_path / "stamp", [source], salt="here").write()
    assert Stamp(tmp_path / "stamp", [source], salt="here").is_current()
    assert not Stamp(tmp_path / "stamp", [source], salt="elsewhere").is_current()
    source.write_text("numpy==2.4.7\n")
    assert not Stamp(tmp_path / "stamp", [source], salt="here").is_current()


def test_an_environment_that_was_moved_or_cut_short_is_not_sound(tmp_path) -> None:
    """An environment made for another folder, or without its settings, is made anew instead of being used."""
    assert not is_sound(tmp_path)
    (tmp_path / "pyvenv.cfg").write_text("command = python3 -m venv /somewhere/else/.venv\n")
    assert not is_sound(tmp_path)


def test_every_requirement_is_pinned() -> None:
    """Each line of each lock file names one exact version."""
    files = [path for extra in ("", *EXTRAS) for path in lock_files(ROOT, extra=extra)]
    lines = [line for path in files for line in path.read_text().splitlines() if line and not line.startswith("#")]
    assert 12 == len(files)
    assert [] == [line for line in lines if "==" not in line or line.count("==") != 1]
    assert len(lines) == len({line.split("==")[0] for line in lines})


def test_packages_that_disagree_with_the_rest_are_installed_last_and_alone() -> None:
    """All lock files but one are resolved together; its packages come after them, without their dependencies."""
    for extra, package in (("", "openpi-client=="), ("libero", "robosuite==")):
        files = {str(path) for path in lock_files(ROOT, extra=extra)}
        first, second = pip_runs(lock_files(ROOT, extra=extra))
        assert ["--no-deps", "-r"] == second[:2]
        assert files - {second[2]} == set(first) - {"-r"}
        assert second[2] in files
        assert package in Path(second[2]).read_text()
    assert [["-r", str(ROOT / "requirements" / "ray.txt")]] == pip_runs(lock_files(ROOT, extra="ray"))


def test_extras_are_no_part_of_the_ordinary_set_up() -> None:
    """Their lock files decide nothing about the packages that `make demo` and `make check` install."""
    assert ["libero.txt", "libero_no_deps.txt"] == [path.name for path in lock_files(ROOT, extra="libero")]
    for extra in ("ray", "docs"):
        assert [f"{extra}.txt"] == [path.name for path in lock_files(ROOT, extra=extra)]
    ordinary = {path.name for path in package_sources(ROOT)}
    assert not {"libero.txt", "libero_no_deps.txt", "ray.txt", "docs.txt"} & ordinary
    assert {"sim.txt", "finetune.txt"} < ordinary


def test_a_real_message_package_is_not_replaced_by_a_stand_in(tmp_path) -> None:
    """Stand-ins are built where the environment lacks the package or has ours; somebody else's stays."""
    names = ["control_msgs", "moveit_msgs", "tf2_msgs"]
    assert names == stand_ins_to_build(ROOT, tmp_path)
    for name, text in (("control_msgs", STAND_IN_MARK), ("tf2_msgs", "the real one")):
        (tmp_path / "share" / name).mkdir(parents=True)
        (tmp_path / "share" / name / "package.xml").write_text(text)
    assert ["control_msgs", "moveit_msgs"] == stand_ins_to_build(ROOT, tmp_path)
    marked = [STAND_IN_MARK in (ROOT / "tests/interface_packages" / name / "package.xml").read_text() for name in names]
    assert [True] * 3 == marked


def test_stand_ins_have_the_fields_that_robots_use() -> None:
    """A goal, a service call and a transform that our code writes for the stand-ins fit upstream's definitions."""
    assert {"command": "control_msgs/GripperCommand"} == GripperCommand.Goal.get_fields_and_field_types()
    parallel = ParallelGripperCommand
    assert {"command": "sensor_msgs/JointState"} == parallel.Goal.get_fields_and_field_types()
    assert ["state", "stalled", "reached_goal"] == list(parallel.Result.get_fields_and_field_types())
    assert {"state": "sensor_msgs/JointState"} == parallel.Feedback.get_fields_and_field_types()
    assert {"command_type": "int8"} == ServoCommandType.Request.get_fields_and_field_types()
    assert (0, 1, 2) == tuple(getattr(ServoCommandType.Request, name) for name in ("JOINT_JOG", "TWIST", "POSE"))
    assert {"transforms": "sequence<geometry_msgs/TransformStamped>"} == TFMessage.get_fields_and_field_types()
