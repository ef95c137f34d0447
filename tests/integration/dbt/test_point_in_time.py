"""The point-in-time join against a naive search, row by row, through everything that was known."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from lakehouse.dbt.project import run_dbt

BOTH = (("origin", "airport"), ("carrier", "airline"))
AIRPORT, AIRLINE = BOTH[:1], BOTH[1:]
WIND = {
    "from": "pit_weather",
    "time": "known_at",
    "time_as": "weather_known_at",
    "columns": ["wind", "gust"],
    "max_age": "interval 3 hours",
}


def queue_as(name: str) -> dict[str, object]:
    """The queue as a feature table whose columns get a name of their own."""
    columns = {"waiting": f"{name}_waiting"}
    return {"from": "pit_queue", "time": "as_of", "time_as": f"{name}_as_of", "columns": columns}


# A table with rows at full hours, of which only the last one before an instant counts, if it is young enough.
LOAD = {
    "from": "pit_load",
    "time": "as_of",
    "time_as": "load_as_of",
    "columns": ["load"],
    "max_age": "interval 30 minutes",
    "at": "date_trunc('hour', at)",
}
BY_ONE_KEY = [{"keys": dict(BOTH), "features": [WIND, queue_as("queue")]}]
# An airline may have the name of an airport.
BY_SEVERAL_KEYS = [
    *BY_ONE_KEY,
    {"keys": dict(AIRPORT), "features": [queue_as("airport_queue")]},
    {"keys": dict(AIRLINE), "features": [queue_as("airline_queue"), LOAD]},
]
ONLY_AT_AN_INSTANT = [{"keys": dict(AIRLINE), "features": [LOAD]}]
MAX_AGE = timedelta(hours=3)
# The hours around both changes of New York's clocks, told in UTC.
STARTS = (datetime(2013, 3, 10, 5, tzinfo=UTC), datetime(2013, 11, 3, 4, tzinfo=UTC))

# Parts that a join without a separator, or with one, would mistake for each other, or for a row's number.
keys = st.sampled_from([None, "", "a", "b", "ab", "a|b", "|", "b|a", "null", "0"])
values = st.none() | st.integers(-2, 2)
instants = st.builds(
    lambda start, quarters: start + timedelta(minutes=15 * quarters),
    st.sampled_from(STARTS),
    st.integers(0, 20),
)


@dataclass(frozen=True)
class Spine:
    number: int
    origin: str | None
    carrier: str | None
    at: datetime


@dataclass(frozen=True)
class Feature:
    airport: str | None
    airline: str | None
    known_at: datetime
    values: tuple[int | None, ...]


def features(width: int) -> st.SearchStrategy[list[Feature]]:
    return st.lists(st.builds(Feature, keys, keys, instants, st.tuples(*[values] * width)), max_size=12)


spines = st.lists(st.tuples(keys, keys, instants), min_size=1, max_size=8).map(
    lambda rows: [Spine(number, *row) for number, row in enumerate(rows)]
)


def oracle(
    row: Spine, table: list[Feature], max_age: timedelta | None, keys: tuple[tuple[str, str], ...], width: int
) -> tuple[object, ...]:
    """What was known: the latest row of the key, of equal times the greatest, NULL least; taken whole."""
    known = [
        found
        for found in table
        if all(
            getattr(row, own) is not None and getattr(row, own) == getattr(found, its) for own, its in keys
        )
        and found.known_at <= row.at
    ]
    if not known:
        return (None,) * (1 + width)

    def rank(found: Feature) -> tuple[object, ...]:
        return (found.known_at, [(value is not None, value or 0) for value in found.values])

    last = max(known, key=rank)
    if max_age is not None and last.known_at < row.at - max_age:
        return (None,) * (1 + width)
    return (last.known_at, *last.values)


def loads() -> st.SearchStrategy[list[Feature]]:
    """No two rows share key and hour."""
    hours = instants.map(lambda at: at.replace(minute=0))
    rows = st.builds(Feature, st.none(), keys, hours, st.tuples(values))
    return st.lists(rows, max_size=12, unique_by=lambda row: (row.airline, row.known_at))


def load_at(row: Spine, table: list[Feature]) -> dict[str, object]:
    """The row of the airline's at the full hour, unless that is more than half an hour ago."""
    hour = row.at.replace(minute=0)
    is_young = row.at - hour <= timedelta(minutes=30)
    for found in table:
        if is_young and row.carrier is not None and found.airline == row.carrier and found.known_at == hour:
            return {"load_as_of": hour, "load": found.values[0]}
    return {"load_as_of": None, "load": None}


