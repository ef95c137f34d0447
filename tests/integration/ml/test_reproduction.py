"""A run's training set is read again after corrections, and what was tampered with is named."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from lakehouse.delta.table import location
from lakehouse.errors import LakehouseError
from ml import reproduce
from tests.integration.ml.conftest import Platform, build_platform, train_platform


@pytest.fixture
def own(spark: SparkSession, schema: str) -> Platform:
    return build_platform(spark, schema)


def test_reproduced_after_a_correction_but_not_after_tampering(own: Platform) -> None:
    spark = own.spark
    first = train_platform(own)
    spark.sql(
        f"update {own.training} "
        "set is_late = not is_late, wind_mph = if(flight_id = 'f0004', null, wind_mph) "
        "where flight_id in ('f0003', 'f0004')"
    )
    spark.sql(f"delete from {own.training} where flight_id = 'f0007'")
    own.publish(own.training)
    second = train_platform(own)

    report = reproduce.read(spark, first.run_id)
    assert report.identical, report.differences
    assert reproduce.read(spark, second.run_id).identical
    assert second.alias == "challenger"

    difference = reproduce.diff(spark, first.run_id, second.run_id)
    assert (difference.rows_a, difference.rows_b) == (62 * 8, 62 * 8 - 1)
    assert (difference.rows_added, difference.rows_removed, difference.rows_changed) == (0, 1, 2)
    assert difference.changed_columns == {"is_late": 2, "wind_mph": 1}
    assert difference.samples == {
        "is_late": ("f0003", "f0004"),
        "wind_mph": ("f0004",),
        "(removed)": ("f0007",),
    }

    path = _alter_in_place(own, "hour")
    altered = reproduce.read(spark, first.run_id)
    assert not altered.identical
    assert ("column", "hour") in [(found.what, found.name) for found in altered.differences]
    assert {found.name for found in altered.differences if found.what == "column"} == {"hour"}

    # The newest version may share this file.
    spark.sql(f"create table {own.schema}.copy using delta as select * from {own.training}")
    path.unlink()
    lost = reproduce.read(spark, first.run_id)
    assert [found.what for found in lost.differences] == ["file"]
    assert path.name in lost.differences[0].found

    spark.sql(f"drop table {own.training}")
    spark.sql(f"create table {own.training} using delta as select * from {own.schema}.copy")
    remade = reproduce.read(spark, first.run_id)
    assert [(found.what, found.name) for found in remade.differences] == [("table", own.training)]


def _alter_in_place(own: Platform, column: str) -> Path:
    """Change one value in the file that version 0 was written as, below Delta's log."""
    folder = location(own.spark, own.training)
    path = min(folder.glob("part-*.parquet"), key=lambda file: file.stat().st_mtime)
    rows = pq.read_table(path)
    values = rows.column(column).to_numpy().copy()
    values[0] += 1
    at = rows.schema.get_field_index(column)
    altered = rows.set_column(at, column, pa.array(values, rows.schema.field(column).type))
    pq.write_table(altered, path, use_deprecated_int96_timestamps=True)
    (folder / f".{path.name}.crc").unlink()
    return path


def test_an_unknown_run_is_refused(spark: SparkSession) -> None:
    with pytest.raises(LakehouseError, match="there is no training run 'nonsense'"):
        reproduce.read(spark, "nonsense")
