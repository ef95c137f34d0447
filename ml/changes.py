"""What is not as it was: the causes that a difference can have."""

import difflib
import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from ml.environment import Environment

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
# The oldest archives did not take this folder.
_ARCHIVED_LATER = "lakehouse/"


@dataclass(frozen=True)
class Change:
    """One thing that changed.

    Args:
        kind: `source`, `setting`, `model`, `macro`, `code`, `package`, `software`, `machine`, `threads`,
            `time zone` or `metric`.
        name: the table, setting, model, file or package.
        before, after: its two values; for a file its lines, or nothing where it was not.
        diff: of a file, as `diff -u` writes it.
    """

    kind: str
    name: str
    before: str
    after: str
    diff: str = ""


def value_changes(kind: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    """The names whose values differ."""
    return tuple(
        Change(kind, name, str(before.get(name, "")), str(after.get(name, "")))
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    )


def environment_changes(before: Environment, after: Environment) -> tuple[Change, ...]:
    """Other packages, other software, another machine."""
    was, now = before.model_dump(), after.model_dump()
    fields = [
        Change(kind, name, str(was[name]), str(now[name]))
        for name, kind in _KINDS.items()
        if was[name] != now[name]
    ]
    return (*fields, *value_changes("package", before.packages, after.packages))


def code_changes(before: bytes, after: bytes) -> tuple[Change, ...]:
    """The files in which two archives of the code differ."""
    was, now = _files(before), _files(after)
    names = {*was, *now}
    if not all(any(name.startswith(_ARCHIVED_LATER) for name in files) for files in (was, now)):
        # What it was like in the older one is not known.
        names = {name for name in names if not name.startswith(_ARCHIVED_LATER)}
    return tuple(
        _file_change(name, was.get(name), now.get(name))
        for name in sorted(names)
        if was.get(name) != now.get(name)
    )


def _files(archive: bytes) -> dict[str, str]:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        members = [(member.name, tar.extractfile(member)) for member in tar.getmembers() if member.isfile()]
        return {name: file.read().decode("utf-8", "replace") for name, file in members if file}


def _file_change(name: str, before: str | None, after: str | None) -> Change:
    was, now = (before or "").splitlines(), (after or "").splitlines()
    lines = list(difflib.unified_diff(was, now, f"then/{name}", f"now/{name}", lineterm=""))
    added, removed = (sum(line.startswith(sign) for line in lines[2:]) for sign in "+-")
    return Change(
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