def last_queue(
    row: Spine, queue: list[Feature], name: str, keys: tuple[tuple[str, str], ...]
) -> dict[str, object]:
    """What the naive search finds in the queue, under the names of `queue_as`."""
    return dict(zip((f"{name}_as_of", f"{name}_waiting"), oracle(row, queue, None, keys, 1), strict=True))


@pytest.fixture(scope="module")
def joined_sql(_engine: None, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The join's SQL by one key, by several, and without a sort, as dbt compiles it."""
    folder = tmp_path_factory.mktemp("compiled")
    return [_compiled(joins, folder) for joins in (BY_ONE_KEY, BY_SEVERAL_KEYS, ONLY_AT_AN_INSTANT)]


def _compiled(joins: list[dict[str, object]], folder: Path) -> str:
    named = "spine='pit_spine', spine_key=['number'], spine_time='at'"
    call = f"{{{{ point_in_time_join({named}, joins={joins}) }}}}"
    printed = run_dbt(["--quiet", "compile", "--inline", call, "--output", "json"], target_path=folder).output
    compiled: str = json.loads(printed[printed.index("{") :])["compiled"]
    return compiled


def _view(spark: SparkSession, name: str, rows: list[dict[str, object]], schema: pa.Schema) -> None:
    # The schema once more, as Spark's: an empty table needs it.
    frame = spark.createDataFrame(pa.Table.from_pylist(rows, schema), from_arrow_schema(schema))
    frame.createOrReplaceTempView(name)


TIME = pa.timestamp("us", "UTC")
SPINE = pa.schema([("number", pa.int64()), ("origin", pa.string()), ("carrier", pa.string()), ("at", TIME)])
KEY = [("airport", pa.string()), ("airline", pa.string())]
WEATHER = pa.schema([*KEY, ("known_at", TIME), ("wind", pa.int64()), ("gust", pa.int64())])
QUEUE = pa.schema([*KEY, ("as_of", TIME), ("waiting", pa.int64())])
LOADS = pa.schema([*KEY, ("as_of", TIME), ("load", pa.int64())])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(spine=spines, weather=features(2), queue=features(1), load=loads())
def test_each_row_sees_what_a_naive_search_finds(
    spark: SparkSession,
    joined_sql: list[str],
    spine: list[Spine],
    weather: list[Feature],
    queue: list[Feature],
    load: list[Feature],
) -> None:
    _view(spark, "pit_spine", [vars(row) for row in spine], SPINE)
    for name, schema, table in (
        ("pit_weather", WEATHER, weather),
        ("pit_queue", QUEUE, queue),
        ("pit_load", LOADS, load),
    ):
        columns = schema.names
        rows = [
            dict(zip(columns, (row.airport, row.airline, row.known_at, *row.values), strict=True))
            for row in table
        ]
        _view(spark, name, rows, schema)
    by_one_key, by_several, at_an_instant = (
        spark.sql(sql).toArrow().sort_by("number").to_pylist() for sql in joined_sql
    )
    expected = [
        vars(row)
        | dict(zip(("weather_known_at", "wind", "gust"), oracle(row, weather, MAX_AGE, BOTH, 2), strict=True))
        | last_queue(row, queue, "queue", BOTH)
        for row in spine
    ]
    assert by_one_key == expected
    assert by_several == [
        seen
        | last_queue(row, queue, "airport_queue", AIRPORT)
        | last_queue(row, queue, "airline_queue", AIRLINE)
        | load_at(row, load)
        for row, seen in zip(spine, expected, strict=True)
    ]
    assert at_an_instant == [vars(row) | load_at(row, load) for row in spine]
