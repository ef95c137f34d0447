"""Synthetic training sets as Delta tables, written without Spark."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
from deltalake import DeltaTable, WriterProperties, write_deltalake

from lakehouse.delta.table import TableVersion
from ml.data.columns import Columns
from ml.data.training_set import TrainingSet
from ml.spec import Spec, load_spec

START, END = date(2020, 3, 1), date(2020, 4, 1)
LABEL, DAY = "is_late", "day"
# `row` tells a row from another in what is encoded, too.
NUMERIC = ("row", *(f"x{number:02}" for number in range(11)))


def columns(numeric: tuple[str, ...] = NUMERIC) -> Columns:
    return Columns(
        entity=("id",),
        event_time="at",
        partition=DAY,
        numeric=numeric,
        categorical=("carrier", "origin"),
        label=LABEL,
        label_time="known_at",
        label_end="superseded_at",
    )


def some_rows(count: int, first: int = 0, numeric: tuple[str, ...] = NUMERIC, days: int = 91) -> pa.Table:
    """So many days from January on; late by two numbers and the carrier, and by chance."""
    random = np.random.default_rng(first)
    number = np.arange(first, first + count)
    values = {name: random.normal(size=count) for name in numeric} | {"row": number.astype(np.float64)}
    carrier = random.integers(0, 6, count)
    log_odds = 1.5 * values["x00"] - np.abs(values["x01"]) + (carrier == 2) * 2.0 - 0.5
    known = pa.array([datetime(2020, 1, 1, tzinfo=UTC)] * count, pa.timestamp("us", "UTC"))
    return pa.table(
        {
            "id": [f"row {each}" for each in number],
            DAY: pa.array(np.datetime64("2020-01-01") + number % days),
            LABEL: random.random(count) < 1 / (1 + np.exp(-log_odds)),
            "known_at": known,
            "superseded_at": pa.nulls(count, pa.timestamp("us", "UTC")),
            **{name: pa.array(values[name], mask=random.random(count) < 0.02) for name in numeric[1:]},
            "row": pa.array(number),
            "carrier": pa.array([f"c{each}" for each in carrier]),
            "origin": pa.array([f"o{each % 3}" for each in number]),
        }
    )


def write(folder: Path, rows: pa.Table, files: int = 1, row_group: int = 100_000) -> Path:
    """Append rows in so many files."""
    for file in range(files):
        write_deltalake(
            folder,
            rows.take(pa.array(np.arange(file, rows.num_rows, files))),
            mode="append",
            writer_properties=WriterProperties(max_row_group_size=row_group),
        )
    return folder


def pinned(folder: Path, of: Columns | None = None) -> TrainingSet:
    table = DeltaTable(folder)
    version = TableVersion("t.rows", str(table.metadata().id), table.version())
    midnight = datetime.combine(END, datetime.min.time(), UTC)
    return TrainingSet(version, of or columns(), END, midnight + timedelta(hours=4))


def names(of: Columns) -> tuple[str, ...]:
    return (of.partition, LABEL, *of.features)


def small_spec(**training: object) -> Spec:
    """The shipped spec with a network that learns fast."""
    spec = load_spec("arrival_delay").model_dump()
    budget = {"epochs": 4, "batch_size": 256, "learning_rate": 0.01, "threads": 1, "ema_decay": 0.98}
    spec |= {
        "crosses": [("carrier", "origin")],
        "segments": [],
        "encoding": {"bins": 8, "min_bin_rows": 50, "rare_below": 20},
        "network": spec["network"] | {"hidden": (16,), "dropout": 0.1, "input_dropout": 0.0},
        "training": spec["training"] | budget | training,
    }
    return Spec.model_validate(spec)
