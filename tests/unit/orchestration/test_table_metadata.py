"""What Dagster shows of a day's materialization: the rows of that day, not of the whole table."""

from collections.abc import Iterator
from datetime import date

import dagster as dg
import pyarrow as pa
from deltalake import write_deltalake

from lakehouse.settings import settings
from orchestration.partitions import DAYS, ONE_RUN, range_tags
from orchestration.table_metadata import show_rows_by_day, table_metadata

NAME = "table_metadata.flights"
DAYS_HELD = [date(2013, 10, 1), date(2013, 10, 2), date(2013, 10, 2)]


@dg.multi_asset(specs=[dg.AssetSpec("flights")], partitions_def=DAYS, backfill_policy=ONE_RUN)
def flights(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
    write_deltalake(
        settings().tables_dir / "table_metadata.db" / "flights",
        pa.table({"flight_date": pa.array(DAYS_HELD, pa.date32())}),
        mode="overwrite",
    )
    show_rows_by_day(context, dg.AssetKey("flights"), NAME, "flight_date")
    yield dg.MaterializeResult(asset_key="flights", metadata=table_metadata(NAME))


def test_each_day_of_a_run_shows_its_own_rows() -> None:
    run = dg.materialize([flights], tags=range_tags((date(2013, 10, 1), date(2013, 10, 3))))
    shown = {
        event.partition: {
            name: event.materialization.metadata[f"dagster/{name}"].value
            for name in ("row_count", "partition_row_count")
        }
        for event in run.get_asset_materialization_events()
    }
    assert shown == {
        "2013-10-01": {"row_count": 3, "partition_row_count": 1},
        "2013-10-02": {"row_count": 3, "partition_row_count": 2},
        "2013-10-03": {"row_count": 3, "partition_row_count": 0},
    }
