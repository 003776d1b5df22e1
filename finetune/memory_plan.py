"""The memory plan of a training run: what it takes of a device, and what to change where it does not fit.

    peak = weights + optimiser + average + max(forward and backward, gradients + one step)

| | bytes |
|---|---|
| weights | each number as it is stored: 4, in bfloat16 2, in nf4 0.516 (4 bits + 8 per 64; Dettmers et al. 2023) |
| gradients | 4 for each trained number |
| optimiser | 8 for each trained number: AdamW's two moments (Loshchilov and Hutter 2019) |
| average | 4 for each trained number, where one is kept |
| forward and backward | counted by a rehearsal on tensors without contents (`rehearsal`), gradients included |

This is the split of Rajbhandari et al. 2020 (ZeRO, section 3), of which FSDP divides the first four among its devices.
Each of them then holds some weights whole, and their gradients until these are divided: all outside the blocks, and two
blocks. That is added to forward and backward as if all of it were trained.
What the libraries keep for themselves (about 0.5 GB for CUDA) and fragmentation have to fit into the tenth of the
device that the plan leaves free.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from magma_ros.finetune.parts import Parts
from magma_ros.finetune.rehearsal import Workload, rehearse
from magma_ros.model.config import MagmaConfig

USABLE = 0.9
"""Part of a device's memory that a run may be planned to take."""

_GRADIENT, _MOMENTS, _AVERAGE = 4, 8, 4


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """What one device holds at the worst moment of a run.

    Attributes:
        device: Its name.
        device_bytes: Its memory.
        num_parameters, num_trained: Numbers of the network with its LoRA, and those that are trained.
        weights_bytes, gradient_bytes, optimizer_bytes, average_bytes: As the table in the module says.
        passing_bytes: Most that forward and backward hold, gradients included.
        advice: What to change, one change after the other, until it fits; empty where it does.
    """

    device: str
    device_bytes: int
    num_parameters: int
    num_trained: int
    weights_bytes: int
    gradient_bytes: int
    optimizer_bytes: int
    average_bytes: int
    passing_bytes: int
    advice: tuple[str, ...] = ()

    @property
    def peak_bytes(self) -> int:
        """Everything together."""
        passing = max(self.passing_bytes, self.gradient_bytes)
        return self.weights_bytes + self.optimizer_bytes + self.average_bytes + passing

    @property
    def fits(self) -> bool:
        """Whether the device has room."""
        return self.peak_bytes <= USABLE * self.device_bytes

    def table(self) -> str:
        """The plan as a person reads it, with the advice."""
        rows = [
            ("weights", self.weights_bytes, f"{self.num_parameters:,} numbers"),
            ("optimiser", self.optimizer_bytes, f"{self.num_trained:,} trained"),
            ("average", self.average_bytes, ""),
            ("forward and backward", self.passing_bytes, f"{_size(self.gradient_bytes)} of it gradients at its end"),
            ("peak", self.peak_bytes, "fits" if self.fits else "DOES NOT FIT"),
        ]
        head = f"memory on {self.device}, {_size(self.device_bytes)} of which {USABLE:.0%} may be planned:"
        lines = [f"  {name:<22}{_size(size):>12}  {note}".rstrip() for name, size, note in rows]
        return "\n".join([head, *lines, *(f"  change: {line}" for line in self.advice)])


def memory_plan(config: MagmaConfig, parts: Parts, workload: Workload, *, device: str, device_bytes: int) -> MemoryPlan:
    """What training `parts` of a network takes of a device; seconds of work and hardly any memory.

    Args:
        config: The network's, with the vocabulary of its weights (`MagmaNetwork.config`).
        parts: What is trained.
        workload: What the device works on at a time.
        device: Its name, such as `cuda:0` or `cpu`.
        device_bytes: Its memory, see `inspection.memory.find_devices`.

    Raises:
        TrainingError: `parts` does not fit the network.
    """
    plan = _plan(config, parts, workload, device=device, device_bytes=device_bytes)
    if plan.fits:
        return plan
    advice = []
    for words, better_parts, better_workload in _remedies(parts, workload, on_gpu=device.startswith("cuda")):
        better = _plan(config, better_parts, better_workload, device=device, device_bytes=device_bytes)
        advice.append(f"{words}: {_size(better.peak_bytes)}{', fits' if better.fits else ''}")
        if better.fits:
            break
    else:
        advice.append("nothing more helps on this device: use a larger one, or several with parallel: fsdp")
    return replace(plan, advice=tuple(advice))


def _plan(config: MagmaConfig, parts: Parts, workload: Workload, *, device: str, device_bytes: int) -> MemoryPlan:
    found, shards = rehearse(config, parts, workload), workload.num_shards
    gradients = found.num_trained * _GRADIENT
    gathered = 0 if shards == 1 else 2 * found.num_gathered * (2 if workload.precision == "bf16" else 4)
    return MemoryPlan(
        device=device,
        device_bytes=device_bytes,
        num_parameters=found.num_parameters,
        num_trained=found.num_trained,
        weights_bytes=found.weights_bytes // shards,
        gradient_bytes=gradients // shards,
        optimizer_bytes=found.num_trained * _MOMENTS // shards,
        average_bytes=found.num_trained * _AVERAGE // shards if workload.averaged else 0,
        passing_bytes=max(0, found.passing_bytes - gradients) + gradients // shards + gathered,
    )


def _remedies(parts: Parts, workload: Workload, *, on_gpu: bool) -> Iterator[tuple[str, Parts, Workload]]:
    """One change after the other, each kept; what costs least in time and quality comes first."""
    if not workload.gradient_checkpointing:
        workload = replace(workload, gradient_checkpointing=True)
        yield "gradient_checkpointing: true", parts, workload
    if workload.samples_per_pass > 1:
        times = workload.samples_per_pass
        workload = replace(workload, samples_per_pass=1, accumulate=times * workload.accumulate)
        yield f"and accumulate: {workload.accumulate}, one sample at a time", parts, workload
    if workload.precision == "fp32" and on_gpu:
        workload = replace(workload, precision="bf16")
        yield "and precision: bf16", parts, workload
    if workload.averaged:
        workload = replace(workload, averaged=False)
        yield "and ema_decay: 0", parts, workload
    if parts.method == "full":
        parts = Parts(method="lora", frozen=tuple(part for part in parts.frozen if part in _ADAPTABLE))
        workload = replace(workload, base_dtype="bfloat16" if on_gpu else workload.base_dtype)
        yield "and parts.method: lora", parts, workload
    if "vision_tower" not in (*parts.frozen, *parts.whole) and parts.lora_targets is None:
        parts = replace(parts, frozen=(*parts.frozen, "vision_tower"))
        yield "and parts.frozen: [vision_tower]", parts, workload
    if parts.method == "lora" and on_gpu and "language_model" not in parts.whole:
        yield "and parts.method: qlora", replace(parts, method="qlora"), workload


_ADAPTABLE = ("vision_tower", "projector", "language_model")


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 2**30:.2f} GiB" if num_bytes >= 2**28 else f"{num_bytes / 2**20:.1f} MiB"
