"""Rows of bronze that break a row rule, set aside with the rules' names: rows in = accepted + quarantined."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from expectations.profile import rows_of
from expectations.suite import Suite, within_days
from lakehouse.delta.table import TableVersion, create_table, sql_text, table_exists
from lakehouse.errors import LakehouseError
from lakehouse.ingest.set_aside import RowAside, SetAside
from lakehouse.ingest.technical import TECHNICAL_COLUMNS

SCHEMA = "bronze_quarantine"
# Keys of rows that a message names.
SHOWN = 3


@dataclass(frozen=True)
class Quarantined:
    """How the rows of some days were divided.

    Args:
        rows_in: rows in bronze.
        accepted: rows that keep every rule, which is what staging reads.
        quarantined: rows in the quarantine table.
        by_rule: how many rows break each rule; a row may break several.
    """

    table: str
    rows_in: int
    accepted: int
    quarantined: int
    by_rule: Mapping[str, int]


def quarantine_table(table: str) -> str:
    """Where the rows of a bronze table go that break a rule.

    >>> quarantine_table("bronze.flight_schedule")
    'bronze_quarantine.flight_schedule'
    """
    return f"{SCHEMA}.{table.rpartition('.')[2]}"


def quarantine(
    spark: SparkSession,
    suite: Suite,
    version: TableVersion,
    days: Sequence[date] | None,
    rows_in: int,
    accepted: int,
) -> Quarantined:
    """Bring the quarantine table in line with the rules, for the rows of some days of a version.

    Bronze keeps every row; staging leaves out, by the same rules, exactly the rows that are copied here. A
    second call changes nothing; after a rule was changed, it replaces the rows of these days in one commit.
    Rows of superseded batches, which nobody reads, are not here either.

    Args:
        rows_in: rows that bronze has on these days in this version.
        accepted: those of them that keep every rule.

    Raises:
        LakehouseError: accepted and quarantined rows don't add up to the rows in bronze.
    """
    where = "true" if days is None or suite.day is None else within_days(suite.day, days)
    target = quarantine_table(suite.table)
    columns = spark.table(target).columns if table_exists(spark, target) else None
    stored = _content(spark.table(target).where(where), columns) if columns is not None else None
    # The common case costs no second look at bronze: all rows were accepted, and none is set aside.
    if rows_in > accepted or stored:
        rejected = spark.sql(
            f"select *, {_broken_rules(suite)} as broken_rules "
            f"from {version.name} version as of {version.version} "
            f"where {rows_of(suite, days)} and not ({suite.accepted})"
        )
        if columns is None:
            _create(spark, target, rejected)
        # A column that came to bronze later is not in quarantine yet.
        has_more = columns is None or bool(set(rejected.columns) - set(columns))
        if has_more or _content(rejected, columns) != stored:
            writer = rejected.write.format("delta").mode("overwrite").option("mergeSchema", "true")
            writer.option("replaceWhere", where).saveAsTable(target)
        stored = _content(spark.table(target).where(where), rejected.columns)
    outcome = Quarantined(
        suite.table,
        rows_in=rows_in,
        accepted=accepted,
        quarantined=sum(rows for rows, _ in (stored or {}).values()),
        by_rule=_by_rule(stored or {}),
    )
    if outcome.rows_in != outcome.accepted + outcome.quarantined:
        raise LakehouseError(
            f"{suite.table}: {outcome.rows_in} rows came in, but {outcome.accepted} were accepted and "
            f"{outcome.quarantined} are in {target}",
            f"check again; if it stays so, drop {target}: it is recreated from bronze",
        )
    return outcome


def _broken_rules(suite: Suite) -> str:
    """SQL for the names of the rules that a row breaks."""
    names = ", ".join(f"if(coalesce({sql}, false), null, '{name}')" for name, sql in suite.rules.items())
    return f"filter(cast(array({names}) as array<string>), rule -> rule is not null)"


# (batch, names of the broken rules) → how many rows, and the sum of their hashes.
_Content = dict[tuple[str, tuple[str, ...]], tuple[int, int]]


def _content(rows: DataFrame, columns: Sequence[str] | None) -> _Content:
    """What rows say, in these columns: counts alone would not tell when other rows break a changed rule."""
    named = [F.col(f"`{name}`") for name in sorted(columns or ()) if name != "broken_rules"]
    hashed = F.xxhash64(F.to_json(F.struct(*named), {"ignoreNullFields": "false"})).cast("decimal(38,0)")
    counted = rows.groupBy("_batch_id", "broken_rules").agg(
        F.count(F.lit(1)).alias("row_count"), F.sum(hashed).alias("row_hashes")
    )
    return {
        (str(row["_batch_id"]), tuple(row["broken_rules"])): (int(row["row_count"]), int(row["row_hashes"]))
        for row in counted.collect()
    }


def _by_rule(content: _Content) -> dict[str, int]:
    counts: dict[str, int] = {}
    for (_, rules), (rows, _) in sorted(content.items()):
        for rule in rules:
            counts[rule] = counts.get(rule, 0) + rows
    return counts


def held(spark: SparkSession, table: str) -> list[SetAside]:
    """The batches of a bronze table that have rows which break rules, with the most frequent rules."""
    target = quarantine_table(table)
    if not table_exists(spark, target):
        return []
    rows = spark.sql(
        f"""
        select _batch_id, sum(row_count) as row_count, max_by(rules, row_count) as rules
        from (
            select _batch_id, array_join(broken_rules, ', ') as rules, count(*) as row_count
            from {target}
            group by all
        )
        group by _batch_id
        order by _batch_id
        """
    ).toArrow()
    source = table.rpartition(".")[2]
    return [
        SetAside(source, "rule", row["_batch_id"], row["row_count"], row["rules"]) for row in rows.to_pylist()
    ]


def held_rows(spark: SparkSession, table: str, batch_id: str | None, limit: int) -> list[RowAside]:
    """The first rows of a bronze table that break rules.

    Args:
        batch_id: only that one's.
        limit: at most so many.
    """
    target = quarantine_table(table)
    if not table_exists(spark, target):
        return []
    rows = spark.table(target).where("true" if batch_id is None else f"_batch_id = {sql_text(batch_id)}")
    own = [name for name in rows.columns if name not in TECHNICAL_COLUMNS and name != "broken_rules"]
    shown = rows.orderBy("_batch_id").limit(limit)
    shown = shown.select(
        "_batch_id",
        F.array_join("broken_rules", ", ").alias("rules"),
        F.to_json(F.struct(*own), {"ignoreNullFields": "false"}).alias("raw"),
    )
    return [
        RowAside(row["_batch_id"], "rule", None, row["rules"], row["raw"])
        for row in shown.toArrow().to_pylist()
    ]


def broken_rows(spark: SparkSession, suite: Suite, days: Sequence[date]) -> tuple[tuple[str, ...], str]:
    """Which rules the rows of some days break, how many rows each and the keys of some; and how to see them.

    Returns:
        a line for each rule, and a statement that shows the rows.
    """
    target = quarantine_table(suite.table)
    where = "true" if suite.day is None else within_days(suite.day, days)
    key = f"to_json(struct({', '.join(suite.key)}), map('ignoreNullFields', 'false'))"
    rows = spark.sql(
        f"""
        select rule, count(*) as row_count, slice(sort_array(collect_list(row_key)), 1, {SHOWN}) as row_keys
        from (select explode(broken_rules) as rule, {key} as row_key from {target} where {where})
        group by rule
        order by row_count desc, rule
        """
    ).collect()
    lines = tuple(
        f"{row['rule']} ({suite.rules[row['rule']]}): {row['row_count']:,} "
        f"row{'' if row['row_count'] == 1 else 's'}, such as {'; '.join(row['row_keys'])}"
        for row in rows
    )
    return lines, f"select * from {target} where {where}"


def _create(spark: SparkSession, target: str, frame: DataFrame) -> None:
    columns = [(field.name, field.dataType.simpleString()) for field in frame.schema.fields]
    create_table(
        spark, target, columns, comment="Rows of bronze that break row rules, with the rules' names."
    )
