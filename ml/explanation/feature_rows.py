"""Which rows of other models an entity's features come from, as dbt's YAML declares it.

The features model keeps the time of each row that it looked up; in that column's meta stands whose row it is:

    row_of: {model: feat_origin_weather, time: known_at}       the row's own column of that time
    row_of: {model: feat_legs, time: known_at, keys: {flight_id: previous_flight_id}}
    row_of: {model: int_flights}                               no time: the entity's own row

What names a row there is that model's grain, as its uniqueness test has it; `keys` says where a part of it is
found under another name. A feature comes from the row that has a column of its name. One that is renamed or
computed names its row by that column, `known_at: previous_leg_known_at`; all others are computed from the
entity's own row. Of a column of a model without a declaration nothing is said.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import reduce
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.dbt.manifest import DbtModels
from lakehouse.dbt.notes import Commit, Log
from lakehouse.dbt.origins import SourceDays, is_held, source_days, writer
from lakehouse.delta.table import TableVersion
from lakehouse.errors import LakehouseError

Values = Mapping[str, Any]

# How rows of different tables come in one job: exact to the last bit and microsecond.
_JSON = {"timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX", "ignoreNullFields": "false"}


@dataclass(frozen=True)
class RowOf:
    """A row of a model, and the features that come from it.

    Args:
        known_at: the features model's column with the time from when on the row was known.
        time: the row's own column with that time; None for the entity's own row.
        keys: the other columns that name the row → where its value is: in the features or the own row.
        copied: features that are columns of it.
        computed: features that the features model computed from it.
    """

    model: str
    known_at: str
    time: str | None
    keys: Mapping[str, str]
    copied: tuple[str, ...] = ()
    computed: tuple[str, ...] = ()


def feature_rows(models: DbtModels, features_model: str, features: Sequence[str]) -> list[RowOf]:
    """The rows that features come from, in the YAML's order; those that none comes from are left out.

    Raises:
        LakehouseError: a declaration is incomplete, or a feature could come from several rows.
    """
    meta = models.meta(features_model)
    rows = {name: _declared(models, name, each["row_of"]) for name, each in meta.items() if "row_of" in each}
    own = [name for name, row in rows.items() if row.time is None]
    if len(own) > 1:
        raise LakehouseError(
            f"{features_model}: {', '.join(own)} all name an entity's own row", "give `time` to the others"
        )
    columns = {name: set(models.meta(row.model)) - {*row.keys, row.time} for name, row in rows.items()}
    undeclared = _undeclared(models, features_model, rows.values())
    found: dict[str, list[tuple[str, bool]]] = {name: [] for name in rows}
    for feature in features:
        named = meta.get(feature, {}).get("known_at")
        having = [name for name in rows if feature in columns[name] and name not in own]
        if named is None and len(having) > 1:
            raise LakehouseError(
                f"{features_model}: {feature} may come from the row of {' or '.join(having)}",
                f"say which in its YAML: `meta: {{known_at: {having[0]}}}`",
            )
        origin = named or next(iter(having or ([] if feature in undeclared else own)), None)
        if origin is None:
            continue
        if origin not in rows:
            raise LakehouseError(
                f"{features_model}: {feature} is said to be known at {origin}, which has no `row_of`",
                "docs/explain.md shows how to declare it",
            )
        found[origin].append((feature, named is None and feature in columns[origin]))
    return [
        replace(
            row,
            copied=tuple(feature for feature, copied in found[name] if copied),
            computed=tuple(feature for feature, copied in found[name] if not copied),
        )
        for name, row in rows.items()
        if found[name] or row.time is None
    ]


def _undeclared(models: DbtModels, features_model: str, rows: Iterable[RowOf]) -> set[str]:
    """Columns of models that the features are built from, and of whose rows nothing is declared."""
    read = {given.get("model") for given in models.config(features_model).get("inputs", ())}
    others = read - {row.model for row in rows} - {None}
    return {column for model in others for column in set(models.meta(model)) - set(models.grain(model))}


def _declared(models: DbtModels, known_at: str, declared: Mapping[str, Any]) -> RowOf:
    model, time = str(declared["model"]), declared.get("time")
    grain = models.grain(model)
    if not grain or (time is not None and time not in grain):
        raise LakehouseError(
            f"{known_at}: {time} is not in the grain of {model} ({', '.join(grain) or 'not tested'})",
            "test the model's key with unique_combination or unique, the time among it",
        )
    renamed: Mapping[str, str] = declared.get("keys", {})
    keys = {column: renamed.get(column, column) for column in grain if column != time}
    return RowOf(model=model, known_at=known_at, time=time, keys=keys)


@dataclass(frozen=True)
class Deliveries:
    """What a day of a row was computed from; the row itself may rest on fewer.

    Args:
        table, version: of bronze, as it was read; or of a table on the way there that was recreated since.
        first, last: days of the rows that were read; None leaves an end open.
        batches, rows: how many, the first and last batch by id.
        is_held: else there are none, as the table was recreated.
    """

    table: str
    version: int
    first: date | None
    last: date | None
    batches: int
    rows: int
    first_batch: str | None
    last_batch: str | None
    is_held: bool


@dataclass(frozen=True)
class FoundRow:
    """A declared row, looked up again where the build of the features read it.

    What is needed to look further has no `repr`, and is not printed.

    Args:
        version: of its table; None for a view, which has none, and where no build noted it.
        key: what names it, its time aside.
        known_at: from when on it was known, ISO; None where no such row was.
        state: `same` (what was copied is there), `differs` (in `differing`), `no such row`, `not held` (the
            table no longer has the version), `not noted` (which version was read) or `none known`.
        day: the day of its table that it belongs to.
        computed_from: the deliveries behind that day.
        values: its columns; empty where it was not found.
        days: of the sources, that this day was computed from; `direct` without another table between.
    """

    of: RowOf = field(repr=False)
    model: str
    table: str
    version: int | None
    key: dict[str, str | None]
    known_at: str | None
    state: str
    day: date | None = None
    differing: tuple[str, ...] = ()
    computed_from: tuple[Deliveries, ...] = ()
    values: Values = field(default_factory=dict[str, Any], repr=False)
    days: tuple[SourceDays, ...] = field(default=(), repr=False)
    direct: tuple[SourceDays, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class FeaturesDay:
    """A day of a version of the features table, and where to read on from it."""

    spark: SparkSession
    models: DbtModels
    log: Log
    model: str
    table: TableVersion
    column: str
    day: date

    @property
    def built_in(self) -> Commit | None:
        """The commit that computed it; None where none noted it."""
        return writer(self.log, self.table.name, self.table.version, self.day, self.day)


def look_up(of: FeaturesDay, rows: Sequence[RowOf], values: Values) -> list[FoundRow]:
    """Look up the rows that the features of an entity come from, its own row first.

    Args:
        values: the entity's row of the features.
    """
    own = _look_up(of, [row for row in rows if row.time is None], values, values)
    # It holds those parts of the others' keys that are no features.
    entity = {**own[0].values, **values} if own else values
    return own + _look_up(of, [row for row in rows if row.time is not None], entity, values)


def _look_up(of: FeaturesDay, rows: Sequence[RowOf], entity: Values, values: Values) -> list[FoundRow]:
    asked = [_asked(of, row, entity) for row in rows]
    frames = {number: _where(of, row) for number, row in enumerate(asked) if row.state == "same"}
    read = read_rows(frames)
    return [
        _with_values(of, row, read[number], values) if number in frames else row
        for number, row in enumerate(asked)
    ]


def _asked(of: FeaturesDay, row: RowOf, entity: Values) -> FoundRow:
    """The row's table, version and key; its state is `same`, for now, where it can be looked up."""
    commit = of.built_in
    seen = commit.read.get(row.model) if commit else None
    key = {column: entity.get(origin) for column, origin in row.keys.items()}
    known_at = entity.get(row.known_at)
    table = of.models.table(row.model)
    if known_at is None or None in key.values():
        state = "none known"
    elif of.models.config(row.model)["materialized"] == "view":
        state = "same"
    elif seen is None:
        state = "not noted"
    else:
        state = "same" if is_held(of.log, table, seen) else "not held"
    return FoundRow(
        of=row,
        model=row.model,
        table=table,
        version=int(seen["version"]) if seen else None,
        key={column: None if value is None else str(value) for column, value in key.items()},
        known_at=known_at,
        state=state,
    )


