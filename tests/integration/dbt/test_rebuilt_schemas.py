"""A rebuild by this checkout's own code is allowed, and leaves nothing: the short story of test_rebuild.py.

In the default suite, as what protects schemas once refused every rebuild, and only slow tests said so.
"""

import uuid
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from lakehouse.delta.table import TableVersion, current_version
from lakehouse.settings import PROJECT_ROOT
from ml.provenance.code_archive import archive
from ml.provenance.manifest import Manifest, PinnedTable
from ml.reproduction.rebuild import rebuilt
from tests.integration.dbt.conftest import Lakehouse

AIRLINES = "carrier_code,airline_name,published_at\nAA,American,2013-09-01T08:00:00Z\n"


@pytest.fixture
def lakehouse(_engine: None, tmp_path: Path) -> Iterator[Lakehouse]:
    made = Lakehouse(tmp_path)
    (made.landing / "airlines").mkdir(parents=True)
    (made.landing / "airlines" / f"airlines_{date(2013, 9, 1)}.csv").write_text(AIRLINES)
    made.ingest()
    yield made
    made.drop()


def pin(version: TableVersion, *, is_source: bool) -> PinnedTable:
    return PinnedTable(
        name=version.name,
        table_id=version.table_id,
        version=version.version,
        file_list_hash="",
        is_source=is_source,
    )


def test_a_table_is_rebuilt_from_pinned_sources_in_schemas_that_go_away(lakehouse: Lakehouse) -> None:
    spark, schema = lakehouse.spark, f"rebuild_{uuid.uuid4().hex[:8]}"
    sources = [current_version(spark, f"{lakehouse.bronze}.{name}") for name in ("airlines", "deliveries")]
    # Of a run's manifest a build needs no more than what it read and what it made.
    manifest = Manifest.model_construct(
        upstream=tuple(pin(source, is_source=True) for source in sources),
        training_set=pin(TableVersion("history.airline_history", "", 0), is_source=False),
        columns=None,
        as_of=None,
        as_of_at=None,
    )
    with rebuilt(spark, manifest, archive(PROJECT_ROOT), schema) as found:
        rows = spark.table(found.table.name).select("carrier_code", "airline_name").collect()
        assert [tuple(row) for row in rows] == [("AA", "American")]
    left = {row[0] for row in spark.sql(f"show databases like '{schema}*'").collect()}
    assert left == set()
