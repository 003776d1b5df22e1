"""How unsure a policy may be: bounds on the mean entropy of an action's tokens, which each checkpoint has of its own.

What is usual differs between networks: a black picture has 4.5 nat with one and 3.9 with the next of the same layout.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from magma_ros.errors import ContractError


@dataclass(frozen=True, slots=True)
class EntropyBounds:
    """Mean entropies over an action's tokens [nat].

    Attributes:
        slow_nats: Above this an action's displacement is halved.
        hold_nats: Above this the arm holds still.
    """

    slow_nats: float
    hold_nats: float

    def __post_init__(self) -> None:
        if not 0 < self.slow_nats <= self.hold_nats < math.inf:
            raise ContractError(f"entropy: expected 0 < slow <= hold, got {self.slow_nats} and {self.hold_nats}")

    def to_dict(self) -> dict[str, float]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> EntropyBounds:
        """The bounds in `data`.

        Raises:
            ContractError: a bound is missing, is no number or makes no sense.
        """
        slow: Any = data.get("slow_nats")
        hold: Any = data.get("hold_nats")
        if type(slow) not in (int, float) or type(hold) not in (int, float):
            raise ContractError(f"entropy bounds: expected the numbers slow_nats and hold_nats, got {dict(data)}")
        return cls(float(slow), float(hold))


USUAL = EntropyBounds(slow_nats=4.0, hold_nats=4.4)
"""For a policy that has none of its own; ln 256 = 5.5 is no idea at all."""

SLOW_QUANTILE, HOLD_QUANTILE = 0.99, 0.999
"""Shares of good actions that are neither slowed nor held."""
MIN_STEP_NATS = 0.3
"""Smallest way from slowing to holding: few frames hardly tell one action in a thousand."""


def bounds_above(slow_nats: float, hold_nats: float) -> EntropyBounds:
    """Bounds at two quantiles of good actions' mean entropies [nat], never looser than the usual ones.

    Raises:
        ContractError: they are no finite numbers of zero or more.
    """
    if not (0 <= slow_nats < math.inf and 0 <= hold_nats < math.inf):
        raise ContractError(f"entropy: expected finite numbers of zero or more, got {slow_nats} and {hold_nats}")
    slow = min(USUAL.slow_nats, max(slow_nats, MIN_STEP_NATS))
    return EntropyBounds(slow, min(USUAL.hold_nats, max(hold_nats, slow + MIN_STEP_NATS)))


def entropy_bounds_of(policy: object) -> EntropyBounds | None:
    """The bounds that `policy` brings along; None for one that has none."""
    bounds = getattr(policy, "entropy_bounds", None)
    assert bounds is None or isinstance(bounds, EntropyBounds)
    return bounds
