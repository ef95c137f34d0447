"""The rows of a training set are read from its files, whatever these are like and however they lie."""

import resource
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from ml.data.read import read_arrow, read_rows, scan_arrow
from tests.unit.ml.data.training_tables import DAY, END, START, columns, names, pinned, some_rows, write


def test_rows_that_were_not_known_are_not_kept(tmp_path: Path) -> None:
    """A training as of an early day takes no memory for the days after it; label columns may be asked for."""
    rows = some_rows(900)
    at = rows.schema.get_field_index("known_at")
    known = [datetime(2020, 1, 1, tzinfo=UTC)] + [datetime(2021, 1, 1, tzinfo=UTC)] * 2
    folder = write(tmp_path / "t", rows.set_column(at, rows.schema.field(at), [pa.array(known * 300)]))
    of = pinned(folder)
    found = read_rows(folder, of, (*names(columns()), "known_at"))
    assert found.table.num_rows == len(found.order) == 300
    assert set(found.table.column("known_at").to_pylist()) == {known[0]}


def test_at_the_instant_itself_a_label_is_known_and_one_that_ends_then_is_not(tmp_path: Path) -> None:
    instant = pinned(write(tmp_path / "any", some_rows(1))).as_of_at
    tick = timedelta(microseconds=1)
    cases = {
        "row 0": (instant, None, True),
        "row 1": (instant + tick, None, False),
        "row 2": (instant - tick, instant, False),
        "row 3": (instant - tick, instant + tick, True),
    }
    rows = some_rows(len(cases))
    for name, place in (("known_at", 0), ("superseded_at", 1)):
        values = pa.array([case[place] for case in cases.values()], pa.timestamp("us", "UTC"))
        rows = rows.set_column(rows.schema.get_field_index(name), name, values)
    folder = write(tmp_path / "t", rows)
    of, wanted = pinned(folder), ("id", *names(columns()))
    known = [name for name, (_, _, is_known) in cases.items() if is_known]
    assert read_arrow(folder, of, wanted).column("id").to_pylist() == known
    scanned = pa.concat_tables(scan_arrow(folder, of, wanted, None, END, 64))
    assert sorted(scanned.column("id").to_pylist()) == known


def test_a_column_without_nulls_may_say_so(tmp_path: Path) -> None:
    rows = some_rows(300)
    strict = pa.schema(
        [field.with_nullable(field.name not in ("id", "row", "carrier")) for field in rows.schema]
    )
    loose, folder = write(tmp_path / "loose", rows), write(tmp_path / "strict", rows.cast(strict))
    wanted = names(columns())
    assert read_arrow(folder, pinned(folder), wanted).equals(read_arrow(loose, pinned(loose), wanted))


def test_a_table_of_many_files_holds_few_of_them_open(tmp_path: Path) -> None:
    folder = write(tmp_path / "t", some_rows(400), files=200)
    open_files = len(list(Path("/proc/self/fd").iterdir()))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_files + 60, hard))
    try:
        assert read_arrow(folder, pinned(folder), names(columns())).num_rows == 400
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_files_footer_is_read_once_however_many_row_groups_it_tells_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(tmp_path / "t", some_rows(400), files=2, row_group=10)
    read: list[str] = []
    read_metadata = pq.read_metadata
    monkeypatch.setattr(pq, "read_metadata", lambda path: read.append(path) or read_metadata(path))
    assert read_arrow(folder, pinned(folder), names(columns())).num_rows == 400
    assert len(read) == len(set(read)) == 2


def test_a_scan_reads_what_a_whole_read_does_from_partitions_later_columns_and_labels(tmp_path: Path) -> None:
    rows = some_rows(900)
    folder = tmp_path / "t"
    write_deltalake(folder, rows.slice(0, 300).drop_columns("x03"), partition_by=["origin"])
    corrected = rows.set_column(
        rows.schema.get_field_index("known_at"),
        "known_at",
        pa.array([datetime(2020, 3, 31, tzinfo=UTC), datetime(2020, 4, 2, tzinfo=UTC)] * 450),
    ).cast(rows.schema)
    write_deltalake(folder, corrected.slice(300), mode="append", schema_mode="merge")
    of = pinned(folder)

    expected = read_arrow(folder, of, names(columns()))
    pieces = list(scan_arrow(folder, of, names(columns()), None, END, 64))
    found = pa.concat_tables(pieces).sort_by("id")
    assert expected.num_rows == 600
    assert found.equals(expected.combine_chunks()) or found.to_pylist() == expected.to_pylist()
    assert max(piece.num_rows for piece in pieces) <= 64
    march = pa.concat_tables(scan_arrow(folder, of, names(columns()), START, END, 64))
    days = expected.column(DAY).to_pylist()
    assert march.num_rows == sum(START <= day < END for day in days)
