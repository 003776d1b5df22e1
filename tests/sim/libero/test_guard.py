from pathlib import Path

import numpy as np
import pytest

from magma_ros import images
from magma_ros.errors import EnvError
from magma_ros.sim.envs import check_simulator
from magma_ros.sim.libero import guard
from magma_ros.sim.libero.env import LiberoEnv
from magma_ros.sim.libero.protocol import AGENTVIEW
from magma_ros.sim.suites import find_suite

SOUND = {**guard.VERSIONS, "mujoco": guard.MUJOCO_VERSION}


def test_this_environment_is_sound() -> None:
    """The versions, names and files that `make libero` installed pass."""
    guard.require_libero()
    guard.require_whole_files()


def test_a_missing_benchmark_is_named_with_the_command_that_brings_it() -> None:
    """Without the packages the message says `make libero`."""
    with pytest.raises(EnvError, match=r"robosuite missing.*make libero"):
        guard.require_versions({**SOUND, "robosuite": None})


def test_other_versions_are_refused() -> None:
    """A newer robosuite is refused with both versions."""
    with pytest.raises(EnvError, match=r"robosuite 1\.5\.2 instead of 1\.4\.0"):
        guard.require_versions({**SOUND, "robosuite": "1.5.2"})


@pytest.mark.parametrize("version", ["3.17.0", "4.0.0", "2.3.7", None])
def test_a_mujoco_with_other_contacts_is_refused_with_the_reason(version: str | None) -> None:
    """The message says what goes wrong, the bowl and the ramekin, and which version is wanted."""
    with pytest.raises(EnvError, match=r"MuJoCo 3\.3\.2.*slides off the ramekin.*pip install mujoco==3\.3\.2"):
        guard.require_versions({**SOUND, "mujoco": version})


def test_another_owner_of_the_import_name_is_refused() -> None:
    """A second distribution that installs `libero` has overwritten files."""
    guard.require_sole_owner([])
    with pytest.raises(EnvError, match=r"hf-libero.*pip uninstall hf-libero"):
        guard.require_sole_owner(["hf-libero"])


def test_settings_that_redirect_the_files_are_refused(tmp_path: Path) -> None:
    """A configuration of LIBERO's that names other folders is refused by its path."""
    guard.require_own_files({"LIBERO_CONFIG_PATH": str(tmp_path)})
    (tmp_path / "config.yaml").write_text("assets: /elsewhere\n")
    with pytest.raises(EnvError, match=r"config\.yaml"):
        guard.require_own_files({"LIBERO_CONFIG_PATH": str(tmp_path)})


def test_a_device_that_robosuite_would_refuse_is_refused_in_words(tmp_path: Path) -> None:
    """What robosuite asserts about CUDA_VISIBLE_DEVICES becomes a sentence; an agreeing setting passes."""
    folder = {"LIBERO_CONFIG_PATH": str(tmp_path)}
    guard.require_own_files({**folder, "CUDA_VISIBLE_DEVICES": "0,1", "MUJOCO_EGL_DEVICE_ID": "1"})
    with pytest.raises(EnvError, match="CUDA_VISIBLE_DEVICES=1"):
        guard.require_own_files({**folder, "CUDA_VISIBLE_DEVICES": "1", "MUJOCO_EGL_DEVICE_ID": "0"})


def test_files_that_are_missing_or_cut_short_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file of the distributions is compared with its recorded length."""
    monkeypatch.setattr(guard, "_damaged", lambda name: [Path("bowl.obj")] if "assets-3" in name else [])
    with pytest.raises(EnvError, match=r"bowl\.obj"):
        guard.require_whole_files()


def test_the_known_picture_is_drawn_here(drawn: LiberoEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first picture of the known trial passes the whole check; a dark one does not, unless none is drawn."""
    picture = drawn.reset(seed=guard.GOLDEN_SEED)[0].images[AGENTVIEW]
    monkeypatch.setattr(guard, "draw_golden_frame", lambda: picture)
    check_simulator(find_suite("libero_goal"), render=True)
    monkeypatch.setattr(guard, "draw_golden_frame", lambda: picture // 2)
    check_simulator(find_suite("libero_goal"), render=False)
    check_simulator(find_suite("bridge"), render=True)
    with pytest.raises(EnvError, match="looks different"):
        check_simulator(find_suite("libero_goal"), render=True)


def test_another_picture_is_refused() -> None:
    """The known picture passes, with a little noise too; a turned one and one a few levels brighter do not."""
    golden = images.decode(guard.GOLDEN_FRAME.read_bytes())
    assert 0.0 == guard.compare_with_golden_frame(golden)
    noisy = golden.astype(int) + np.random.default_rng(0).integers(-1, 2, golden.shape)
    assert 0.0 < guard.compare_with_golden_frame(np.clip(noisy, 0, 255).astype(np.uint8)) < 1.0
    for wrong in (np.ascontiguousarray(golden[::-1]), np.clip(golden.astype(int) + 3, 0, 255).astype(np.uint8)):
        with pytest.raises(EnvError, match="looks different"):
            guard.compare_with_golden_frame(wrong)
