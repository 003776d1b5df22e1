"""The headless OpenGL backend is chosen before MuJoCo looks, and its absence is named."""

import os
import subprocess
import sys

import pytest

from magma_ros.errors import EnvError
from magma_ros.sim.bridge import gl


@pytest.mark.parametrize(
    ("egl", "osmesa", "expected"),
    [(True, True, "egl"), (True, False, "egl"), (False, True, "osmesa"), (False, False, None)],
)
def test_egl_comes_first(monkeypatch, egl, osmesa, expected):
    """EGL is preferred, OSMesa is the second choice, and neither gives None."""
    monkeypatch.setenv("MUJOCO_GL", "")
    monkeypatch.delitem(sys.modules, "mujoco.gl_context", raising=False)  # this process has its backend already
    assert gl.prefer_headless_gl(has_egl=lambda: egl, has_osmesa=lambda: osmesa) == expected


def test_the_user_decides(monkeypatch):
    """A `MUJOCO_GL` that is set stays as it is."""
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    assert gl.prefer_headless_gl(has_egl=lambda: True) == "osmesa"


def test_missing_libraries_are_named(monkeypatch):
    """Without any backend the error names the Debian packages."""
    monkeypatch.setenv("MUJOCO_GL", "")
    monkeypatch.setattr(gl, "prefer_headless_gl", lambda: None)
    with pytest.raises(EnvError, match="libegl1 libegl-mesa0 libgl1-mesa-dri libosmesa6"):
        gl.require_gl()


def test_mujoco_may_be_imported_first():
    """A program that imports MuJoCo before this package draws headless all the same."""
    program = "import mujoco; from magma_ros.sim.bridge.env import BridgeEnv; BridgeEnv(image_size_px=16).close()"
    environment = {name: value for name, value in os.environ.items() if name not in {"MUJOCO_GL", "PYOPENGL_PLATFORM"}}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)


def test_triton_is_imported_before_opengl_is_looked_at(monkeypatch, tmp_path):
    """With a CUDA build of torch, whose Triton crashes when it is imported after Mesa, Triton is there first."""
    (tmp_path / "triton.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "triton", raising=False)
    monkeypatch.delitem(sys.modules, "mujoco.gl_context", raising=False)
    monkeypatch.setenv("MUJOCO_GL", "")
    assert gl.prefer_headless_gl(has_egl=lambda: "triton" in sys.modules, has_osmesa=lambda: False) == "egl"
    monkeypatch.delitem(sys.modules, "triton")
