"""Whether one more network fits beside what is loaded already, from the headers of its files."""

from __future__ import annotations

from pathlib import Path

from magma_ros import sources
from magma_ros.errors import CheckpointError
from magma_ros.json_files import read_object
from magma_ros.load_options import LoadOptions

_PROMPT_TOKENS = 2048
"""Longer than the prompt of any arm with a few cameras; its keys and values are counted too."""

_MEMORY_INFO = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")


def require_room(source: str | Path, options: LoadOptions) -> None:
    """Refuse a checkpoint whose network does not fit into the memory that is free on its device now.

    What cannot be known is not refused: a form without a plan, a device that does not say what is free, a folder that
    describes no network.

    Raises:
        CheckpointError: it does not fit, with what it needs, what is free, and what would help; or there is no such
            checkpoint, or its headers cannot be read.
    """
    folder = sources.find(source)
    if not (folder / "config.json").is_file():
        return
    from magma_ros.adapter_files import weights_folder  # noqa: PLC0415 - torch takes seconds
    from magma_ros.inspection.memory import plan_memory  # noqa: PLC0415 - same
    from magma_ros.model.config import MagmaConfig  # noqa: PLC0415 - same
    from magma_ros.model.weight_files import find_weights  # noqa: PLC0415 - same
    from magma_ros.model.weights import empty_network  # noqa: PLC0415 - same

    free = free_bytes(options.device)
    if free is None:
        return
    config = MagmaConfig.from_dict(read_object(folder / "config.json"))
    shapes = {key: tensor.shape for key, tensor in find_weights(weights_folder(folder)).tensors.items()}
    network, _ = empty_network(config, shapes)
    plan = plan_memory(network, num_prompt_tokens=_PROMPT_TOKENS, devices={options.device: free})
    for need in plan:
        if need.form == form_of(options) and need.fits.get(options.device) is False:
            raise CheckpointError(
                f"{folder}: expected room for a second network beside the one that is loaded, got "
                f"{_gb(free)} free on {options.device} for {_gb(need.total_bytes)} ({need.form}; a tenth stays free); "
                "use a smaller dtype or a quantization, or load it alone: cleanup, then configure"
            )


def form_of(options: LoadOptions) -> str:
    """The name in `inspection.memory`'s plan of how `options` load a network; half precision is half precision."""
    dtype = "bfloat16" if options.dtype == "float16" else options.dtype
    return dtype if options.quantization == "none" else f"{dtype} + {options.quantization}"


def free_bytes(device: str, *, meminfo: Path = _MEMORY_INFO, group: Path = _GROUP) -> int | None:
    """Bytes that may still be taken on `device`; None where nothing says so.

    On a CPU the least of what the machine has left and what this process's control group (a container) may still take;
    files that are only cached count as free. On a GPU also what PyTorch holds without using it.
    """
    if device.startswith("cuda"):
        import torch  # noqa: PLC0415 - torch takes seconds

        if not torch.cuda.is_available():
            return None
        free: int = torch.cuda.mem_get_info(device)[0]
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if device != "cpu":
        return None
    known = [size for size in (_machine_free(meminfo), _group_free(group)) if size is not None]
    return min(known, default=None)


def _machine_free(meminfo: Path) -> int | None:
    lines = meminfo.read_text(encoding="ascii").splitlines() if meminfo.is_file() else []
    kibibytes = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(kibibytes[0]) * 1024 if kibibytes else None


def _group_free(group: Path) -> int | None:
    """What is left of the limit of control groups, version 2; None without a limit."""
    limit, used = group / "memory.max", group / "memory.current"
    if not (limit.is_file() and used.is_file()):
        return None
    most = limit.read_text(encoding="ascii").strip()
    if most == "max":
        return None
    statistics = dict(line.split() for line in (group / "memory.stat").read_text(encoding="ascii").splitlines())
    return int(most) - int(used.read_text(encoding="ascii")) + int(statistics.get("inactive_file", 0))


def _gb(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:.2f} GB"
