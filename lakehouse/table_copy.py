"""Copies the rows of a SQL database into another that has the same tables, whatever made them."""

from collections.abc import Collection, Iterator

import sqlalchemy as sa

from lakehouse.errors import LakehouseError

# Written in one statement.
_ROWS = 500
# Alembic's, of both programs: each database has its own.
_VERSION = "alembic_version"


def copy_rows(
    source: sa.Connection, target: sa.Connection, tables: Collection[str] | None = None
) -> dict[str, int]:
    """Replace what tables of the target hold by the source's rows; the caller commits.

    Args:
        target: a PostgreSQL database with tables of these names, as the program that uses them made them.
        tables: which; by default all, but for the one that says which version they have.

    Returns:
        rows of each table that both have.

    Raises:
        LakehouseError: a table that has rows is missing in the target, or not all its rows arrived.
    """
    read, written = sa.MetaData(), sa.MetaData()
    read.reflect(source)
    written.reflect(target)
    wanted = set(read.tables) - {_VERSION} if tables is None else set(tables) & set(read.tables)
    _refuse_missing(source, [read.tables[name] for name in sorted(wanted - set(written.tables))])
    order = [table for table in written.sorted_tables if table.name in wanted]
    for table in reversed(order):
        target.execute(table.delete())
    counts: dict[str, int] = {}
    for table in order:
        counts[table.name] = _copy(source, target, read.tables[table.name], table)
        _go_on_counting(target, table)
    return counts


def _refuse_missing(source: sa.Connection, tables: Collection[sa.Table]) -> None:
    for table in tables:
        if source.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first():
            raise LakehouseError(
                f"the new database has no table {table.name}, which has rows in the old one",
                "was it made by another version of the program?",
            )


def _copy(source: sa.Connection, target: sa.Connection, read: sa.Table, written: sa.Table) -> int:
    columns = [column.name for column in written.columns if column.name in read.columns]
    rows = source.execute(sa.select(*(read.columns[name] for name in columns)))
    for some in _some(rows):
        target.execute(written.insert(), some)
    found = int(target.execute(sa.select(sa.func.count()).select_from(written)).scalar_one())
    wanted = int(source.execute(sa.select(sa.func.count()).select_from(read)).scalar_one())
    if found != wanted:
        raise LakehouseError(
            f"{read.name} has {wanted} rows, and {found} arrived", "does another process write to it?"
        )
    return found


def _some(rows: sa.CursorResult[tuple[object, ...]]) -> Iterator[list[dict[str, object]]]:
    for some in rows.mappings().partitions(_ROWS):
        yield [dict(row) for row in some]


def _go_on_counting(target: sa.Connection, table: sa.Table) -> None:
    """Numbers that the database gives come after those that were copied."""
    name = target.dialect.identifier_preparer.format_table(table)
    for column in table.primary_key.columns:
        if not isinstance(column.type, sa.Integer):
            continue
        sequence = target.execute(sa.select(sa.func.pg_get_serial_sequence(name, column.name))).scalar_one()
        if sequence is not None:
            greatest = sa.select(sa.func.coalesce(sa.func.max(column), 1)).scalar_subquery()
            target.execute(sa.select(sa.func.setval(sequence, greatest)))
