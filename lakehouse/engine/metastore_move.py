"""The metastore's rows from Derby in the warehouse into the PostgreSQL database of the settings."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from lakehouse.engine import server
from lakehouse.engine.metastore import derby
from lakehouse.engine.metastore_tables import address, make_tables
from lakehouse.errors import LakehouseError
from lakehouse.settings import Settings, settings

_TABLES = "select TABLENAME from SYS.SYSTABLES where TABLETYPE = 'T'"


def move(config: Settings | None = None) -> dict[str, int]:
    """Copy schemas, tables and views, all or nothing; what they describe stays where it is.

    Returns:
        rows of each table; none where the warehouse has no Derby database.

    Raises:
        LakehouseError: the settings name no database, or one that knows schemas; or an engine is in use.
    """
    config = config or settings()
    if config.metastore_url is None:
        raise LakehouseError(
            "the metastore can only be moved into PostgreSQL, and the settings name no database",
            "set LAKEHOUSE_METASTORE_URL=jdbc:postgresql://HOST/DATABASE, its user and password",
        )
    old = config.warehouse.resolve() / "metastore"
    if not old.is_dir():
        return {}
    with server.stopped(config):
        make_tables(config)
        engine = sa.create_engine(address(config))
        try:
            with engine.begin() as target:
                _refuse_used(target)
                return _copy(old, target)
        finally:
            engine.dispose()


def _refuse_used(target: sa.Connection) -> None:
    known = target.execute(sa.text('select "NAME" from "DBS" where "NAME" <> \'default\' order by 1 limit 5'))
    names = ", ".join(known.scalars())
    if names:
        raise LakehouseError(f"the new metastore knows {names} already", "name an empty database")


def _copy(old: Path, target: sa.Connection) -> dict[str, int]:
    written = sa.MetaData()
    written.reflect(target)
    counts: dict[str, int] = {}
    with derby(old) as database:
        there = {str(row[0]) for row in _rows(database, _TABLES, 1)}
        tables = [table for table in written.sorted_tables if table.name in there]
        for table in reversed(tables):
            target.execute(table.delete())
        for table in tables:
            names = ", ".join(f'"{column.name}"' for column in table.columns)
            found = [
                {column.name: _value(text, column) for column, text in zip(table.columns, row, strict=True)}
                for row in _rows(database, f'select {names} from "{table.name}"', len(table.columns))
            ]
            if found:
                target.execute(table.insert(), found)
            counts[table.name] = len(found)
        for name in sorted(there - {table.name for table in tables}):
            if next(_rows(database, f'select 1 from "{name}"', 1), None):
                raise LakehouseError(f"the new metastore has no table {name}, which has rows in the old one")
    return counts


def _rows(database: Any, query: str, columns: int) -> Iterator[list[str | None]]:
    rows = database.createStatement().executeQuery(query)
    while rows.next():
        yield [rows.getString(column) for column in range(1, columns + 1)]


def _value(text: str | None, column: sa.Column[Any]) -> object:
    """A value that Derby gave as text; Hive has booleans there as Y and N."""
    if text is None:
        return None
    match column.type:
        case sa.Boolean():
            return text == "Y"
        case sa.Integer():
            return int(text)
        case sa.Float() | sa.Numeric():
            return float(text)
        case _:
            return text
