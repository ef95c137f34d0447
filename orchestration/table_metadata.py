"""What an asset's materialization shows of its Delta table: id, version, rows, bytes and columns, cheaply."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
import pyarrow as pa
from deltalake import DeltaTable

from lakehouse.delta.table import current_version, local_folder
from lakehouse.engine.session import spark_session


def table_metadata(name: str) -> dict[str, Any]:
    """Metadata of the newest version of a table, for a materialization.

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
    sizes = pa.table(table.get_add_actions(flatten=True)).column("size_bytes")
    return {
        "dagster/table_name": name,
        "delta_table_id": str(table.metadata().id),
        "delta_version": table.version(),
        "dagster/row_count": table.count(),
        "files": len(sizes),
        "bytes": sum(sizes.to_pylist()),
    }


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
