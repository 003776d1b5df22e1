"""Parquet files that grow by being written anew, and ranges of their rows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from magma_ros.errors import EpisodeError

_INDEX = "__index_level_0__"


def write(path: Path, tables: Iterator[pa.Table]) -> None:
    """A Parquet file with a row group for each of `tables`, which must be alike; one at a time is in memory."""
    first = next(tables)
    with pq.ParquetWriter(path, first.schema, use_dictionary=False, write_page_checksum=True) as writer:
        writer.write_table(first)
        for table in tables:
            writer.write_table(table)


def read(path: Path, *, columns: Sequence[str] | None = None) -> pa.Table:
    """A whole file, or some columns of it."""
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        return file.read(columns=columns if columns is None else list(columns), use_threads=False)


def row_groups(path: Path, *, num_rows: int) -> Iterator[pa.Table]:
    """The row groups of a file that hold its first `num_rows` rows, cut off there."""
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        for group in range(file.num_row_groups):
            if num_rows <= 0:
                return
            table = file.read_row_group(group, use_threads=False)
            yield table.slice(0, num_rows)
            num_rows -= len(table)
    if num_rows > 0:
        raise EpisodeError(f"{path}: {num_rows} rows are missing at its end")


def read_rows(path: Path, *, first_row: int, num_rows: int, columns: Sequence[str]) -> pa.Table:
    """Rows of a file and those of `columns` that it has; only the row groups that hold them are read.

    Raises:
        EpisodeError: the file is shorter.
    """
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        starts = np.cumsum([0, *sizes])
        groups = [g for g in range(len(sizes)) if starts[g] < first_row + num_rows and starts[g + 1] > first_row]
        if first_row + num_rows > starts[-1]:
            raise EpisodeError(
                f"{path}: expected rows {first_row} to {first_row + num_rows - 1}, got {starts[-1]} rows"
            )
        table = file.read_row_groups(groups, columns=list(columns), use_threads=False)
    return table.slice(first_row - starts[groups[0]], num_rows)


def first_value(path: Path, column: str) -> int:
    """The number in the first row of `column`."""
    with pq.ParquetFile(path) as file:
        return int(file.read_row_group(0, columns=[column], use_threads=False)[column][0].as_py())


def to_numpy(column: pa.ChunkedArray, *, shape: Sequence[int], name: str) -> NDArray[Any]:
    """The values of a column: (T,) where `shape` is (1,), else (T, *shape); text as an array of strings.

    Raises:
        EpisodeError: a value is missing, or rows have another shape.
    """
    values, num_rows = column.combine_chunks(), len(column)
    while pa.types.is_nested(values.type):
        if values.null_count:
            raise EpisodeError(f"{name}: expected a value in every row, got {values.null_count} without")
        values = values.flatten()
    if values.null_count:
        raise EpisodeError(f"{name}: expected a value in every row, got {values.null_count} without")
    is_text = pa.types.is_string(values.type) or pa.types.is_large_string(values.type)
    flat = np.array(values.to_pylist(), dtype=np.str_) if is_text else values.to_numpy(zero_copy_only=False)
    wanted = (num_rows,) if tuple(shape) in ((1,), ()) else (num_rows, *shape)
    if flat.size != np.prod(wanted):
        raise EpisodeError(f"{name}: expected shape {wanted}, got {flat.size} values")
    return flat.reshape(wanted)


def write_tasks(path: Path, tasks: Sequence[str]) -> None:
    """The sentences and their numbers, as pandas stores a frame whose index is the sentences (LeRobot reads it so)."""
    table = pa.table({"task_index": pa.array(range(len(tasks)), pa.int64()), _INDEX: pa.array(tasks, pa.string())})
    named = [("task_index", "task_index", "int64", "int64"), (None, _INDEX, "unicode", "object")]
    columns = [
        {"name": name, "field_name": field, "pandas_type": kind, "numpy_type": numpy_kind, "metadata": None}
        for name, field, kind, numpy_kind in named
    ]
    of_names = {"name": None, "field_name": None, "pandas_type": "unicode", "numpy_type": "object"}
    pandas = {
        "index_columns": [_INDEX],
        "column_indexes": [{**of_names, "metadata": {"encoding": "UTF-8"}}],
        "columns": columns,
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": "2.2.0",
    }
    write(path, iter([table.replace_schema_metadata({"pandas": json.dumps(pandas)})]))


def read_tasks(path: Path) -> tuple[str, ...]:
    """The sentences in the order of their numbers.

    Raises:
        EpisodeError: no column of sentences, or numbers that do not count from 0.
    """
    table = read(path)
    names = [name for name in table.column_names if name != "task_index"]
    if len(names) != 1 or "task_index" not in table.column_names:
        raise EpisodeError(f"{path}: expected the columns task_index and one more, got {table.column_names}")
    numbered = dict(zip(table["task_index"].to_pylist(), table[names[0]].to_pylist(), strict=True))
    if sorted(numbered) != list(range(len(numbered))):
        raise EpisodeError(f"{path}: expected tasks numbered from 0, got {sorted(numbered)[:5]}")
    return tuple(str(numbered[number]) for number in range(len(numbered)))
