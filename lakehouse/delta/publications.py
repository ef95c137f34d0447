"""What readers are told of: releases of checked table versions, and the views of the `published` schema."""

import re
import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import pyarrow as pa
from pyspark.sql import SparkSession

from lakehouse.delta.table import TableVersion, check_identity, create_table, id_at, table_exists
from lakehouse.errors import LakehouseError

TABLE = "lakehouse.publications"
SCHEMA = "published"

_COLUMNS = (
    ("release_id", "string not null"),
    ("table_name", "string not null"),
    ("table_id", "string not null"),
    ("version", "bigint not null"),
    ("gate", "string not null"),
    ("run_id", "string not null"),
    ("published_at", "timestamp not null"),
)
# What a view shows is kept in its properties, so that a stale one is noticed without parsing its SQL.
_SHOWN_VERSION = "lakehouse.version"
_SHOWN_ID = "lakehouse.table_id"


def publish(spark: SparkSession, versions: Sequence[TableVersion], gate: str, run_id: str) -> str:
    """Tell readers of these versions, all at once: one commit to `lakehouse.publications`, then their views.

    The commit is the release. Views that a crash left behind are re-made by the next call of any function
    here. Publishing what is published already commits nothing.

    Returns:
        the release's id: the new one, or the one in force.

    Raises:
        LakehouseError: nothing was given, two tables would share a view, or one was dropped and made anew.
    """
    if not versions:
        raise LakehouseError(f"the gate {gate} has nothing to publish", "name at least one table version")
    _create(spark)
    before = _releases(spark)
    for version in versions:
        check_identity(spark, version)
    _refuse_shared_views(spark, versions, before)
    if all(name in before and before[name][0] == version for name, version in _by_name(versions).items()):
        restore_views(spark)
        return before[versions[0].name][1]
    release_id = str(uuid.uuid4())
    now = datetime.now(UTC)
    rows = [
        {
            "release_id": release_id,
            "table_name": version.name,
            "table_id": version.table_id,
            "version": version.version,
            "gate": gate,
            "run_id": run_id,
            "published_at": now,
        }
        for version in versions
    ]
    spark.createDataFrame(pa.Table.from_pylist(rows, _ARROW)).coalesce(1).writeTo(TABLE).append()
    restore_views(spark)
    return release_id


_ARROW = pa.schema(
    [
        ("release_id", pa.string()),
        ("table_name", pa.string()),
        ("table_id", pa.string()),
        ("version", pa.int64()),
        ("gate", pa.string()),
        ("run_id", pa.string()),
        ("published_at", pa.timestamp("us", "UTC")),
    ]
)


def published_version(spark: SparkSession, name: str) -> TableVersion:
    """The version of `schema.table` that readers are told of, its view restored if a crash left it behind.

    Raises:
        LakehouseError: it was never published, or was dropped and made anew since.
    """
    found = restore_views(spark).get(name)
    if found is None:
        raise LakehouseError(
            f"{name} has not been published", "run `lakehouse check` and `lakehouse release`"
        )
    check_identity(spark, found)
    return found


def published_versions(spark: SparkSession) -> list[TableVersion]:
    """All that readers were told of, by name, their views restored if a crash left some behind.

    A table that was dropped, or made anew, since stands here too: it was published. `read_at` refuses it.
    """
    return sorted(restore_views(spark).values())


def view_name(name: str) -> str:
    """The view by which readers know a table.

    >>> view_name("features.flight_features")
    'published.flight_features'
    """
    return f"{SCHEMA}.{name.rpartition('.')[2]}"


def restore_views(spark: SparkSession) -> dict[str, TableVersion]:
    """Make each view show the version in force; one that does, or whose table is gone, is left alone.

    Returns:
        the version in force of each table, by name.
    """
    found = {name: version for name, (version, _) in _releases(spark).items()}
    shown = _shown(spark) if found else {}
    for version in found.values():
        is_stale = shown.get(view_name(version.name)) != (version.table_id, version.version)
        if is_stale and _stands(spark, version):
            spark.sql(
                f"create or replace view {view_name(version.name)} "
                f"comment '{version.name}, the version that passed its gate' "
                f"tblproperties ('{_SHOWN_ID}' = '{version.table_id}', "
                f"'{_SHOWN_VERSION}' = '{version.version}') "
                f"as select * from {version.name} version as of {version.version}"
            )
    return found


def _stands(spark: SparkSession, version: TableVersion) -> bool:
    return table_exists(spark, version.name) and id_at(spark, version) == version.table_id


def _shown(spark: SparkSession) -> dict[str, tuple[str, int]]:
    """Table id and version that each view shows."""
    rows = spark.sql(f"show table extended in {SCHEMA} like '*'").select("tableName", "information").collect()
    found: dict[str, tuple[str, int]] = {}
    for row in rows:
        shown_id = re.search(rf"{re.escape(_SHOWN_ID)}=([0-9a-fA-F-]+)", row["information"])
        version = re.search(rf"{re.escape(_SHOWN_VERSION)}=(\d+)", row["information"])
        if shown_id is not None and version is not None:
            found[f"{SCHEMA}.{row['tableName']}"] = (shown_id[1], int(version[1]))
    return found


def _create(spark: SparkSession) -> None:
    if not table_exists(spark, TABLE):
        create_table(
            spark, TABLE, _COLUMNS, comment="One row a table and release; the latest is what readers see."
        )
    spark.sql(f"create schema if not exists {SCHEMA}")


def _by_name(versions: Sequence[TableVersion]) -> dict[str, TableVersion]:
    return {version.name: version for version in versions}


def _releases(spark: SparkSession) -> dict[str, tuple[TableVersion, str]]:
    """The version of each table in force, and the release that made it so."""
    if not table_exists(spark, TABLE):
        return {}
    rows = spark.sql(
        f"""
        select
            table_name,
            max_by(struct(table_id, version, release_id), struct(published_at, release_id)) as latest
        from {TABLE}
        group by table_name
        """
    ).collect()
    return {
        str(row["table_name"]): (
            TableVersion(row["table_name"], row["latest"]["table_id"], int(row["latest"]["version"])),
            str(row["latest"]["release_id"]),
        )
        for row in rows
    }


def _refuse_shared_views(
    spark: SparkSession, versions: Sequence[TableVersion], before: Iterable[str]
) -> None:
    """Two tables of one name in different schemas would replace each other's view."""
    names = _by_name(versions)
    if len(names) != len(versions):
        raise LakehouseError("a release names a table twice", "publish one version of each table")
    owners = {view_name(name): name for name in before if name not in names}
    for name in names:
        owner = owners.setdefault(view_name(name), name)
        if owner != name and table_exists(spark, owner):
            raise LakehouseError(
                f"{owner} and {name} would both be published as {view_name(name)}",
                "give one of the two tables another name",
            )
