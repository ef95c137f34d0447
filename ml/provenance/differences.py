"""What is not as it was: in a run made again, and in what it was made from and with."""

import difflib
import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from lakehouse.delta.table import TableVersion
from ml.provenance.environment import Environment
from ml.provenance.manifest import Content

# The fields of `Environment` beside the packages, and the kind of cause that each is.
_KINDS = {
    "python": "software",
    "java": "software",
    "spark": "software",
    "system": "machine",
    "cpu": "machine",
    "cpu_count": "machine",
    "cpu_capability": "machine",
    "threads": "threads",
    "time_zone": "time zone",
}


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it was.

    Args:
        kind: of a cause: `source`, `setting`, `model`, `macro`, `code`, `package`, `software`, `machine`,
            `threads` or `time zone`. Of an outcome: `table`, `log` (Delta's), `files` (their list), `file`
            (another one, or unreadable), `archive`, `rows`, `row count`, `column`, `column missing`,
            `column added`, `weights`, `metric` or `predictions`.
        name: of the table, setting, model, file, package, column or metric.
        before, after: its two values; for a code file its lines, or nothing where it was not.
        diff: of a code file, as `diff -u` writes it.
        samples: a few entities, where rows can be compared.
    """

    kind: str
    name: str
    before: str
    after: str
    diff: str = ""
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
    changes: tuple[Difference, ...] = ()
    schema: str | None = None
    trained_by: str | None = None


def value_changes(kind: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Difference, ...]:
    """The names whose values differ."""
    return tuple(
        Difference(kind, name, str(before.get(name, "")), str(after.get(name, "")))
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    )


def environment_changes(before: Environment, after: Environment) -> tuple[Difference, ...]:
    """Other packages, other software, another machine."""
    was, now = before.model_dump(), after.model_dump()
    fields = [
        Difference(kind, name, str(was[name]), str(now[name]))
        for name, kind in _KINDS.items()
        if was[name] != now[name]
    ]
    return (*fields, *value_changes("package", before.packages, after.packages))


def code_changes(before: bytes, after: bytes) -> tuple[Difference, ...]:
    """The files in which two archives of the code differ."""
    was, now = _files(before), _files(after)
    return tuple(
        _file_change(name, was.get(name), now.get(name))
        for name in sorted({*was, *now})
        if was.get(name) != now.get(name)
    )


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


def _files(archive: bytes) -> dict[str, str]:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        members = [(member.name, tar.extractfile(member)) for member in tar.getmembers() if member.isfile()]
        return {name: file.read().decode("utf-8", "replace") for name, file in members if file}


def _file_change(name: str, before: str | None, after: str | None) -> Difference:
    was, now = (before or "").splitlines(), (after or "").splitlines()
    lines = list(difflib.unified_diff(was, now, f"then/{name}", f"now/{name}", lineterm=""))
    added, removed = (sum(line.startswith(sign) for line in lines[2:]) for sign in "+-")
    return Difference(
        kind=_file_kind(name),
        name=name,
        before="" if before is None else f"{len(was)} lines",
        after="" if after is None else f"{len(now)} lines: {added} new, {removed} gone",
        diff="\n".join(lines),
    )


def _file_kind(name: str) -> str:
    """What a file is to those who read of its change.

    >>> _file_kind("dbt_project/models/features/flight_features.sql")
    'model'
    """
    parts = PurePosixPath(name).parts
    if parts[0] != "dbt_project":
        return "code"
    return {"models": "model", "macros": "macro", "snapshots": "model"}.get(parts[1], "code")
