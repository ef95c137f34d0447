"""A day's commits, repeated: Delta logs as many more days like it leave them, in seconds instead of hours.

Each table's commits of the newest day are copied, once per further day: data file, statistics and note are
those of the day, its dates, versions and sequence numbers counted on. What is not copied is what nobody does
daily: files are put together afterwards, by those who do it in a real year.
"""

import json
import os
import re
import uuid
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

# Columns and statistics that count commits, beside those that are days.
_VERSIONS = ("version", "features_version")
_SEQUENCE = "sequence"
# How many NULLs a file has, by the same names: these stay.
_NULLS = "nullCount"


def repeat(folder: Path, commits: int, days: int, year: int) -> None:
    """Add further days to a table, each with as many commits as its newest day had.

    Args:
        folder: of a table that one commit each added a file to.
        commits: of the newest day, the last ones of the log.
        days: how many are added.
        year: dates of it are the data's, and move on by a day each.

    Raises:
        ValueError: the newest day did more than add one file with each commit.
    """
    last = DeltaTable(folder).version()
    written = [_read(folder, version) for version in range(last - commits + 1, last + 1)]
    for actions in written:
        if [name for action in actions for name in action] != ["commitInfo", "add"]:
            raise ValueError(f"{folder}: the newest day is not like the others, take another one")
    for later in range(1, days + 1):
        moved = _Moved(later, commits, year)
        for place, (info, add) in enumerate(written):
            version = last + (later - 1) * commits + place + 1
            path = folder / f"part-00000-{uuid.uuid4()}-c000.snappy.parquet"
            rows = moved.table(pq.read_table(folder / add["add"]["path"]))
            # Times as Spark writes them, which else does not take them for times.
            pq.write_table(rows, path, compression="snappy", use_deprecated_int96_timestamps=True)
            file = {
                **add["add"],
                "path": path.name,
                "size": path.stat().st_size,
                "modificationTime": moved.milliseconds(add["add"]["modificationTime"]),
                "stats": json.dumps(moved.value(json.loads(add["add"]["stats"]))),
            }
            log = folder / "_delta_log" / f"{version:020}.json"
            commit = moved.commit(info["commitInfo"], version)
            log.write_text(
                "".join(json.dumps(each) + "\n" for each in ({"commitInfo": commit}, {"add": file}))
            )
            os.utime(log, (commit["timestamp"] / 1000,) * 2)
    # As Delta does it while it writes.
    DeltaTable(folder).create_checkpoint()
    # Hadoop's checksum of the one before.
    (folder / "_delta_log" / "._last_checkpoint.crc").unlink(missing_ok=True)


def _read(folder: Path, version: int) -> list[dict[str, Any]]:
    return [
        json.loads(line) for line in (folder / "_delta_log" / f"{version:020}.json").read_text().splitlines()
    ]


class _Moved:
    """Values of a day as they are some days later.

    Args:
        days: how much later.
        commits: of the table per day.
        year: of the dates that are the data's.
    """

    def __init__(self, days: int, commits: int, year: int) -> None:
        self._days = timedelta(days=days)
        self._commits = commits
        self._date = re.compile(rf"{year}-\d\d-\d\d")
        self._year = year

    def milliseconds(self, at: int) -> int:
        """A commit's time: a second later for each day, so that what notes say of it can be moved alike."""
        return at + self._days.days * 1000

    def commit(self, info: Mapping[str, Any], version: int) -> dict[str, Any]:
        """A commit's own description, its note with it."""
        moved = {**info, "readVersion": version - 1, "timestamp": self.milliseconds(info["timestamp"])}
        if "predicate" in info["operationParameters"]:
            moved["operationParameters"] = self.value(info["operationParameters"])
        if "userMetadata" in info:
            moved["userMetadata"] = json.dumps(self.value(json.loads(info["userMetadata"])))
        return moved

    def value(self, value: Any, name: str = "") -> Any:
        """A value of JSON, by the name that it has there."""
        match value:
            case dict():
                return {key: each if key == _NULLS else self.value(each, key) for key, each in value.items()}
            case list():
                return [self.value(each, name) for each in value]
            case int() if name in _VERSIONS:
                return value + self._days.days
            case int() if name == _SEQUENCE:
                return value + self._days.days * self._commits
            case str() if name == "at":
                moved = datetime.fromisoformat(value) + timedelta(seconds=self._days.days)
                return f"{moved:%Y-%m-%d %H:%M:%S.%f}"
            case str():
                return self._date.sub(lambda found: str(date.fromisoformat(found[0]) + self._days), value)
            case _:
                return value

    def table(self, rows: pa.Table) -> pa.Table:
        """The rows of a data file."""
        for place, field in enumerate(rows.schema):
            column = [self._cell(each, field.name) for each in rows.column(place).to_pylist()]
            rows = rows.set_column(place, field, pa.array(column, field.type))
        return rows

    def _cell(self, value: Any, name: str) -> Any:
        match value:
            case date() if value.year == self._year:
                return value + self._days
            case _:
                return self.value(value, name)
