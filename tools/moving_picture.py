"""Make README's moving picture of the demo's film: an animated WebP that begins anew at its end.

.venv/bin/python tools/moving_picture.py                 # outputs/demo.mp4, after `make demo` -> docs/images/demo.webp
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import av
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
MAX_BYTES = 2_000_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the picture; gives 1 when it is larger than a page should load."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--film", type=Path, default=ROOT / "outputs" / "demo.mp4", help="film to take")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "images" / "demo.webp", help="picture to write")
    parser.add_argument("--width-px", type=int, default=420, help="width of the picture [px]")
    parser.add_argument("--every", type=int, default=2, help="take one picture of so many")
    parser.add_argument("--speed", type=float, default=2.0, help="of the film's time")
    parser.add_argument("--quality", type=int, default=60, help="of WebP, 0 to 100")
    options = parser.parse_args(arguments)
    with av.open(str(options.film)) as film:
        rate = film.streams.video[0].average_rate
        pictures = [Image.fromarray(frame.to_ndarray(format="rgb24")) for frame in film.decode(video=0)][
            :: options.every
        ]
    if not pictures or rate is None:
        print(
            f"{options.film}: expected a film with pictures and a rate, got {len(pictures)} pictures", file=sys.stderr
        )
        return 1
    height_px = round(options.width_px * pictures[0].height / pictures[0].width)
    small = [picture.resize((options.width_px, height_px), Image.Resampling.LANCZOS) for picture in pictures]
    duration_ms = round(1000 * options.every / float(rate) / options.speed)
    small[0].save(
        options.output,
        save_all=True,
        append_images=small[1:],
        duration=duration_ms,
        loop=0,
        quality=options.quality,
        method=6,
    )
    size = options.output.stat().st_size
    print(f"{options.output}: {len(small)} pictures, {options.width_px} x {height_px} px, {size} bytes")
    return int(size > MAX_BYTES)


if __name__ == "__main__":
    sys.exit(main())
