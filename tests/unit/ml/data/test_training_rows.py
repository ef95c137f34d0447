"""Past its budget a training streams: each row once per epoch, shuffled, in flat memory, to the same end."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import torch

from lakehouse.errors import LakehouseError
from lakehouse.settings import PROJECT_ROOT, settings
from ml.data.read import read_arrow
from ml.data.streamed_rows import StreamedRows
from ml.data.training_rows import InMemoryRows, TrainingRows, scored, training_rows
from ml.data.training_set import split_at
from ml.encoding.encode import Encoding
from ml.encoding.tensors import EncodedRows, Tensors, to_tensors
from ml.evaluation.metrics import log_loss
from ml.training.checkpoint import Epoch
from ml.training.fit_bundle import fit_bundle, learn_encoding, refit_bundle
from ml.training.loop import reproducible_torch
from tests.unit.ml.data.training_tables import (
    DAY,
    END,
    LABEL,
    NUMERIC,
    START,
    columns,
    names,
    pinned,
    small_spec,
    some_rows,
    write,
)

ENCODING = Encoding(
    dict.fromkeys(NUMERIC, (0.0, 1.0)), {"carrier": ("c0", "c1", "c2"), "origin": ("o0", "o1", "o2")}
)
# 12 numbers and 2 codes take 68 bytes a row: more than a budget of 1 MiB.
COUNT = 40_000
BATCH = 300


def read(folder: Path, memory_mb: int | None = 1) -> TrainingRows:
    return training_rows(folder, pinned(folder), (), START, END, 0, memory_mb)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("rows") / "t", some_rows(COUNT))


def epoch(rows: EncodedRows) -> list[int]:
    """The rows in the order in which they are seen, by their number."""
    batches = list(rows.batches(BATCH))
    assert {len(batch.labels) for batch in batches} == {BATCH}
    assert len(batches) == len(rows) // BATCH
    return torch.cat([batch.numeric[:, 0] for batch in batches]).int().tolist()


def in_order(rows: EncodedRows) -> Tensors:
    return Tensors.of(*(torch.cat(part) for part in zip(*rows.in_order(1000), strict=True)))


def by_number(rows: EncodedRows) -> list[bytes]:
    """The rows without their order."""
    tensors = in_order(rows)
    order = torch.argsort(tensors.numeric[:, 0])
    return [part[order].numpy().tobytes() for part in (tensors.numeric, tensors.codes, tensors.labels)]


def test_rows_are_streamed_only_past_the_budget(table: Path) -> None:
    kinds = [type(read(table, memory_mb)) for memory_mb in (None, 3, 2, 1)]
    assert kinds == [InMemoryRows, InMemoryRows, StreamedRows, StreamedRows]


def test_rows_in_memory_are_encoded_as_those_of_the_ordered_table(tmp_path: Path) -> None:
    superseded = pa.array([datetime(2020, 2, 1, tzinfo=UTC), None] * 450, pa.timestamp("us", "UTC"))
    rows = some_rows(900)
    rows = rows.set_column(rows.schema.get_field_index("superseded_at"), "superseded_at", superseded)
    shuffled = rows.take(pa.array(np.random.default_rng(0).permutation(900)))
    folder = write(tmp_path / "t", shuffled, files=3)
    ordered = read_arrow(folder, pinned(folder), names(columns()))
    parts = split_at(ordered.column(DAY), START, END)
    expected = [
        to_tensors(ENCODING, ordered.filter(pa.array(part)), LABEL)
        for part in (parts.train, parts.validation)
    ]
    assert ordered.column("id").to_pylist() == sorted(rows.column("id").to_pylist()[1::2])
    with read(folder, None).encoded(ENCODING, print) as encoded:
        for found, wanted in zip(encoded, expected, strict=True):
            for each, other in zip(found.in_place(), wanted.in_place(), strict=True):
                assert each.numpy().tobytes() == other.numpy().tobytes()


def test_rows_after_the_validation_are_not_kept(tmp_path: Path) -> None:
    folder = write(tmp_path / "t", some_rows(900))
    rows = training_rows(folder, pinned(folder), (), START, date(2020, 3, 11), 0, None)
    assert isinstance(rows, InMemoryRows)
    # The first 70 of 91 days, ten rows each.
    assert rows.table.num_rows == len(rows.order) == 700
    assert rows.parts.train_rows + rows.parts.validation_rows == len(rows.order)


def test_numbers_are_read_once_and_what_is_wanted_as_it_is_stays_so(tmp_path: Path) -> None:
    folder = write(tmp_path / "t", some_rows(900), files=3, row_group=100)
    rows = training_rows(folder, pinned(folder), ("row",), START, END, 0, None)
    assert isinstance(rows, InMemoryRows)
    assert rows.table.schema.field("row").type == pa.int64()
    assert rows.table.schema.field("x00").type == pa.float32()
    with rows.encoded(ENCODING, print) as (train, _):
        for name, values in zip(ENCODING.edges, train.numeric.T, strict=True):
            column = rows.table.column(name).to_numpy()
            assert np.array_equal(values.numpy(), column, equal_nan=True)
            assert np.shares_memory(values.numpy(), column) == (name != "row")
    few = replace(ENCODING, edges={"x03": (0.0, 1.0), "x01": (0.0, 1.0)})
    with rows.encoded(few, print) as (train, _):
        for name, values in zip(few.edges, train.numeric.T, strict=True):
            assert np.array_equal(values.numpy(), rows.table.column(name).to_numpy(), equal_nan=True)


def test_a_date_before_all_labels_gives_no_rows(table: Path) -> None:
    early = replace(pinned(table), as_of_at=datetime(2019, 1, 1, tzinfo=UTC))
    assert training_rows(table, early, (), START, END, 0, None).parts.train_rows == 0
    assert read_arrow(table, early, names(columns())).num_rows == 0


def test_each_row_is_seen_at_most_once_an_epoch_in_an_order_that_the_seed_decides(table: Path) -> None:
    def epochs(seed: int) -> list[list[int]]:
        with reproducible_torch(seed, 1), read(table).encoded(ENCODING, print) as (train, _):
            return [epoch(train), epoch(train)]

    first, second = epochs(1)
    assert len(set(first)) == len(first)
    assert len(set(second)) == len(second)
    assert first != second
    assert sorted(first) != first
    assert epochs(1) == [first, second]
    assert epochs(2)[0] != first
    # Within what is in memory: rows have other neighbours each time.
    neighbours = set(pairwise(first)) & set(pairwise(second))
    assert len(neighbours) < len(first) / 100
    # Over all of it: what comes first is not what came first before.
    part = len(first) // 10
    assert len(set(first[:part]) & set(second[:part])) < part / 2


def test_batches_draw_no_random_numbers_after_their_order(table: Path) -> None:
    with read(table).encoded(ENCODING, print) as (train, _):
        torch.manual_seed(3)
        batches = train.batches(BATCH)
        before = torch.get_rng_state()
        assert len(list(batches)) > 50
        assert torch.equal(torch.get_rng_state(), before)


def test_what_is_streamed_is_what_would_be_in_memory(table: Path) -> None:
    with (
        read(table).encoded(ENCODING, print) as streamed,
        read(table, None).encoded(ENCODING, print) as in_memory,
    ):
        for found, expected in zip(streamed, in_memory, strict=True):
            assert len(found) == len(expected)
            assert by_number(found) == by_number(expected)


def test_how_the_rows_lie_on_disk_changes_nothing(table: Path, tmp_path: Path) -> None:
    shuffled = some_rows(COUNT).take(pa.array(np.random.default_rng(0).permutation(COUNT)))
    scattered = write(tmp_path / "t", shuffled, files=7, row_group=1000)

    def seen(folder: Path) -> list[object]:
        rows = read(folder)
        with reproducible_torch(1, 1), rows.encoded(ENCODING, print) as (train, validation):
            orders = [epoch(train), epoch(train), in_order(validation).numeric[:, 0].tolist()]
        learned_from, share = rows.to_learn_from()
        kept, scores = scored(
            rows, columns(), (DAY,), lambda piece: np.array(piece.column("row"), np.float32)
        )
        return [
            *orders,
            share,
            sorted(learned_from.column("id").to_pylist()),
            rows.validation_sample(100, 12_345).to_pylist(),
            kept.to_pylist(),
            scores.tolist(),
        ]

    assert seen(scattered) == seen(table)


def test_the_encoding_is_learned_from_training_rows_that_a_part_of_the_budget_holds(table: Path) -> None:
    learned_from, share = read(table).to_learn_from()
    assert 0.05 < share < 0.2
    assert learned_from.num_rows * 68 < 2**20 / 4
    assert max(learned_from.column(DAY).to_pylist()) < START
    rows = read(table)
    sample = rows.validation_sample(50, 7)
    assert sample.num_rows == 50
    assert min(sample.column(DAY).to_pylist()) >= START
    assert sample.column("id").to_pylist() == sorted(sample.column("id").to_pylist())


@pytest.mark.parametrize("memory_mb", [1, None], ids=["streamed", "in memory"])
def test_what_mostly_tells_days_apart_has_the_specs_day_bins(tmp_path: Path, memory_mb: int | None) -> None:
    rows = some_rows(COUNT)
    place = rows.schema.get_field_index("x02")
    of_the_day = pa.array([float(day.toordinal() % 7) for day in rows.column(DAY).to_pylist()])
    folder = write(tmp_path / "t", rows.set_column(place, "x02", of_the_day))
    spec = small_spec().having({"encoding.min_bin_rows": 1, "encoding.day_bins": 2})
    edges = learn_encoding(spec, columns(), read(folder, memory_mb)).edges
    assert {name for name, ends in edges.items() if len(ends) == 3} == {"x02"}


def test_the_spill_has_no_name_and_no_room_for_it_is_said(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = set(settings().warehouse.rglob("*"))
    with (
        pytest.raises(ZeroDivisionError),
        read(table).encoded(ENCODING, print) as (train, _),
    ):
        assert set(settings().warehouse.rglob("*")) == before
        epoch(train)
        raise ZeroDivisionError
    assert set(settings().warehouse.rglob("*")) == before
    with pytest.raises(ValueError, match="closed file"):
        epoch(train)

    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2**20))
    with (
        pytest.raises(LakehouseError, match=r"take 2 MB in .* where 1 MB are free"),
        read(table).encoded(ENCODING, print),
    ):
        pass


def test_streamed_training_ends_where_one_in_memory_does(table: Path) -> None:
    def trained(memory_mb: int | None) -> tuple[str, list[float], float]:
        spec = small_spec(memory_mb=memory_mb, epochs=3)
        of = pinned(table)
        rows = training_rows(table, of, (), START, END, 1, memory_mb)
        bundle, fitted = fit_bundle(spec, of, rows)
        validation, scores = scored(rows, columns(), (), bundle.predict)
        labels = np.array(validation.column(LABEL), np.float32)
        losses = [each.validation["log_loss"] for each in fitted.epochs]
        return bundle.weights_hash(), losses, log_loss(labels, scores)

    streamed, in_memory = trained(1), trained(None)
    assert streamed[0] != in_memory[0]
    assert trained(1) == streamed
    # A constant score has a log loss of about 0.69; seeds move this one by about 0.002.
    assert in_memory[2] < 0.56
    assert streamed[1] == pytest.approx(in_memory[1], abs=0.01)
    assert streamed[2] == pytest.approx(in_memory[2], abs=0.005)


@pytest.mark.parametrize("memory_mb", [1, None])
def test_what_validated_is_trained_on_as_well(table: Path, memory_mb: int | None) -> None:
    spec, of = small_spec(memory_mb=memory_mb), pinned(table)
    rows = training_rows(table, of, (), START, END, 1, memory_mb)
    whole = training_rows(table, of, (), END, END, 1, memory_mb)
    assert (whole.parts.train_rows, whole.parts.validation_rows) == (
        rows.parts.train_rows + rows.parts.validation_rows,
        0,
    )
    told: list[Epoch] = []
    found = refit_bundle(spec, of, rows, 2, on_epoch=told.append)
    two_epochs = spec.model_copy(update={"training": spec.training.model_copy(update={"epochs": 2})})
    expected, _ = fit_bundle(two_epochs, of, whole)
    assert found.weights_hash() == expected.weights_hash()
    assert [epoch.number for epoch in told] == [1, 2]


# Trains on a table, and prints its peak memory in MiB above that of a process that has trained before.
MEMORY = """
import json, re, sys
from pathlib import Path
from ml.data.training_rows import scored, training_rows
from ml.training.fit_bundle import fit_bundle
from tests.unit.ml.data.training_tables import END, START, columns, pinned, small_spec

