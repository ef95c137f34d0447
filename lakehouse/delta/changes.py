"""Whether a table's rows changed between two versions, by the commits in its log."""

from dataclasses import replace

from pyspark.sql import SparkSession

from lakehouse.delta.log import KEEP_ROWS
from lakehouse.delta.table import TableVersion, current_version, local_commits


def rows_changed(spark: SparkSession, older: TableVersion, newer: TableVersion) -> bool:
    """Whether a table may have other rows at a later version: a commit between may have written some.

    Another table under the same name has other rows.
    """
    return stretches(spark, older, newer) != []


def stretches(
    spark: SparkSession, older: TableVersion, newer: TableVersion
) -> list[tuple[TableVersion, TableVersion]] | None:
    """The stretches of a table's history in which rows may have changed: the version before and the last one.

    Between two of them files were only put together, by which each row is in another one.

    Returns:
        None where it is not the same table, the log lacks a commit, or the second version is the earlier one.
    """
    if older.table_id != newer.table_id:
        return None
    count = current_version(spark, newer.name).version - older.version
    if count <= 0:
        return []
    if newer.version < older.version:
        return None
    commits = local_commits(newer.name, count)
    if commits is None:
        commits = [
            row.asDict() for row in spark.sql(f"describe history {newer.name} limit {count}").collect()
        ]
    operations = {int(each["version"]): each["operation"] for each in commits}
    found: list[tuple[TableVersion, TableVersion]] = []
    for version in range(older.version + 1, newer.version + 1):
        if version not in operations:
            # It may have written anything.
            return None
        if operations[version] in KEEP_ROWS:
            continue
        first = replace(newer, version=version - 1)
        if found and found[-1][1].version == version - 1:
            first, _ = found.pop()
        found.append((first, replace(newer, version=version)))
    return found
