"""Point the ROS wheels' CMake files at this Python; run with the environment's own interpreter.

The wheels' exported targets name the Python and NumPy headers of the container they were built in (`/opt/python/...`).
"""

import re
import sys
import sysconfig
from pathlib import Path

import numpy as np

PYTHON_HEADERS = re.compile(r"/opt/python/[^;\"/]+/include/python3\.\d+")
NUMPY_HEADERS = re.compile(r"/opt/python/[^;\"]+/numpy/_?core/include")


def patch(text: str, *, python_include: str, numpy_include: str) -> str:
    """The text of a CMake file with the build container's header folders replaced by ours."""
    text = NUMPY_HEADERS.sub(lambda _: numpy_include, text)
    return PYTHON_HEADERS.sub(lambda _: python_include, text)


def main() -> None:
    """Rewrite every exported-targets file under the environment's share/ that needs it."""
    for path in Path(sys.prefix, "share").rglob("*Export.cmake"):
        before = path.read_text(encoding="utf-8")
        after = patch(before, python_include=sysconfig.get_path("include"), numpy_include=np.get_include())
        if after != before:
            path.write_text(after, encoding="utf-8")


if __name__ == "__main__":
    main()
