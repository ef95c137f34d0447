"""Read a run's training set again: identical, or what differs; and compare the sets of two runs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.delta.content_hash import HASH_VERSION, content_hash
from lakehouse.delta.table import TableVersion, id_at, location, table_exists
from lakehouse.errors import LakehouseError
from ml.data.training_set import file_list_hash, read_spark
from ml.manifest import FILE_NAME, Content, Manifest, load_manifest
from ml.tracking import artifact

SAMPLES = 3


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it was logged.

    Args:
        what: `table`, `files` (their list), `file` (one cannot be read), `rows`, `row count`, `column`,
            `column missing` or `column added`.
        name: the table's or the column's name.
        logged, found: the two values.
    """

    what: str
    name: str
    logged: str
    found: str


@dataclass(frozen=True)
class ReproductionReport:
    """Whether a training set was read again as it was.

    Args:
        content_hash: of the rows as logged.
        differences: empty when identical.
    """

    run_id: str
    table: TableVersion
    row_count: int
    content_hash: str
    identical: bool
    differences: tuple[Difference, ...]


def _say_nothing(_: str) -> None: ...


def manifest_of(run_id: str) -> Manifest:
    """The manifest that a training run logged.

    Raises:
        LakehouseError: there is no such run, or it has no manifest.
    """
    return load_manifest(artifact(run_id, FILE_NAME))


def read(
    spark: SparkSession, run_id: str, progress: Callable[[str], None] = _say_nothing
) -> ReproductionReport:
    """Read the pinned version of a run's training set and compare it with what was logged.

    Raises:
        LakehouseError: there is no such run, or its manifest needs other code.
    """
    manifest = manifest_of(run_id)
    progress(f"reading {manifest.training_set.table} as known on {manifest.as_of}")
    differences = compare(spark, manifest)
    return ReproductionReport(
        run_id=run_id,
        table=manifest.training_set.table,
        row_count=manifest.content.row_count,
        content_hash=manifest.content.rows,
        identical=not differences,
        differences=differences,
    )


def compare(spark: SparkSession, manifest: Manifest) -> tuple[Difference, ...]:
    """What differs between a manifest and the table it pins.

    Raises:
        LakehouseError: the manifest's hashes were made by a version of the hash that this code lacks.
    """
    if manifest.content.hash_version != HASH_VERSION:
        raise LakehouseError(
            f"logged with content hash version {manifest.content.hash_version}, this code has {HASH_VERSION}",
            "reproduce it with the code that logged it",
        )
    pin = manifest.training_set
    if not table_exists(spark, pin.name):
        return (Difference("table", pin.name, pin.table_id, "does not exist"),)
    found_id = id_at(spark, pin.table)
    if found_id != pin.table_id:
        return (Difference("table", pin.name, pin.table_id, f"{found_id} (dropped and made anew)"),)
    files = file_list_hash(location(spark, pin.name), pin.version)
    changed_files = (
        [Difference("files", pin.name, pin.file_list_hash, files)] if files != pin.file_list_hash else []
    )
    try:
        content = content_hash(read_spark(spark, manifest.pinned), manifest.columns.entity)
    except PySparkException as error:
        # A file that is missing or damaged is a finding; anything else is a failure of this command.
        if not (error.getCondition() or "").startswith("FAILED_READ_FILE"):
            raise
        return (
            *changed_files,
            Difference("file", pin.name, "readable", str(error).partition(" SQLSTATE")[0]),
        )
    return (*changed_files, *compare_content(manifest.content, Content.of(content)))


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


@dataclass(frozen=True)
class TrainingSetDiff:
    """How the training sets of two runs differ, matched by entity.

    Args:
        rows_added, rows_removed: entities only in the second run, only in the first.
        rows_changed: in both, with another value in at least one column that both have.
        changed_columns: how many rows changed in each column that changed.
        samples: a few entities for each changed column, and for `(added)` and `(removed)`.
        columns_added, columns_removed: columns only in the second run, only in the first.
    """

    run_a: str
    run_b: str
    rows_a: int
    rows_b: int
    rows_added: int
    rows_removed: int
    rows_changed: int
    changed_columns: dict[str, int]
    samples: dict[str, tuple[str, ...]]
    columns_added: tuple[str, ...]
    columns_removed: tuple[str, ...]


