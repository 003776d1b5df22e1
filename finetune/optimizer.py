"""What turns gradients into steps: AdamW, and Muon for the matrices inside the network if the recipe wants it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor, nn

from magma_ros.errors import TrainingError
from magma_ros.finetune.devices import held
from magma_ros.finetune.recipe import Recipe

_BETAS = (0.9, 0.98)
_ENDS = ("embed_tokens", "lm_head")


class Optimizer:
    """The optimiser of one run, whose state can be kept and taken up again.

    AdamW: Loshchilov and Hutter 2019 (arXiv 1711.05101). Muon: Jordan et al. 2024, with Moonshot's factor that lets it
    share AdamW's learning rate and decay (arXiv 2502.16982); both are PyTorch's.
    """

    def __init__(self, trained: Mapping[str, nn.Parameter], recipe: Recipe) -> None:
        """Change `trained` as `recipe` says; only matrices decay, not the vectors: biases, scales and separators.

        Raises:
            TrainingError: this PyTorch is too old for the optimiser.
        """
        if recipe.optimizer == "muon" and not hasattr(torch.optim, "Muon"):
            raise TrainingError(f"optimizer: expected PyTorch 2.9 or newer for muon, got {torch.__version__}")
        muon = {name for name, value in trained.items() if recipe.optimizer == "muon" and _is_inner_matrix(name, value)}
        matrices = [v for name, v in trained.items() if name not in muon and not _is_vector(v)]
        vectors = [v for name, v in trained.items() if name not in muon and _is_vector(v)]
        groups = [{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
        self._adamw = torch.optim.AdamW(
            [group for group in groups if group["params"]], lr=recipe.learning_rate, betas=_BETAS, fused=True
        )
        self._muon = (
            torch.optim.Muon(
                [trained[name] for name in sorted(muon)],
                lr=recipe.learning_rate,
                weight_decay=recipe.weight_decay,
                adjust_lr_fn="match_rms_adamw",
            )
            if muon
            else None
        )
        self._moments = {name: ("momentum_buffer",) if name in muon else ("exp_avg", "exp_avg_sq") for name in trained}
        self._trained = trained

    def advance(self, *, learning_rate: float) -> None:
        """One step by the gradients, which are gone afterwards."""
        for optimizer in self._both():
            for group in optimizer.param_groups:
                group["lr"] = learning_rate
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    def tensors(self) -> dict[str, Tensor]:
        """What this process has to keep of it in order to go on."""
        return {
            f"{key}/{name}": held(self._state_of(name)[key]) for name, keys in self._moments.items() for key in keys
        }

    def restore(self, read: Callable[[str], Tensor], *, step: int) -> None:
        """Go on after `step` steps with what `tensors` gave, as `read` finds it by its name."""
        for name, keys in self._moments.items():
            parameter, state = self._trained[name], self._state_of(name)
            if len(keys) == 2:
                state["step"] = torch.tensor(float(step), device=parameter.device)
            for key in keys:
                state[key] = torch.zeros_like(parameter)
                held(state[key]).copy_(read(f"{key}/{name}"))

    def _both(self) -> Iterator[torch.optim.Optimizer]:
        yield self._adamw
        if self._muon is not None:
            yield self._muon

    def _state_of(self, name: str) -> dict[str, Tensor]:
        is_of_muon = self._muon is not None and len(self._moments[name]) == 1
        optimizer = self._muon if is_of_muon else self._adamw
        assert optimizer is not None
        state: dict[str, Tensor] = optimizer.state[self._trained[name]]
        return state


def _is_vector(value: Tensor) -> bool:
    return max(value.shape, default=0) == value.numel()


def _is_inner_matrix(name: str, value: Tensor) -> bool:
    """Whether it maps features to features: neither a table of tokens nor a kernel over pixels."""
    return value.ndim == 2 and not _is_vector(value) and not any(end in name for end in _ENDS)
