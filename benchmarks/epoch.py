"""An epoch of training against the bare compute of as many steps on one batch that stays the same.

    python -m benchmarks.epoch [--rows 60000] [--repeat 3]

Both run the shipped loop on the shipped network, on this warehouse's published training set; the second never
picks rows. Of each the fastest of some runs counts, taken in turns.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from benchmarks.published import published
from benchmarks.timing import fastest
from lakehouse.engine.session import spark_session
from ml.data.read import read_rows
from ml.encoding.tensors import Batch, Tensors, to_tensors
from ml.model.network import Shape, TabularNetwork
from ml.training.loop import fit, reproducible_torch

GOAL = 1.2
# Enough to be an epoch's measurement, and no work.
VALIDATION_ROWS = 512


@dataclass(frozen=True)
class OneBatch(Tensors):
    """As many batches as the rows make, all of them the first one."""

    def batches(self, batch_rows: int, part: int = 0, parts: int = 1) -> Iterator[Batch]:
        """The same tensors each time."""
        batch = self.part(0, batch_rows).in_place()
        return (batch for _ in range(len(self) // batch_rows))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    source = published(spark_session())
    columns, label, spec = source.columns, str(source.columns.label), source.spec
    rows = read_rows(
        source.folder, source.pinned, (columns.partition, label, *columns.categorical), columns.numeric
    )
    order = rows.order[: arguments.rows]
    encoding = source.encoding(rows.table.take(pa.array(order)))
    train = to_tensors(encoding, rows.table, label, order, rows.numbers)
    fixed = OneBatch(train.numeric, train.codes, train.labels, train.order)
    validation = train.part(0, VALIDATION_ROWS)
    budget = spec.training.model_copy(update={"epochs": 1})

    def epoch(data: Tensors) -> None:
        with reproducible_torch(budget.seed, budget.threads):
            network = TabularNetwork(encoding, Shape(**spec.network.model_dump()))
            fitted = fit(network, data, validation, budget, lambda _: None, lambda _: None)
        assert len(fitted.epochs) == 1

    shuffled, bare = fastest([lambda: epoch(train), lambda: epoch(fixed)], arguments.repeat)
    shown = Table("", f"times one batch again and again (goal ≤ {GOAL:g})", title=f"{len(train):,} rows")
    shown.add_row("an epoch of shuffled rows", f"{shuffled / bare:.2f}")
    Console().print(shown)


if __name__ == "__main__":
    main()
