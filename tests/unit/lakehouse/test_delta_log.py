"""What Delta's log says of a commit's rows."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from lakehouse.delta.log import rows_written

DAY = {"numFiles": "1", "numOutputRows": "1042", "numDeletedRows": "990", "numCopiedRows": "42"}
MERGE = {
    "numOutputRows": "70",
    "numTargetRowsInserted": "5",
    "numTargetRowsUpdated": "3",
    "numTargetRowsDeleted": "2",
    "numTargetRowsCopied": "62",
}


@pytest.mark.parametrize(
    ("commits", "expected"),
    [
        ([("WRITE", DAY)], {"rows_added": 1000, "rows_removed": 990}),
        ([("WRITE", DAY), ("ADD CONSTRAINT", {})], {"rows_added": 1000, "rows_removed": 990}),
        ([("WRITE", DAY), ("OPTIMIZE", {"numOutputRows": "7"})], {"rows_added": 1000, "rows_removed": 990}),
        ([("MERGE", MERGE)], {"rows_added": 5, "rows_changed": 3, "rows_removed": 2}),
        ([("DELETE", {"numDeletedRows": "4"})], {"rows_removed": 4}),
        ([("CREATE TABLE", {})], {}),
    ],
)
def test_rows_of_the_last_commit_that_changed_any(
    tmp_path: Path, commits: list[tuple[str, dict[str, str]]], expected: dict[str, int]
) -> None:
    write_deltalake(tmp_path, pa.table({"x": [1]}))
    for version, (operation, counted) in enumerate(commits, start=1):
        info: dict[str, Any] = {"timestamp": version, "operation": operation, "operationParameters": {}}
        commit = {"commitInfo": info | {"operationMetrics": counted}}
        (tmp_path / "_delta_log" / f"{version:020}.json").write_text(json.dumps(commit) + "\n")
    assert rows_written(DeltaTable(tmp_path)) == expected
