from pathlib import Path

import pytest

from magma_ros.errors import CheckpointError
from magma_ros.inspection import room
from magma_ros.inspection.memory import plan_memory
from magma_ros.inspection.room import free_bytes, require_room
from magma_ros.json_files import read_object
from magma_ros.load_options import LoadOptions
from magma_ros.model.config import MagmaConfig
from magma_ros.model.weight_files import find_weights
from magma_ros.model.weights import empty_network
from tests.model.random_checkpoints import write_random_checkpoint


def write_group(folder: Path, *, limit: str, used: int = 600, cached: int = 100) -> Path:
    """A control group's files."""
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 400\ninactive_file {cached}\n")
    return folder


def test_a_network_that_does_not_fit_is_refused_with_both_sizes(tmp_path, monkeypatch) -> None:
    """With a megabyte less than a nano network takes in float32 it is refused; in bfloat16 the same room is enough."""
    folder = write_random_checkpoint(tmp_path)
    monkeypatch.setattr(room, "free_bytes", lambda _device: 10**12)
    require_room(folder, LoadOptions())
    monkeypatch.setattr(room, "free_bytes", lambda _device: need("bfloat16", folder) * 10 // 9 + 1000)
    require_room(folder, LoadOptions(dtype="bfloat16"))
    require_room(folder, LoadOptions(dtype="float16"))
    with pytest.raises(CheckpointError, match=r"room for a second network .* free on cpu for .* \(float32"):
        require_room(folder, LoadOptions())


def need(form: str, folder: Path) -> int:
    """Weights and cache of a form, by the plan that `magma-ros inspect` shows, with the longest prompt."""
    shapes = {key: tensor.shape for key, tensor in find_weights(folder).tensors.items()}
    network, _ = empty_network(MagmaConfig.from_dict(read_object(folder / "config.json")), shapes)
    plan = plan_memory(network, num_prompt_tokens=room._PROMPT_TOKENS, devices={})
    return next(one.total_bytes for one in plan if one.form == form)


def test_what_cannot_be_known_is_not_refused(tmp_path, monkeypatch) -> None:
    """A folder that describes no network, and a device that does not say what is free, are left to the loader."""
    monkeypatch.setattr(room, "free_bytes", lambda _device: 0)
    require_room(tmp_path, LoadOptions())
    folder = write_random_checkpoint(tmp_path / "checkpoint")
    monkeypatch.setattr(room, "free_bytes", lambda _device: None)
    require_room(folder, LoadOptions())


def test_a_container_s_limit_counts_where_it_is_tighter(tmp_path) -> None:
    """Free is the less of the machine's and the container's, whose cached files may be given up."""
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemFree: 1 kB\nMemAvailable:        2 kB\n")
    paths = {"meminfo": tmp_path / "meminfo", "group": write_group(tmp_path, limit="1000")}
    assert 500 == free_bytes("cpu", **paths)
    write_group(tmp_path, limit="max")
    assert 2048 == free_bytes("cpu", **paths)
    assert free_bytes("cpu", meminfo=tmp_path / "none", group=tmp_path / "none") is None


def test_this_machine_says_what_is_free() -> None:
    """The files are where they are expected, and the number is one of a machine."""
    free = free_bytes("cpu")
    assert free is not None
    assert 2**20 < free < 2**50
