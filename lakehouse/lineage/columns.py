"""From which columns of which tables each column of a model comes, read from the SQL that built it."""

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError
from sqlglot.lineage import Node, lineage

# Of each `stack(…) as (…)` it says on a page that all columns of that step are its origins: so be it.
logging.getLogger("sqlglot").setLevel(logging.ERROR)

# `schema.table` and a column of it.
Origin = tuple[str, str]

# What a macro says of a statement that packs rows as values: a plain one with the same columns and tables.
_SAID = re.compile(r"\s*lineage:(.*)", re.DOTALL)


class NoLineageError(ValueError):
    """The SQL can't be followed; the message says why."""


def column_lineage(
    sql: str, columns_of: Callable[[str], Sequence[str] | None]
) -> Mapping[str, Sequence[Origin]]:
    """The columns that each column of a statement is computed from; filters and joins are not counted.

    Args:
        sql: a `select` of Spark, compiled: tables are named `schema.table`.
        columns_of: the columns of `schema.table`; None where nobody knows.

    Returns:
        each column to its origins, sorted; none for a constant.

    Raises:
        NoLineageError: the SQL is not understood, or it reads `*` of a table whose columns nobody knows.
    """
    try:
        tree = parse_one(sql, dialect="spark").transform(_as_said)
        known: dict[str, dict[str, dict[str, str]]] = {}
        for schema, table in sorted({(each.db, each.name) for each in tree.find_all(exp.Table) if each.db}):
            columns = columns_of(f"{schema}.{table}")
            if columns is not None:
                known.setdefault(schema, {})[table] = dict.fromkeys(columns, "string")
        found = lineage(None, tree, schema=known, dialect="spark", copy=False, trim_selects=False)
    except SqlglotError as error:
        raise NoLineageError(str(error)) from error
    origins = {name: sorted(set(_origins(node))) for name, node in found.items()}
    stars = {table for each in origins.values() for table, column in each if column == "*"}
    if stars or "*" in origins:
        raise NoLineageError(f"it selects * of {', '.join(sorted(stars))}, whose columns nobody knows")
    return origins


def _origins(column: Node) -> Iterator[Origin]:
    for node in column.walk():
        if isinstance(node.expression, exp.Table):
            yield f"{node.expression.db}.{node.expression.name}", node.name.rpartition(".")[2]


def _as_said(node: exp.Expr) -> exp.Expr:
    """A statement with a comment of `lineage: select …` as that one."""
    for comment in node.comments or ():
        said = _SAID.fullmatch(comment)
        if said is not None and isinstance(node, exp.Select):
            return parse_one(said[1], dialect="spark")
    return node
