"""Whether a piece of an answer fits between two pictures that are acted on: an answer must never delay an action."""

from __future__ import annotations

from collections import deque

MARGIN = 2.0
"""A piece is given this many times what the last ones took, the slowest apart: one hiccup must not silence a policy."""

_REMEMBERED = 9


class SpareTime:
    """Judges by what recent pieces took; the first of an answer, which reads pictures and question, by itself."""

    def __init__(self) -> None:
        """Nothing is known: no piece fits before an inference or a piece was timed."""
        self._inference_s = float("inf")
        self._took_s: dict[bool, deque[float]] = {first: deque(maxlen=_REMEMBERED) for first in (True, False)}

    def fits(self, spare_s: float, *, is_first: bool) -> bool:
        """Whether a piece may begin `spare_s` [s] before the next picture; infinite when nothing is acted on.

        A kind of piece that was never timed is taken to be as long as the latest inference of an action, which reads a
        picture and a prompt, too.
        """
        took_s = self._took_s[is_first]
        expected_s = sorted(took_s)[-2:][0] if took_s else self._inference_s
        return spare_s == float("inf") or spare_s > MARGIN * expected_s

    def piece_took(self, duration_s: float, *, is_first: bool) -> None:
        """A piece was found in `duration_s` [s]."""
        self._took_s[is_first].append(duration_s)

    def inference_took(self, duration_s: float) -> None:
        """An action was inferred in `duration_s` [s]."""
        self._inference_s = duration_s
