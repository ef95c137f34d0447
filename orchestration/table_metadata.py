"""What an asset's materialization shows of its Delta table: id, version, rows, bytes and columns, cheaply."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from deltalake import DeltaTable

from lakehouse.delta.files import rows_by_day
from lakehouse.delta.log import live_files, rows_written
from lakehouse.delta.table import current_version, local_folder
from lakehouse.engine.session import spark_session
from orchestration.partitions import days_of_run, each_day


def table_metadata(name: str) -> dict[str, Any]:
    """Metadata of the newest version of a table, for a materialization, and what that one changed.

    Read from Delta's log without a Spark job: it costs the newest checkpoint and the commits after it. Where
    the table is on no disk of this machine (another cluster's warehouse), Spark is asked for id and version.

    Args:
        name: `schema.table`.
    """
    folder = local_folder(name)
    if folder is None:
        version = current_version(spark_session(), name)
        return {"delta_table_id": version.table_id, "delta_version": version.version}
    table = DeltaTable(str(folder))
    sizes = live_files(table).column("size_bytes")
    return {
        "dagster/table_name": name,
        "delta_table_id": str(table.metadata().id),
        "delta_version": table.version(),
        "dagster/row_count": table.count(),
        "files": len(sizes),
        "bytes": sum(sizes.to_pylist()),
        **rows_written(table),
    }


def show_rows_by_day(context: dg.AssetExecutionContext, key: dg.AssetKey, name: str, day: str | None) -> None:
    """Let the materialization of each day of this run say how many rows its day has.

    What `table_metadata` says is of the whole table, and the same for each day of a run.

    Args:
        key: the asset that is materialized.
        name: `schema.table`.
        day: the table's column of days; None where it has none, and nothing is said.
    """
    days = days_of_run(context)
    found = rows_by_day(name, day, *days) if days is not None and day is not None else None
    if days is None or found is None:
        return
    for each in each_day(days):
        rows = {"dagster/partition_row_count": found.get(each, 0)}
        context.add_asset_metadata(rows, asset_key=key, partition_key=each.isoformat())


def column_schema(columns: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """Declared columns as metadata of a definition.

    Args:
        columns: name to type and description.
    """
    return {
        "dagster/column_schema": dg.TableSchema(
            [
                dg.TableColumn(name, type_ or "?", description=description or None)
                for name, (type_, description) in columns.items()
            ]
        )
    }
