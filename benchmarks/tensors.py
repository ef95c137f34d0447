"""A pinned training set as tensors, against a bare read of the same columns.

    python -m benchmarks.tensors [--repeat 15]

Both read the same version's files of this warehouse's published training set by Arrow. Of each the fastest of
some runs counts, taken in turns: each of ours with the bare read alone, as one pays for clearing the memory
that another left behind.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from deltalake import DeltaTable
from rich.console import Console
from rich.table import Table

from benchmarks.published import published
from benchmarks.timing import fastest
from lakehouse.engine.session import spark_session
from ml.data.read import read_arrow, read_rows
from ml.data.training_set import TrainingSet
from ml.encoding.arrow import ArrowTable
from ml.encoding.encode import Encoding
from ml.encoding.tensors import Batch, Tensors, to_tensors

GOAL = 1.3


@dataclass(frozen=True)
class Source:
    """A pinned training set, where it lies, and how it is encoded."""

    folder: Path
    pinned: TrainingSet
    encoding: Encoding

    @property
    def names(self) -> tuple[str, ...]:
        """What is read besides the entity."""
        return (str(self.pinned.columns.label), *self.pinned.columns.features)


def bare(source: Source) -> ArrowTable:
    """Arrow's own read of the version's files."""
    table = DeltaTable(source.folder, version=source.pinned.table.version)
    return table.to_pyarrow_dataset().to_table(columns=[*source.pinned.columns.entity, *source.names])


def ordered(source: Source) -> ArrowTable:
    """The rows as known at a date, ordered by entity."""
    return read_arrow(source.folder, source.pinned, source.names)


def tensors(source: Source) -> Tensors:
    """The same rows as a training has them."""
    columns, label = source.pinned.columns, str(source.pinned.columns.label)
    read = read_rows(source.folder, source.pinned, (label, *columns.categorical), columns.numeric)
    return to_tensors(source.encoding, read.table, label, read.order, read.numbers)


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
    parser.add_argument("--repeat", type=int, default=15)
    repeat: int = parser.parse_args().repeat
    found = published(spark_session())
    label, day = str(found.columns.label), found.columns.partition
    # The encoding is learned with each row's day, which is no part of what is timed.
    encoding = found.encoding(read_arrow(found.folder, found.pinned, (day, label, *found.columns.features)))
    source = Source(found.folder, found.pinned, encoding)

    rows = ordered(source)
    title = f"{rows.num_rows:,} rows, {len(source.names)} columns"
    assert same(tensors(source).in_place(), to_tensors(encoding, rows, label).in_place())
    assert rows.num_rows <= bare(source).num_rows
    del rows

    def ratio(ours: Callable[[Source], object]) -> str:
        seconds, bare_seconds = fastest([partial(ours, source), partial(bare, source)], repeat)
        return f"{seconds / bare_seconds:.2f}"

    shown = Table("", f"times a bare read (goal ≤ {GOAL:g})", title=title)
    shown.add_row("rows as known at a date, encoded, as tensors", ratio(tensors))
    shown.add_row("the same rows as a table, ordered by entity", ratio(ordered))
    Console().print(shown)


if __name__ == "__main__":
    main()