def memory(kind):
    return int(re.search(kind + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

def train(folder, memory_mb):
    of = columns(numeric)
    spec = small_spec(memory_mb=memory_mb, epochs=1, batch_size=1024)
    rows = training_rows(folder, pinned(folder, of), (), START, END, 1, memory_mb)
    bundle, _ = fit_bundle(spec, pinned(folder, of), rows)
    scored(rows, of, (), bundle.predict)
    return type(rows).__name__

small, folder, memory_mb, width = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
numeric = ("row", *(f"x{number:02}" for number in range(width)))
train(small, None)
before = memory("VmRSS")
Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
kind = train(folder, memory_mb or None)
print(json.dumps({"kind": kind, "above": memory("VmHWM") - before}))
"""


@pytest.mark.slow
def test_memory_stays_flat_when_there_are_four_times_the_training_rows(tmp_path: Path) -> None:
    width, memory_mb = 60, 16
    numeric = ("row", *(f"x{number:02}" for number in range(width)))
    small = write(tmp_path / "small", some_rows(20_000, numeric=numeric))
    few, many = tmp_path / "few", tmp_path / "many"
    # 200,000 rows with March, and 600,000 more without: 51 and 206 MiB encoded.
    for folder, parts in ((few, 2), (many, 8)):
        for number in range(parts):
            write(folder, some_rows(100_000, number * 100_000, numeric, 91 if number < 2 else 60))

    def above(folder: Path, memory_mb: int) -> tuple[str, float]:
        said = subprocess.run(
            [sys.executable, "-c", MEMORY, str(small), str(folder), str(memory_mb), str(width)],
            cwd=PROJECT_ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert said.returncode == 0, said.stderr
        found = json.loads(said.stdout.splitlines()[-1])
        return found["kind"], found["above"]

    (kind, of_few), (_, of_many), (other_kind, in_memory) = (
        above(few, memory_mb), above(many, memory_mb), above(many, 0)
    )  # fmt: skip
    assert (kind, other_kind) == ("StreamedRows", "InMemoryRows")
    figures = {"streamed": of_few, "four times the rows": of_many, "these in memory": in_memory}
    # While a file is read, Arrow holds a page of about 1 MiB of each column; scoring takes some. What was
    # freed and not given back makes tens of MiB more or less; the rows that were added take 155 encoded.
    assert of_few < memory_mb + 4 * width, figures
    assert of_many < of_few + 90, figures
    assert in_memory > of_many + 150, figures