def diff(spark: SparkSession, run_a: str, run_b: str) -> TrainingSetDiff:
    """Compare the training sets of two runs, each as its own run pinned it.

    Raises:
        LakehouseError: a run has no manifest, a pinned table is gone, or the two have different entities.
    """
    first, second = manifest_of(run_a), manifest_of(run_b)
    key = first.columns.entity
    if key != second.columns.entity:
        raise LakehouseError(
            f"run {run_a} has the entity {', '.join(key)}, run {run_b} {', '.join(second.columns.entity)}",
            "compare runs of one spec",
        )
    before, after = read_spark(spark, first.pinned), read_spark(spark, second.pinned)
    both = [name for name in before.columns if name in after.columns and name not in key]
    joined = _matched(before, after, key, both)
    added, removed = F.col("_before").isNull(), F.col("_after").isNull()
    changed = {name: F.col(f"_changed_{name}") for name in both}
    sums = joined.agg(
        F.count_if(F.col("_before").isNotNull()).alias("rows_a"),
        F.count_if(F.col("_after").isNotNull()).alias("rows_b"),
        F.count_if(added).alias("added"),
        F.count_if(removed).alias("removed"),
        F.count_if(F.greatest(F.lit(False), F.lit(False), *changed.values())).alias("changed"),
        *[F.count_if(is_changed).alias(f"_changed_{name}") for name, is_changed in changed.items()],
    ).collect()[0]
    changed_columns = {name: int(sums[f"_changed_{name}"]) for name in both if sums[f"_changed_{name}"]}
    wanted = {name: changed[name] for name in changed_columns}
    wanted |= {"(added)": added} if sums["added"] else {}
    wanted |= {"(removed)": removed} if sums["removed"] else {}
    return TrainingSetDiff(
        run_a=run_a,
        run_b=run_b,
        rows_a=int(sums["rows_a"]),
        rows_b=int(sums["rows_b"]),
        rows_added=int(sums["added"]),
        rows_removed=int(sums["removed"]),
        rows_changed=int(sums["changed"]),
        changed_columns=changed_columns,
        samples=_samples(joined, key, wanted),
        columns_added=tuple(sorted(set(after.columns) - set(before.columns))),
        columns_removed=tuple(sorted(set(before.columns) - set(after.columns))),
    )


def _matched(before: DataFrame, after: DataFrame, key: tuple[str, ...], both: list[str]) -> DataFrame:
    """One row an entity: the key, which sides have it, and which columns differ."""
    left = before.select(*key, F.lit(1).alias("_before"), *[F.col(name).alias(f"_a_{name}") for name in both])
    right = after.select(*key, F.lit(1).alias("_after"), *[F.col(name).alias(f"_b_{name}") for name in both])
    in_both = F.col("_before").isNotNull() & F.col("_after").isNotNull()
    return left.join(right, list(key), "full_outer").select(
        *key,
        "_before",
        "_after",
        *[
            (in_both & ~F.col(f"_a_{name}").eqNullSafe(F.col(f"_b_{name}"))).alias(f"_changed_{name}")
            for name in both
        ],
    )


def _samples(joined: DataFrame, key: tuple[str, ...], wanted: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """The first few entities of each condition, as text."""
    if not wanted:
        return {}
    entity = F.concat_ws(" ", *[F.col(name).cast("string") for name in key])
    first = [
        F.slice(F.array_sort(F.collect_set(F.when(condition, entity))), 1, SAMPLES).alias(name)
        for name, condition in wanted.items()
    ]
    row = joined.agg(*first).collect()[0]
    return {name: tuple(row[name]) for name in wanted}
