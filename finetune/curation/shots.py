"""Where a film is cut: the shots of a row of pictures (PySceneDetect's content detector)."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from itertools import pairwise

import numpy as np
from scenedetect import FrameTimecode
from scenedetect.detectors import ContentDetector

from magma_ros.types import ImageArray


def find_shots(pictures: Iterable[ImageArray], *, rate_hz: float) -> list[range]:
    """Numbers of the pictures of each shot, in order; together they are all pictures.

    With the detector's own threshold. By default it would leave shots of less than 15 pictures with their neighbour;
    here every cut counts, since tracks must not go across one.

    Args:
        pictures: (height, width, 3) RGB each, of one size.
        rate_hz: Pictures per second.
    """
    detector, rate = ContentDetector(min_scene_len=1), Fraction(rate_hz).limit_denominator(1000)
    cuts, number = [0], -1
    for number, picture in enumerate(pictures):
        found = detector.process_frame(FrameTimecode(number, rate), np.ascontiguousarray(picture[:, :, ::-1]))
        cuts += [cut.frame_num for cut in found]
    return [range(first, last) for first, last in pairwise([*cuts, number + 1]) if last > first]
