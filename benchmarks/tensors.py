"""A pinned training set as tensors, against a bare read of the same columns.

    python -m benchmarks.tensors [--repeat 5]

Both read the same version's files of this warehouse's published training set by Arrow. Of each the fastest of
some runs counts, taken in turns. Before each, Arrow hands back the memory of the one before: a training reads
once, and else one would pay for what another left behind.
"""

import argparse

import pyarrow as pa
import torch
from deltalake import DeltaTable
from rich.console import Console
from rich.table import Table

from benchmarks.published import published
from benchmarks.timing import fastest
from lakehouse.engine.session import spark_session
from ml.data.tensors import Batch, Tensors, to_tensors
from ml.data.training_files import read_arrow, read_rows

GOAL = 1.3


def same(left: Batch, right: Batch) -> bool:
    """Whether they hold the same bits, NaN like NaN."""
    return (
        torch.equal(left.numeric.view(torch.int32), right.numeric.view(torch.int32))
        and torch.equal(left.codes, right.codes)
        and torch.equal(left.labels, right.labels)
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeat", type=int, default=5)
    repeat: int = parser.parse_args().repeat
    source = published(spark_session())
    columns, label = source.columns, str(source.columns.label)
    names = (label, *columns.features)
    rows = read_arrow(source.folder, source.pinned, names)
    # It is learned with each row's day, which is no part of what is timed.
    encoding = source.encoding(read_arrow(source.folder, source.pinned, (columns.partition, *names)))

    def bare() -> int:
        table = DeltaTable(source.folder, version=source.pinned.table.version)
        return table.to_pyarrow_dataset().to_table(columns=[*columns.entity, *names]).num_rows

    def read() -> int:
        return read_arrow(source.folder, source.pinned, names).num_rows

    def encoded() -> Tensors:
        read = read_rows(source.folder, source.pinned, (label, *columns.categorical), columns.numeric)
        return to_tensors(encoding, read.table, label, read.order, read.numeric)

    def tensors() -> int:
        return len(encoded())

    assert same(encoded().in_place(), to_tensors(encoding, rows, label).in_place())
    assert tensors() == read() <= bare()
    bare_seconds, read_seconds, tensor_seconds = fastest(
        [bare, read, tensors], repeat, pa.default_memory_pool().release_unused
    )
    shown = Table(
        "", f"times a bare read (goal ≤ {GOAL:g})", title=f"{rows.num_rows:,} rows, {len(names)} columns"
    )
    shown.add_row("read as known at a date, ordered by entity", f"{read_seconds / bare_seconds:.2f}")
    shown.add_row("the same rows, encoded, as tensors", f"{tensor_seconds / bare_seconds:.2f}")
    Console().print(shown)


if __name__ == "__main__":
    main()
