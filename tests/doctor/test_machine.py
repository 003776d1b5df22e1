"""Checks of the machine, each provoked to fail."""

import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

from magma_ros.doctor import machine
from magma_ros.doctor.finding import Verdict

PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"
GIB = 2**30
LEFT_OUT = ("quantization", "docs", "dev")  # for a CUDA device; for the site; for tests


def test_the_requirements_are_those_of_the_project():
    """The table that installations are compared with is that of pyproject.toml, without what no robot needs."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    extras = {name: needs for name, needs in project["optional-dependencies"].items() if name not in LEFT_OUT}
    needs = {"": project["dependencies"], **extras}
    assert {name: sorted(all_) for name, all_ in needs.items()} == {
        name: sorted(all_) for name, all_ in machine.REQUIREMENTS.items()
    }
    low, high = project["requires-python"].split(",")
    assert (low, high) == tuple(
        f"{sign}{major}.{minor}" for sign, (major, minor) in ((">=", machine.PYTHON_FROM), ("<", machine.PYTHON_BELOW))
    )


@pytest.mark.parametrize(
    ("version", "verdict"), [((3, 10, 9), "fail"), ((3, 11, 0), "ok"), ((3, 12, 9), "ok"), ((3, 13, 0), "fail")]
)
def test_a_python_that_ros_has_no_wheels_for_fails(version, verdict):
    """Only 3.11 and 3.12 pass."""
    assert verdict == machine.python_version(version).verdict


def test_the_packages_of_this_environment_fit():
    """What bootstrap installs passes, with the versions in the line."""
    findings = list(machine.packages())
    assert ["packages", *(f"packages ({extra})" for extra in machine.REQUIREMENTS if extra)] == [
        found.check for found in findings
    ]
    assert {Verdict.OK} == {found.verdict for found in findings}, findings
    assert f"mujoco {metadata.version('mujoco')}" in findings[-1].found


def test_a_missing_or_other_version_is_named_with_its_cure():
    """Another MuJoCo fails, a missing extra only warns, and a missing core package fails."""

    def installed(package):
        if package in ("scipy", "torch"):
            raise metadata.PackageNotFoundError(package)
        return {"mujoco": "3.4.0"}.get(package) or metadata.version(package)

    findings = {found.check: found for found in machine.packages(installed)}
    assert (Verdict.FAIL, "scipy>=1.13 is missing") == (findings["packages"].verdict, findings["packages"].found)
    assert (Verdict.WARN, "missing: torch>=2.6") == (
        findings["packages (model)"].verdict,
        findings["packages (model)"].found,
    )
    sim = findings["packages (sim)"]
    assert (Verdict.FAIL, "expected mujoco==3.3.2, got 3.4.0") == (sim.verdict, sim.found)
    assert "pip install 'mujoco==3.3.2'" == sim.cure


def test_an_old_version_is_older_by_its_numbers_and_not_by_its_letters():
    """10 is newer than 9, and what follows a plus sign means nothing."""
    assert machine._numbers("2.10.1+cpu") > machine._numbers("2.9")
    assert machine._numbers("2.6") <= machine._numbers("2.6.0+cu124")


def test_a_gpu_is_shown_with_its_memory_and_its_absence_warns():
    """No torch and no CUDA device warn with what works instead; a device shows free and total memory."""

    def broken():
        raise OSError("libcudart.so: cannot open shared object file")

    assert (Verdict.WARN, "torch cannot be imported: libcudart.so: cannot open shared object file") == (
        machine.gpu(broken).verdict,
        machine.gpu(broken).found,
    )
    none = SimpleNamespace(
        __version__="2.13", version=SimpleNamespace(cuda=None), cuda=SimpleNamespace(is_available=lambda: False)
    )
    assert "CPU only: torch 2.13, built for CPU only, sees no CUDA device" == machine.gpu(lambda: none).found
    cuda = SimpleNamespace(
        is_available=lambda: True,
        device_count=lambda: 1,
        mem_get_info=lambda _index: (10 * GIB, 24 * GIB),
        get_device_name=lambda _index: "RTX 4090",
    )
    seen = machine.gpu(lambda: SimpleNamespace(__version__="2.13", cuda=cuda))
    assert (Verdict.OK, "torch 2.13; cuda:0 RTX 4090, 10.0 of 24.0 GiB free") == (seen.verdict, seen.found)


def test_a_robot_needs_no_simulator():
    """Where MuJoCo is not installed nothing has to render: that is said, and is no failure."""
    found = machine.mujoco_gl("", is_installed=False)
    assert (Verdict.WARN, "MuJoCo is not installed") == (found.verdict, found.found)
    assert "magma_ros[sim]" in found.cure


def test_some_backend_renders_here():
    """The check draws a picture for real, in another process."""
    found = machine.mujoco_gl("")
    assert found.verdict is Verdict.OK
    assert "renders" in found.found


def test_a_backend_that_does_not_render_fails_with_its_reason():
    """A MUJOCO_GL that is no backend fails for real, although another backend would do."""
    found = machine.mujoco_gl("directx")
    assert found.verdict is Verdict.FAIL
    assert "directx" in found.found
    assert found.cure.startswith("unset MUJOCO_GL")


def test_a_backend_that_hangs_is_given_up(monkeypatch):
    """A driver that never answers costs the limit and no more."""
    monkeypatch.setattr(machine, "_RENDER", "import time; time.sleep(60)")
    monkeypatch.setattr(machine, "_RENDER_LIMIT_S", 0.5)
    assert "no picture within" in machine.render_fault("egl")


@pytest.mark.parametrize(("free", "verdict"), [(0.5 * GIB, "fail"), (5 * GIB, "warn"), (50 * GIB, "ok")])
def test_a_full_disk_fails(tmp_path, free, verdict):
    """Below 1 GiB nothing can be recorded, below 10 GiB not for long."""
    assert verdict == machine.disk(tmp_path, free_bytes=free).verdict


def test_little_shared_memory_warns(tmp_path):
    """Docker's 64 MiB are too few, and so is none at all."""
    assert Verdict.WARN is machine.shared_memory(tmp_path, free_bytes=64 * 2**20).verdict
    assert Verdict.OK is machine.shared_memory(tmp_path, free_bytes=GIB).verdict
    assert Verdict.WARN is machine.shared_memory(tmp_path / "none").verdict


def test_without_ros_and_torch_the_machine_is_still_examined():
    """The checks run where rclpy and torch cannot be imported, and say so."""
    program = """
import sys
sys.modules["torch"] = sys.modules["rclpy"] = None
from magma_ros.doctor import command
print(command.examine(graph=True))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "1" == done.stdout.split()[-1]
    assert "rclpy cannot be imported" in done.stdout
    assert "torch cannot be imported" in done.stdout
