"""Row rules as the YAML of dbt's sources declares them: staging keeps the rows that meet all of them."""

from functools import cache
from pathlib import Path
from typing import Any, cast

import yaml

from lakehouse.errors import LakehouseError
from lakehouse.settings import PROJECT_ROOT

STAGING = PROJECT_ROOT / "dbt_project" / "models" / "staging"


def row_rules(table: str) -> dict[str, str]:
    """The rules of a source table, name to SQL condition; none where its YAML has no `row_rules`.

    Args:
        table: `source.table` as dbt names it.

    Raises:
        LakehouseError: no dbt source of this name is declared.
    """
    declared = _declared(STAGING)
    if table not in declared:
        raise LakehouseError(
            f"no YAML below {STAGING} declares the dbt source {table}", "declare it, with its row_rules"
        )
    return declared[table]


def accepted_sql(table: str) -> list[str]:
    """The conditions under which staging accepts a row of a source table; none of any other table."""
    return [f"coalesce({sql}, false)" for sql in _declared(STAGING).get(table, {}).values()]


@cache
def _declared(folder: Path) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for path in sorted(folder.rglob("*.yml")):
        content = cast("dict[str, Any]", yaml.safe_load(path.read_text()) or {})
        for source in content.get("sources") or []:
            for table in source.get("tables") or []:
                meta = (table.get("config") or {}).get("meta") or table.get("meta") or {}
                found[f"{source['name']}.{table['name']}"] = {
                    str(name): str(sql) for name, sql in (meta.get("row_rules") or {}).items()
                }
    return found
