"""The versions of the tables that a training set was built from."""

from collections.abc import Sequence

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakehouse.delta.publications import TABLE as PUBLICATIONS
from lakehouse.delta.table import TableVersion, current_version, location, table_exists
from ml.data.training_set import file_list_hash
from ml.manifest import PinnedTable


def pin(spark: SparkSession, table: TableVersion, pinned_by: str) -> PinnedTable:
    """A version with the hash of its list of files."""
    return PinnedTable(
        name=table.name,
        table_id=table.table_id,
        version=table.version,
        file_list_hash=file_list_hash(location(spark, table.name), table.version),
        pinned_by=pinned_by,
    )


def pin_upstream(
    spark: SparkSession, built: TableVersion, upstream: Sequence[str]
) -> tuple[PinnedTable, ...]:
    """Pin the tables that a published table was built from.

    A table that is published itself is pinned at the version that readers were told of when `built` was
    published, others at their current version.

    Args:
        built: the published training set.
        upstream: the tables it reads, directly or not; those that don't exist are left out (a model that was
            never built, such as one that is switched off).
    """
    released = _released_by(spark, built)
    existing = [name for name in upstream if name in released or table_exists(spark, name)]
    return tuple(
        pin(spark, released[name], "published")
        if name in released
        else pin(spark, current_version(spark, name), "current")
        for name in existing
    )


def _released_by(spark: SparkSession, built: TableVersion) -> dict[str, TableVersion]:
    """What was published when a version was published for the first time."""
    releases = spark.table(PUBLICATIONS).withColumn("at", F.unix_micros("published_at"))
    of_built = releases.where(
        (F.col("table_name") == built.name)
        & (F.col("table_id") == built.table_id)
        & (F.col("version") == built.version)
    )
    first = of_built.agg(F.min("at").alias("at")).collect()[0]["at"]
    latest = F.max_by(F.struct("table_id", "version"), F.struct("at", "release_id")).alias("latest")
    rows = releases.where(F.col("at") <= F.lit(first)).groupBy("table_name").agg(latest).collect()
    return {
        str(row["table_name"]): TableVersion(
            row["table_name"], row["latest"]["table_id"], int(row["latest"]["version"])
        )
        for row in rows
    }
