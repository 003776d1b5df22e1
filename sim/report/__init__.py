"""What a sweep says, for people and programs: a page, JSON and Parquet beside its journal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from magma_ros.sim.report.contents import gather
from magma_ros.sim.report.document import to_document
from magma_ros.sim.report.page import to_page
from magma_ros.sim.report.parquet import write_trials

PAGE_NAME, DOCUMENT_NAME, TRIALS_NAME = "report.html", "report.json", "trials.parquet"


def write(folder: Path, *, others: Sequence[Path] = ()) -> Path:
    """Write `report.html`, `report.json` and `trials.parquet` into the folder of a sweep, finished or not.

    Args:
        folder: Of the sweep that the report is about.
        others: Folders of sweeps of the same suite that it is compared with.

    Returns:
        The page: one file that needs no other.

    Raises:
        SweepError: a folder is no sweep or a damaged one, the suites differ, or pyarrow is not installed.
        InvalidInputError: two sweeps have no initial state in common that both were judged on.
    """
    report = gather(folder, others)
    page = folder / PAGE_NAME
    page.write_text(to_page(report), encoding="utf-8")
    document = json.dumps(to_document(report), indent=1, allow_nan=False)
    (folder / DOCUMENT_NAME).write_text(f"{document}\n", encoding="utf-8")
    write_trials(folder / TRIALS_NAME, report.sweep.record)
    return page
