"""Which days of a table changed between two releases, and which is its newest: by its log alone."""

from datetime import date

from deltalake import DeltaTable
from pyspark.sql import SparkSession

from lakehouse.dbt.days import Ranges
from lakehouse.dbt.increments import days_replaced
from lakehouse.dbt.notes import commits
from lakehouse.delta.files import live_files
from lakehouse.delta.table import TableVersion, current_version, local_folder


def changed_days(spark: SparkSession, before: TableVersion | None, now: TableVersion) -> Ranges | None:
    """The days whose rows may differ between two versions, the later of which may be the first one.

    Returns:
        None where that may be any day: another table has the name now, or a commit does not note its days.
    """
    if before is None or before.table_id != now.table_id:
        return None
    low, high = sorted((before.version, now.version))
    log = commits(spark, now.name, current_version(spark, now.name).version - low) if low < high else []
    # A commit that the log no longer has may have written anything.
    is_known = sum(low < each.version <= high for each in log) == high - low
    return days_replaced(log, before.version, now.version) if is_known else None


def newest_day(spark: SparkSession, version: TableVersion, column: str) -> date | None:
    """The last day that a version of a table has; None where it has no row.

    By the files' statistics where the table lies on this machine, and else by Spark.
    """
    folder = local_folder(version.name)
    if folder is not None:
        actions = live_files(DeltaTable(folder, version=version.version))
        if not actions.num_rows:
            return None
        name = f"max.{column}"
        if name in actions.column_names and not actions.column(name).null_count:
            return max(actions.column(name).to_pylist())
    found = spark.sql(f"select max({column}) as newest from {version.name} version as of {version.version}")
    return found.collect()[0]["newest"]
