"""Whether a table's rows changed between two versions, by the commits in its log."""

from pyspark.sql import SparkSession

from lakehouse.delta.log import KEEP_ROWS
from lakehouse.delta.table import TableVersion, current_version, local_commits


def rows_changed(spark: SparkSession, older: TableVersion, newer: TableVersion) -> bool:
    """Whether a table may have other rows at a later version: a commit between may have written some.

    Another table under the same name has other rows.
    """
    if older.table_id != newer.table_id:
        return True
    count = current_version(spark, newer.name).version - older.version
    if count <= 0:
        return False
    commits = local_commits(newer.name, count)
    if commits is None:
        commits = [
            row.asDict() for row in spark.sql(f"describe history {newer.name} limit {count}").collect()
        ]
    between = [each for each in commits if older.version < int(each["version"]) <= newer.version]
    # A commit that the log no longer has may have written anything.
    is_known = len(between) == newer.version - older.version
    return not is_known or any(each["operation"] not in KEEP_ROWS for each in between)
