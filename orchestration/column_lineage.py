"""From which columns each column of an asset comes, as Dagster draws it: from raw column to prediction."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from lakehouse.dbt.graph import Node, table_of
from lakehouse.dbt.manifest import DbtModels
from lakehouse.delta.files import local_description
from lakehouse.lineage.columns import NoLineageError, Origin, column_lineage
from orchestration.partitions import days_of_run
from orchestration.translator import published_key, table_key

COLUMN_LINEAGE = "dagster/column_lineage"


def show_column_lineage(
    context: dg.AssetExecutionContext, key: dg.AssetKey, origins: Mapping[str, Iterable[Origin]]
) -> None:
    """Let the newest materialization of this run say from where each column comes: the one that the UI reads.

    Args:
        key: the asset that is materialized.
        origins: its columns, each with `schema.table` and column of what it is made from.
    """
    parents = {dep.asset_key for dep in context.assets_def.specs_by_key[key].deps}
    lineage = dg.TableColumnLineage(
        {
            column: [dg.TableColumnDep(_read_as(table, parents), name) for table, name in found]
            for column, found in origins.items()
        }
    )
    # What has no days, such as a model, may stand in a run that has.
    days = None if context.assets_def.partitions_def is None else days_of_run(context)
    context.add_asset_metadata(
        {COLUMN_LINEAGE: lineage},
        asset_key=key,
        partition_key=None if days is None else days[1].isoformat(),
    )


def show_model_lineage(
    context: dg.AssetExecutionContext, key: dg.AssetKey, node: Node, target: Path, manifest: Mapping[str, Any]
) -> None:
    """Read a dbt model's column lineage from the SQL that it was just built with.

    Args:
        target: where dbt left it.
        manifest: dbt's; what no table's log tells, as of a view, its YAML may.
    """
    compiled = target / "compiled" / node["package_name"] / node["original_file_path"]
    if not compiled.is_file():
        return

    def columns_of(table: str) -> Sequence[str] | None:
        described = local_description(table)
        if described is not None:
            return tuple(each.name for each in described.columns)
        declared = next((each["columns"] for each in DbtModels(manifest) if table_of(each) == table), None)
        return None if declared is None else tuple(declared)

    try:
        origins = column_lineage(compiled.read_text(), columns_of)
    except NoLineageError as error:
        context.log.info(f"no column lineage of {table_of(node)}: {error}")
        return
    show_column_lineage(context, key, origins)


def same_columns(table: str) -> dict[str, list[Origin]]:
    """The columns of what shows a table, `schema.table`, as it is: each is that one's."""
    described = local_description(table)
    return {} if described is None else {each.name: [(table, each.name)] for each in described.columns}


def origins_of(metadata: Mapping[str, Any]) -> dict[str, list[Origin]]:
    """The lineage of a materialization's metadata, by table; none where it has none."""
    found = metadata.get(COLUMN_LINEAGE)
    if not isinstance(found, dg.TableColumnLineage):
        return {}
    return {
        column: [(".".join(each.asset_key.path), each.column_name) for each in deps]
        for column, deps in found.deps_by_column.items()
    }


def _read_as(table: str, parents: Iterable[dg.AssetKey]) -> dg.AssetKey:
    """The asset that stands for a table in the graph: behind a gate it is what that one published."""
    published = published_key(table)
    return published if published in parents else table_key(table)
