"""What a reproduction says: identical, or what differs, and what is not as it was."""

from dataclasses import dataclass

from lakehouse.delta.table import TableVersion
from ml.changes import Change
from ml.manifest import Content


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it was logged.

    Args:
        what: `table`, `log` (Delta's), `files` (their list), `file` (one cannot be read, or is another),
            `archive`, `rows`, `row count`, `column`, `column missing`, `column added`, `weights`, `metric` or
            `predictions`.
        name: the table's, file's, column's or metric's name.
        logged, found: the two values.
        samples: a few entities, where rows can be compared.
    """

    what: str
    name: str
    logged: str
    found: str
    samples: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReproductionReport:
    """Whether a run was reproduced.

    Args:
        level: `read`, `rebuild` or `retrain`.
        table: the version whose rows were compared.
        row_count, content_hash: of the rows as logged.
        differences: empty when identical.
        changes: what is not as it was when the run was made: the causes that a difference can have.
        schema: where a rebuilt training set stays, when it was asked to.
        trained_by: whose code trained again; None where nothing was trained.
    """

    run_id: str
    level: str
    table: TableVersion
    row_count: int
    content_hash: str
    identical: bool
    differences: tuple[Difference, ...]
    changes: tuple[Change, ...] = ()
    schema: str | None = None
    trained_by: str | None = None


def compare_content(logged: Content, found: Content) -> tuple[Difference, ...]:
    """What differs between two contents, by column."""
    differences: list[Difference] = []
    if logged.row_count != found.row_count:
        differences.append(Difference("row count", "", str(logged.row_count), str(found.row_count)))
    if logged.rows != found.rows:
        differences.append(Difference("rows", "", logged.rows, found.rows))
    for name in sorted({*logged.columns, *found.columns}):
        before, after = logged.columns.get(name), found.columns.get(name)
        if before is None:
            differences.append(Difference("column added", name, "", str(after)))
        elif after is None:
            differences.append(Difference("column missing", name, before, ""))
        elif before != after:
            differences.append(Difference("column", name, before, after))
    return tuple(differences)
