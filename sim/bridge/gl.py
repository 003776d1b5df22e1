"""The choice of a headless OpenGL backend for MuJoCo: EGL, else OSMesa."""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable

from magma_ros.errors import EnvError

DEBIAN_PACKAGES = "libegl1 libegl-mesa0 libgl1-mesa-dri libosmesa6"
_EGL_PLATFORM_DEVICE_EXT = 0x313F
_MAX_DEVICES = 16


def egl_works() -> bool:
    """Whether some EGL device opens without a display server, as MuJoCo's own EGL context needs."""
    try:
        egl = ctypes.CDLL("libEGL.so.1")
    except OSError:
        return False
    egl.eglGetProcAddress.restype = ctypes.c_void_p
    query, get_display = (egl.eglGetProcAddress(n) for n in (b"eglQueryDevicesEXT", b"eglGetPlatformDisplayEXT"))
    if not (query and get_display):
        return False
    devices, count = (ctypes.c_void_p * _MAX_DEVICES)(), ctypes.c_int()
    query_devices = ctypes.CFUNCTYPE(ctypes.c_uint, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(query)
    if not query_devices(_MAX_DEVICES, ctypes.addressof(devices), ctypes.addressof(count)):
        return False
    display_of = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p)(get_display)
    egl.eglInitialize.argtypes = [ctypes.c_void_p] * 3
    displays = (display_of(_EGL_PLATFORM_DEVICE_EXT, devices[i], None) for i in range(count.value))
    return any(display and egl.eglInitialize(display, None, None) for display in displays)


def osmesa_works() -> bool:
    """Whether OSMesa's library loads."""
    for name in ("libOSMesa.so.8", "libOSMesa.so.6", "libOSMesa.so"):
        try:
            ctypes.CDLL(name)
        except OSError:
            continue
        return True
    return False


def _load_triton_first() -> None:
    """Import Triton, which CUDA builds of torch bring, before any OpenGL library.

    Both it and Mesa carry an LLVM; in the other order Triton's import, and with it that of transformers, ends the
    process with a segmentation fault (triton of torch 2.13, Mesa 22.3).
    """
    if importlib.util.find_spec("triton") is not None:
        importlib.import_module("triton")


def prefer_headless_gl(
    *, has_egl: Callable[[], bool] = egl_works, has_osmesa: Callable[[], bool] = osmesa_works
) -> str | None:
    """Set `MUJOCO_GL` to "egl", else "osmesa", unless it is set; the backend in force, or None when there is none."""
    _load_triton_first()
    if not os.environ.get("MUJOCO_GL"):
        chosen = "egl" if has_egl() else "osmesa" if has_osmesa() else None
        if chosen is None:
            return None
        os.environ["MUJOCO_GL"] = chosen
        if "mujoco.gl_context" in sys.modules:  # MuJoCo was there first and has looked already: let it look again
            importlib.reload(sys.modules["mujoco.gl_context"])
    return os.environ["MUJOCO_GL"].lower()


def require_gl() -> str:
    """The headless backend in force.

    Raises:
        EnvError: `MUJOCO_GL` is not set and neither backend works.
    """
    chosen = prefer_headless_gl()
    if chosen is None:
        raise EnvError(
            "no headless OpenGL: neither EGL nor OSMesa works here; on Debian or Ubuntu install them with "
            f"`apt-get install -y --no-install-recommends {DEBIAN_PACKAGES}`"
        )
    return chosen
