"""The data files and columns of a table, as Delta's log has them."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from lakehouse.delta.log import live_files
from lakehouse.delta.table import TableVersion, local_folder

DayRange = tuple[date, date]


@dataclass(frozen=True)
class Files:
    """Some data files of a table's newest version."""

    files: int
    rows: int
    size_bytes: int


def local_files(name: str, day: str | None = None, ranges: Sequence[DayRange] | None = None) -> Files | None:
    """The files of a table in our engine's warehouse, or those of them that may hold rows of some days.

    Args:
        name: `schema.table`.
        day: its column of days, where `ranges` are given: first and last day of each.

    Returns:
        None where the table has no folder here.
    """
    folder = local_folder(name)
    if folder is None:
        return None
    actions = live_files(DeltaTable(folder)).to_pylist()
    held = [action for action in actions if day is None or ranges is None or may_hold(action, day, ranges)]
    return Files(
        files=len(held),
        rows=sum(int(action["num_records"] or 0) for action in held),
        size_bytes=sum(int(action["size_bytes"]) for action in held),
    )


def rows_by_day(name: str, day: str, first: date, last: date) -> dict[date, int] | None:
    """How many rows a table's newest version has of each day; a day without rows is left out.

    Read from the files that may hold these days, one column of them, without a Spark job.

    Args:
        name: `schema.table`.
        day: its column of days.
        first, last: of the days, both included.

    Returns:
        None where the table has no folder here, or its files can only be read by Spark.
    """
    folder = local_folder(name)
    if folder is None:
        return None
    try:
        found = DeltaTable(folder).to_pyarrow_table(
            columns=[day], filters=[(day, ">=", first), (day, "<=", last)]
        )
    except DeltaError:
        return None
    return {each["values"]: each["counts"] for each in found.column(day).value_counts().to_pylist()}


def data_files(folder: Path, version: int | None = None) -> set[Path]:
    """The files that make up a version of the table in a folder, the newest by default.

    Those of a shallow clone lie in other folders.
    """
    actions = live_files(DeltaTable(folder, version=version))
    return {folder / unquote(urlparse(str(path)).path) for path in actions.column("path").to_pylist()}


def may_hold(action: Mapping[str, Any], day: str, ranges: Sequence[DayRange]) -> bool:
    """Whether a file may hold rows of the days, by its statistics; one without them may hold any."""
    low, high = action.get(f"min.{day}"), action.get(f"max.{day}")
    return low is None or high is None or any(first <= high and low <= last for first, last in ranges)


def file_bounds(
    version: TableVersion, column: str, names: Collection[str]
) -> list[tuple[object, object]] | None:
    """The least and the greatest value of a column in some of a version's files, by their statistics.

    Returns:
        None where the table has no folder here, or a file says nothing of the column, or holds NULLs in it.
    """
    folder = local_folder(version.name)
    if folder is None:
        return None
    actions = live_files(DeltaTable(folder, version=version.version))
    wanted = [f"{part}.{column}" for part in ("min", "max", "null_count")]
    if not set(wanted) <= set(actions.column_names):
        return None
    found: dict[str, tuple[object, object]] = {}
    for action in actions.select(["path", *wanted]).to_pylist():
        name = unquote(str(action["path"])).rpartition("/")[2]
        low, high, nulls = (action[each] for each in wanted)
        if name in names:
            if low is None or high is None or nulls != 0:
                return None
            found[name] = (low, high)
    return list(found.values()) if found.keys() == set(names) else None


@dataclass(frozen=True)
class TableColumn:
    """A column, its type as Spark's `describe` writes it."""

    name: str
    type: str
    comment: str


@dataclass(frozen=True)
class Description:
    """What a table says of itself."""

    columns: tuple[TableColumn, ...]
    comment: str
    properties: Mapping[str, str]


def local_description(name: str) -> Description | None:
    """The columns of a table in our engine's warehouse, in order, its comment and properties.

    Returns:
        None where the table has no folder here, or its log can only be read by Spark.
    """
    folder = local_folder(name)
    if folder is None:
        return None
    try:
        table = DeltaTable(folder, without_files=True)
        schema = json.loads(table.schema().to_json())
    except DeltaError:
        return None
    columns = (
        TableColumn(field["name"], _spark_type(field["type"]), str(field["metadata"].get("comment", "")))
        for field in schema["fields"]
    )
    about = table.metadata()
    properties = {key: str(value) for key, value in about.configuration.items()}
    return Description(tuple(columns), about.description or "", properties)


# Delta's names of types where Spark's SQL has others.
_SPARK_TYPES = {"long": "bigint", "integer": "int", "short": "smallint", "byte": "tinyint"}


def _spark_type(delta: Any) -> str:
    """A type of Delta's schema as SQL writes it.

    >>> _spark_type({"type": "array", "elementType": "long", "containsNull": True})
    'array<bigint>'
    """
    if isinstance(delta, str):
        return _SPARK_TYPES.get(delta, delta)
    match delta["type"]:
        case "array":
            return f"array<{_spark_type(delta['elementType'])}>"
        case "map":
            return f"map<{_spark_type(delta['keyType'])},{_spark_type(delta['valueType'])}>"
        case _:
            fields = (f"{each['name']}:{_spark_type(each['type'])}" for each in delta["fields"])
            return f"struct<{','.join(fields)}>"
