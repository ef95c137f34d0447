"""Proposes the declaration of a source from a table of a database, as Spark's JDBC source sees it."""

import re
from typing import Any

from pydantic import ValidationError
from pyspark.sql import DataFrame, SparkSession

from lakehouse.errors import LakehouseError
from lakehouse.ingest.database.connect import Connection, asking, connection
from lakehouse.ingest.database.declared import Database
from lakehouse.ingest.propose.proposal import (
    CHECK,
    TODO,
    Proposal,
    Proposed,
    Said,
    column_names,
    reported_time,
)

_TYPES = {
    "tinyint": "int",
    "smallint": "int",
    "int": "int",
    "bigint": "bigint",
    "float": "double",
    "double": "double",
    "boolean": "boolean",
    "string": "string",
    "date": "date",
    "timestamp": "timestamp",
    "timestamp_ntz": "timestamp",
}
_GROWS = re.compile(r"(^|_)(updated|modified|changed)(_|$)")


def propose_table(
    spark: SparkSession,
    name: str,
    table: str,
    url: str,
    *,
    user_env: str | None = None,
    password_env: str | None = None,
) -> Proposal:
    """What a table shows of its source; no row of it is read.

    Args:
        url: a JDBC URL without secrets, or the name of the variable that holds one.
        user_env, password_env: the variables that hold user and password.

    Raises:
        LakehouseError: it cannot be read, or the URL holds a secret.
    """
    is_variable = re.fullmatch(r"[A-Z][A-Z0-9_]*", url) is not None
    asked: dict[str, Any] = {"url_env" if is_variable else "url": url}
    asked |= {key: value for key, value in (("user_env", user_env), ("password_env", password_env)) if value}
    try:
        database = Database.model_validate(asked | {"table": table})
    except ValidationError as error:
        said = "; ".join(
            f"{'.'.join(map(str, each['loc']))}: {str(each['msg']).removeprefix('Value error, ')}"
            for each in error.errors()
        )
        raise LakehouseError(said, "docs/sources-database.md explains each") from None
    at = connection(name, database)
    with asking(at, table):
        frame = _read(spark, at, f"(select * from {table} lakehouse_source where 1 = 0) lakehouse_columns")
        found = {field.name: field.dataType.simpleString() for field in frame.schema.fields}
    primary = _primary_key(spark, at, table)
    return _proposal(asked | {"table": table}, f"{at.shown} {table}", found, primary)


def _proposal(database: dict[str, Any], sample: str, found: dict[str, str], primary: list[str]) -> Proposal:
    names = column_names(found)
    columns: list[Proposed] = []
    left_out: dict[str, str] = {}
    for delivered, kind in found.items():
        is_decimal = kind.startswith("decimal")
        declared = "string" if is_decimal else _TYPES.get(kind)
        if declared is None:
            left_out[delivered] = f"is {kind}: cast it in a `query`"
            continue
        note = "numeric, which text holds exactly; or double" if is_decimal else None
        columns.append(Proposed(names[delivered], delivered, declared, is_filled=True, note=note))
    reported = reported_time(columns)
    delivered = next((each.delivered for each in columns if each.name == reported), "")
    grows = reported is not None and bool(_GROWS.search(reported)) and found[delivered] == "timestamp"
    if grows:
        database |= {"watermark": Said(reported, CHECK), "lag": Said("1 minute", CHECK)}
    if "timestamp_ntz" in found.values():
        database["zone"] = Said(TODO, "of the timestamps that the database keeps without one")
    arrives = (
        Said("live", "proposed: what changed since the last load, by the watermark")
        if grows
        else Said("snapshot", "proposed: all of it each time; live, with a watermark under `database`")
    )
    keys = [names[each] for each in primary if each in names]
    return Proposal(sample, {"database": database}, columns, keys, arrives=arrives, left_out=left_out)


def _primary_key(spark: SparkSession, at: Connection, table: str) -> list[str]:
    """The columns of a table's primary key, in PostgreSQL; none where it has none, or is no such table."""
    if not at.is_postgres:
        return []
    schema, _, plain = table.rpartition(".")
    of = f"'{schema.rpartition('.')[2].lower()}'" if schema else "any (current_schemas(false))"
    sql = f"""
        (select k.column_name, k.ordinal_position
        from information_schema.table_constraints c
        join information_schema.key_column_usage k
            on k.constraint_name = c.constraint_name
            and k.table_schema = c.table_schema and k.table_name = c.table_name
        where c.constraint_type = 'PRIMARY KEY'
            and c.table_name = '{plain.lower()}' and c.table_schema = {of}) lakehouse_keys"""
    with asking(at, f"the primary key of {table}"):
        rows = _read(spark, at, sql).orderBy("ordinal_position").toArrow().to_pylist()
    return [str(row["column_name"]) for row in rows]


def _read(spark: SparkSession, at: Connection, table: str) -> DataFrame:
    return spark.read.jdbc(at.url, table, properties=dict(at.options))
