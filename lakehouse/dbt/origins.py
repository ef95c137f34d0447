"""What days of a model's table were computed from, by its builds' notes: down to batches of the sources."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import reduce
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from lakehouse.dbt.commit import Commit, instant
from lakehouse.dbt.days import shifted
from lakehouse.dbt.increments import Input, inputs_of
from lakehouse.dbt.notes import Log
from lakehouse.errors import LakehouseError
from lakehouse.ingest.source import Source

# A local day begins within a day of UTC's, and a source's declared delay is a week at most.
_MARGIN = timedelta(days=8)


@dataclass(frozen=True)
class SourceDays:
    """The rows of a source that days of a model were computed from, or may have been.

    Args:
        table: `schema.table` of the source; of a model where the way back ends, as its log is gone.
        version: as the build read it.
        day: SQL over the source for the day of a row.
        first, last: days of these rows, both included; None leaves an end open.
        is_held: whether the table is still the one that had this version.
    """

    table: str
    version: int
    day: str
    first: date | None
    last: date | None
    is_held: bool = True

    def __contains__(self, day: date) -> bool:
        return (self.first is None or self.first <= day) and (self.last is None or day <= self.last)


@dataclass(frozen=True)
class Batch:
    """A delivery, and what it brought for some days.

    Args:
        file: the landing file, below the landing zone.
        first, last: days of its rows.
    """

    table: str
    batch_id: str
    file: str
    ingested_at: datetime
    first: date
    last: date
    rows: int


def writer(log: Log, table: str, version: int, first: date | None, last: date | None) -> Commit | None:
    """The newest commit up to a version that computed one of these days; None where none noted it."""
    found = (commit for commit in log(table) if commit.version <= version and commit.wrote(first, last))
    return next(found, None)


def is_held(log: Log, table: str, seen: Mapping[str, Any]) -> bool:
    """Whether a table still is the one that had a noted version: another one's commits are of other times.

    Args:
        seen: version and time, as a note has them.
    """
    at = instant(str(seen["at"]))
    return any(commit.version == seen["version"] and commit.at == at for commit in log(table))


def source_days(
    manifest: Mapping[str, Any],
    log: Log,
    model: str,
    version: int,
    first: date | None,
    last: date | None,
    *,
    through_tables: bool = True,
) -> tuple[SourceDays, ...]:
    """The sources' days that days of a model's table go back to.

    Which days of an input reach a day, the model's `inputs` say; which version of it was read, the note
    of the commit that wrote the day. Nothing is found for a table that dbt's strategy did not write.

    Args:
        manifest: dbt's.
        version: of the model's table.
        first, last: days of its rows, both included; None leaves an end open.
        through_tables: also by the tables that the model reads; else only sources that it reads itself.
    """
    return _merged(_walk(manifest, log, model, version, (first, last), through_tables))


def _walk(
    manifest: Mapping[str, Any],
    log: Log,
    model: str,
    version: int,
    days: tuple[date | None, date | None],
    through_tables: bool,
) -> Iterator[SourceDays]:
    node = _node(manifest, model)
    commit = writer(log, f"{node['schema']}.{node['alias']}", version, *days)
    inputs = inputs_of(model, node["config"]) if node["config"].get("inputs") else ()
    for given in inputs:
        table = _table(manifest, given)
        seen = commit.read.get(given.name) if commit else None
        if seen is None or not (given.is_source or through_tables):
            continue
        reached = _looked_back(given, *days)
        held = is_held(log, table, seen)
        if given.is_source or not held:
            yield SourceDays(table, int(seen["version"]), given.day or "", *reached, held)
        else:
            yield from _walk(manifest, log, given.name, int(seen["version"]), reached, through_tables)


def _looked_back(given: Input, first: date | None, last: date | None) -> tuple[date | None, date | None]:
    """The days of an input that rows of these days look back on."""
    if not given.is_source and given.day is not None:
        # It maps the input's days by what stands in its rows.
        return None, None
    low = None if first is None or given.lookback is None else shifted(first, -given.lookback)
    return low, last


def _table(manifest: Mapping[str, Any], given: Input) -> str:
    """The table of an input."""
    if not given.is_source:
        node = _node(manifest, given.name)
        return f"{node['schema']}.{node['alias']}"
    owner, _, name = given.name.partition(".")
    for source in manifest["sources"].values():
        if (source["source_name"], source["name"]) == (owner, name):
            return f"{source['schema']}.{source['identifier']}"
    raise LakehouseError(f"dbt has no source {given.name}", "`dbt ls` lists all")


def _node(manifest: Mapping[str, Any], model: str) -> Mapping[str, Any]:
    nodes: Iterable[Mapping[str, Any]] = manifest["nodes"].values()
    for node in nodes:
        if node["resource_type"] == "model" and node["name"] == model:
            return node
    raise LakehouseError(f"dbt has no model {model}", "`dbt ls` lists all")


def _merged(found: Iterable[SourceDays]) -> tuple[SourceDays, ...]:
    """One entry a table and day; what is reached in several ways with the widest days and newest version."""
    merged: dict[tuple[str, str], SourceDays] = {}
    for each in found:
        known = merged.setdefault((each.table, each.day), each)
        merged[each.table, each.day] = replace(
            known,
            version=max(known.version, each.version),
            first=None if known.first is None or each.first is None else min(known.first, each.first),
            last=None if known.last is None or each.last is None else max(known.last, each.last),
            is_held=known.is_held and each.is_held,
        )
    return tuple(merged[key] for key in sorted(merged))


def batches(
    spark: SparkSession, wanted: Iterable[SourceDays], declared: Mapping[str, Source]
) -> dict[SourceDays, list[Batch]]:
    """The batches that hold rows of these days, at the versions that were read; in one Spark job.

    Args:
        declared: the declared sources by `schema.table`; of those Delta skips the files of other days.
    """
    held = {each for each in wanted if each.is_held}
    groups: dict[tuple[str, str, int], list[SourceDays]] = {}
    for each in held:
        groups.setdefault((each.table, each.day, each.version), []).append(each)
    frames = [
        spark.sql(_batches_sql(number, _merged(group)[0], declared.get(group[0].table)))
        for number, group in enumerate(groups.values())
    ]
    rows = reduce(DataFrame.unionAll, frames).collect() if frames else []
    return {
        each: _gathered(each.table, [row for row in rows if row["number"] == number and row["day"] in each])
        for number, group in enumerate(groups.values())
        for each in group
    }


def _batches_sql(number: int, days: SourceDays, source: Source | None) -> str:
    conditions = [_between(days.day, days.first, days.last)]
    columns = source.columns if source else ()
    times = [column.name for column in columns if column.type == "timestamp" and column.name in days.day]
    if len(times) == 1:
        # The same days again, on a column that Delta skips files by.
        low = days.first and days.first - _MARGIN
        conditions.append(_between(times[0], low, days.last and days.last + _MARGIN))
    return f"""
        select
            {number} as number, {days.day} as day, _batch_id, _source_file, _ingested_at,
            count(*) as row_count
        from {days.table} version as of {days.version}
        where {" and ".join(conditions)}
        group by all
        """


def _between(column: str, first: date | None, last: date | None) -> str:
    """A condition; None leaves an end open.

    >>> _between("day", date(2013, 1, 2), None)
    "day >= date'2013-01-02' and true"
    """
    low = f"{column} >= date'{first}'" if first else "true"
    return f"{low} and {column} <= date'{last}'" if last else f"{low} and true"


def _gathered(table: str, rows: Sequence[Any]) -> list[Batch]:
    """One entry a batch, by id."""
    by_batch: dict[str, list[Any]] = {}
    for row in rows:
        by_batch.setdefault(row["_batch_id"], []).append(row)
    return [
        Batch(
            table=table,
            batch_id=batch_id,
            file=held[0]["_source_file"],
            ingested_at=held[0]["_ingested_at"].astimezone(UTC),
            first=min(row["day"] for row in held),
            last=max(row["day"] for row in held),
            rows=sum(row["row_count"] for row in held),
        )
        for batch_id, held in sorted(by_batch.items())
    ]
