"""Numbers as people read them: as many digits as they carry, with their unit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from magma_ros.sim.statistics import Interval

_FINE_FROM = 200
_SMALLEST_P = 0.001
_STEPS = (1, 2, 5, 10, 20, 50, 100)


def percent(share: float, *, n: int) -> str:
    """A share as a percentage; a decimal only where `n` trials carry one."""
    return f"{_number(100 * share, n)} %"


def percent_interval(interval: Interval, *, n: int) -> str:
    """Both ends as percentages."""
    return f"{_number(100 * interval.low, n)} to {_number(100 * interval.high, n)} %"


def points(difference: float, *, n: int) -> str:
    """A difference of shares in percentage points, with its sign."""
    return f"{_number(100 * difference, n, sign='+')} pp"


def points_interval(interval: Interval, *, n: int) -> str:
    """Both ends of a difference, in percentage points."""
    return f"{_number(100 * interval.low, n, sign='+')} to {_number(100 * interval.high, n, sign='+')} pp"


def p_value(p: float) -> str:
    """Two digits, and nothing below a thousandth."""
    return f"p < {_SMALLEST_P}" if p < _SMALLEST_P else f"p = {p:.2g}"


def quantity(value: float) -> str:
    """Three digits that count; all of a whole or large number."""
    return f"{value:,.0f}" if value == round(value) or abs(value) >= 100 else f"{value:.3g}"


def counted(number: int, what: str) -> str:
    """So many of something that makes its plural with an s."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """In seconds, minutes or hours, whichever reads best."""
    if seconds < 120:
        return f"{quantity(seconds)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


def ranges(numbers: Iterable[int]) -> str:
    """Whole numbers in order, neighbours drawn together: `0..11, 13`."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(_run(run) for run in runs)


def ticks(high: float, *, most: int = 6) -> tuple[float, ...]:
    """Round numbers from 0 up to `high` (above 0), at most `most` of them."""
    power = 10.0 ** math.floor(math.log10(high / most))
    step = next(power * factor for factor in _STEPS if high / (power * factor) < most)
    return tuple(round(i * step, 10) for i in range(math.floor(high / step + 1e-9) + 1))


def _number(value: float, n: int, *, sign: str = "") -> str:
    decimals = 1 if n >= _FINE_FROM else 0
    text = f"{round(value, decimals) + 0.0:{sign}.{decimals}f}"
    return text.replace("-", "\N{MINUS SIGN}")


def _run(run: Sequence[int]) -> str:
    return f"{run[0]}..{run[-1]}" if len(run) > 2 else ", ".join(map(str, run))
