"""Row rules as the YAML of dbt's sources declares them: staging keeps the rows that meet all of them."""

from lakehouse.dbt.manifest import manifest, meta_of
from lakehouse.errors import LakehouseError


def row_rules(table: str) -> dict[str, str]:
    """The rules of a source table, name to SQL condition; none where its YAML has no `row_rules`.

    Args:
        table: `source.table` as dbt names it.

    Raises:
        LakehouseError: no dbt source of this name is declared.
    """
    declared = _declared()
    if table not in declared:
        raise LakehouseError(
            f"no YAML below dbt_project/models declares the dbt source {table}",
            "declare it, with its row_rules",
        )
    return declared[table]


def accepted_sql(table: str) -> list[str]:
    """The row rules of a source table as conditions that a row meets or not; none of any other table."""
    return [f"coalesce({sql}, false)" for sql in _declared().get(table, {}).values()]


def _declared() -> dict[str, dict[str, str]]:
    return {
        f"{source['source_name']}.{source['name']}": {
            str(name): str(sql) for name, sql in meta_of(source).get("row_rules", {}).items()
        }
        for source in manifest()["sources"].values()
    }