def _where(of: FeaturesDay, row: FoundRow) -> DataFrame:
    at = f" version as of {row.version}" if row.version is not None else ""
    wanted = {**row.key}
    if row.of.time is not None:
        wanted[row.of.time] = row.known_at
    elif of.models.config(row.of.model).get("event_date") == of.column:
        wanted[of.column] = of.day.isoformat()
    return with_key(of.spark.sql(f"select * from {row.table}{at}"), wanted)


def _with_values(of: FeaturesDay, row: FoundRow, found: Sequence[Values], values: Values) -> FoundRow:
    if not found:
        return replace(row, state="no such row")
    differing = tuple(name for name in row.of.copied if found[0][name] != values[name])
    row = replace(row, values=found[0], differing=differing, state="differs" if differing else "same")
    manifest, model = of.models.manifest, row.of.model
    if row.version is None:
        # What a view shows, the features were computed from themselves.
        upstream = of.models.upstream(model)
        read = source_days(manifest, of.log, of.model, of.table.version, of.day, of.day, through_tables=False)
        days = tuple(each for each in read if each.table in upstream)
        return replace(row, days=days, direct=days)
    day = date.fromisoformat(found[0][of.models.config(model)["event_date"]])
    days, direct = (
        source_days(manifest, of.log, model, row.version, day, day, through_tables=through)
        for through in (True, False)
    )
    return replace(row, day=day, days=days, direct=direct)


def with_key(rows: DataFrame, key: Mapping[str, str | None]) -> DataFrame:
    """The rows that have these values, given as text."""
    return reduce(lambda kept, name: kept.where(F.col(name) == F.lit(key[name])), key, rows)


def read_rows(frames: Mapping[int, DataFrame]) -> dict[int, list[Values]]:
    """Rows of several tables in one job: times as ISO text in UTC, all else as JSON has it."""
    labelled = [
        rows.select(F.lit(number).alias("number"), F.to_json(F.struct("*"), _JSON).alias("row"))
        for number, rows in frames.items()
    ]
    found: dict[int, list[Values]] = {number: [] for number in frames}
    for row in reduce(DataFrame.unionAll, labelled).collect() if labelled else []:
        found[row["number"]].append(json.loads(row["row"]))
    return found
