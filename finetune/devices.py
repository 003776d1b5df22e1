"""The processes of one run: which part of a batch each works on, and how they hold the network together.

Accelerate says which process this is and on which device, whoever started it: nobody, torchrun, `accelerate launch` or
Slurm. Without a GPU the processes talk through gloo. Copies (`ddp`) are accelerate's; parts (`fsdp`) are torch's FSDP2
itself, which accelerate offers on GPUs alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Literal

import torch
import torch.distributed as dist
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, InitProcessGroupKwargs
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from magma_ros.finetune.gradient_checkpointing import BLOCKS
from magma_ros.model.network import MagmaNetwork

PATIENCE = timedelta(hours=2)
"""Longest wait for another process: the first one hashes data, and writes a large checkpoint alone."""


class Devices:
    """This process among those of the run.

    Attributes:
        rank, count: Its number from 0, and how many there are.
        device: Where its network is.
        shards: Each process holds a part of every tensor instead of a copy.
    """

    def __init__(self, parallel: Literal["ddp", "fsdp"]) -> None:
        """Join the other processes, if there are any."""
        handlers = [
            DistributedDataParallelKwargs(gradient_as_bucket_view=True),
            InitProcessGroupKwargs(timeout=PATIENCE),
        ]
        self._accelerator = Accelerator(cpu=not torch.cuda.is_available(), kwargs_handlers=handlers)
        self.rank: int = self._accelerator.process_index
        self.count: int = self._accelerator.num_processes
        self.device: torch.device = self._accelerator.device
        self.shards = parallel == "fsdp" and self.count > 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes what only one may write."""
        return self.rank == 0

    @property
    def loads_weights(self) -> bool:
        """Whether this process has to read the weights; the others of a sharded run get their parts from it."""
        return self.is_first or not self.shards

    @property
    def places(self) -> slice:
        """This process's places of a batch."""
        return slice(self.rank, None, self.count)

    def spread(self, objective: nn.Module, network: MagmaNetwork, *, compute_dtype: torch.dtype | None) -> nn.Module:
        """`objective` as all processes train it together.

        Args:
            objective: Its forward pass computes the loss; the network is inside.
            network: Holds its weights on the CPU where `loads_weights`, elsewhere it may be on the meta device.
            compute_dtype: What sharded weights are gathered in; None gathers them as they are.
        """
        if self.count == 1:
            return objective.to(self.device)
        if not self.shards:
            copies: nn.Module = self._accelerator.prepare_model(objective)
            return copies
        loaded = network.state_dict() if self.is_first else {}
        network.to("meta")
        mesh = init_device_mesh(self.device.type, (self.count,))
        policy = MixedPrecisionPolicy(param_dtype=compute_dtype, reduce_dtype=torch.float32, cast_forward_inputs=False)
        for module in [*(block for block in network.modules() if isinstance(block, BLOCKS)), objective]:
            fully_shard(module, mesh=mesh, mp_policy=policy, reshard_after_forward=True)
        network.to_empty(device=self.device)
        for module in objective.modules():
            if isinstance(module, FSDPModule) and self.device.type == "cpu":
                module.set_force_sum_reduction_for_comms(enable=True)  # gloo has no average
        options = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)
        set_model_state_dict(network, loaded, options=options)
        rotary = network.language_model.model.rotary_emb  # computed, not stored
        network.language_model.model.rotary_emb = type(rotary)(network.config.text).to(self.device)
        return objective

    def exchanging(self, objective: nn.Module, *, wanted: bool) -> AbstractContextManager[None]:
        """Within it, copies exchange the gradients of a backward pass only if `wanted`; parts always do."""
        if isinstance(objective, DistributedDataParallel) and not wanted:
            return objective.no_sync()
        return nullcontext()

    def sum(self, values: Sequence[float]) -> list[float]:
        """Each value summed over all processes."""
        if self.count == 1:
            return list(values)
        total = self._accelerator.reduce(torch.tensor(values, dtype=torch.float64, device=self.device), "sum")
        return [float(value) for value in total]

    def wait_for_all(self) -> None:
        """Return once every process is here."""
        self._accelerator.wait_for_everyone()

    def release(self) -> None:
        """Let go of what was trained; the processes stay together, see `leave`."""
        if self.count > 1 or self.device.type == "cuda":
            self._accelerator.free_memory()

    def own_rows(self, whole: Tensor) -> Tensor:
        """The part of a tensor that this process holds of it: all of it, or FSDP2's rows."""
        if not self.shards:
            return whole
        size = -(-len(whole) // self.count)
        return whole[self.rank * size : (self.rank + 1) * size]


def leave() -> None:
    """Part from the other processes; this one trains nothing after it."""
    if dist.is_initialized():
        dist.destroy_process_group()


@torch.no_grad()
def held(tensor: Tensor) -> Tensor:
    """What this process holds of `tensor`, without copying it."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor.detach()


def number(tensor: Tensor) -> float:
    """The value of a tensor without dimensions, the same for all processes."""
    return float(tensor.full_tensor() if isinstance(tensor, DTensor) else tensor)


def whole(like: Tensor, part: Tensor) -> Tensor:
    """The whole tensor of which every process has its `part`, on all of them; `like` says how it is shared out."""
    if not isinstance(like, DTensor):
        return part
    spread = DTensor.from_local(part, like.device_mesh, like.placements, shape=like.shape, stride=like.stride())
    return spread.full_tensor()
