"""What `magma-ros report` does: folders of sweeps in, a page out."""

from __future__ import annotations

from pathlib import Path

import tyro

from magma_ros.errors import SweepError
from magma_ros.sim.report import write


def report_sweeps(folders: tyro.conf.Positional[tuple[Path, ...]]) -> None:
    """Write the report of a sweep; of several, the first one against the others.

    Args:
        folders: Of the sweep, and of those that it is compared with; report.html, report.json and trials.parquet are
            written into the first.
    """
    if not folders:
        raise SweepError("expected the folder of a sweep, got none")
    page = write(folders[0], others=folders[1:])
    print(f"wrote {page}", flush=True)
