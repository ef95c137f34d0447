"""Spark's content hash against a second implementation in plain Python, written from docs/content-hash.md."""

import math
import struct
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Context
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakehouse.delta.content_hash import ContentHash, content_hash
from lakehouse.errors import LakehouseError

MASK = 2**64 - 1
P1, P2, P3, P4, P5 = (
    0x9E3779B185EBCA87,
    0xC2B2AE3D27D4EB4F,
    0x165667B19E3779F9,
    0x85EBCA77C2B2AE63,
    0x27D4EB2F165667C5,
)


def rotl(value: int, by: int) -> int:
    return ((value << by) | (value >> (64 - by))) & MASK


def xxh64(data: bytes, seed: int) -> int:
    """The published XXH64."""

    def mix(accumulator: int, lane: int) -> int:
        return rotl((accumulator + lane * P2) & MASK, 31) * P1 & MASK

    at, length = 0, len(data)
    if length >= 32:
        lanes = [(seed + P1 + P2) & MASK, (seed + P2) & MASK, seed, (seed - P1) & MASK]
        while at + 32 <= length:
            lanes = [mix(lane, struct.unpack_from("<Q", data, at + 8 * i)[0]) for i, lane in enumerate(lanes)]
            at += 32
        result = sum(rotl(lane, by) for lane, by in zip(lanes, (1, 7, 12, 18), strict=True)) & MASK
        for lane in lanes:
            result = ((result ^ mix(0, lane)) * P1 + P4) & MASK
    else:
        result = (seed + P5) & MASK
    result = (result + length) & MASK
    while at + 8 <= length:
        result = (rotl(result ^ mix(0, struct.unpack_from("<Q", data, at)[0]), 27) * P1 + P4) & MASK
        at += 8
    if at + 4 <= length:
        result = (rotl(result ^ (struct.unpack_from("<I", data, at)[0] * P1 & MASK), 23) * P2 + P3) & MASK
        at += 4
    for byte in data[at:]:
        result = rotl(result ^ (byte * P5 & MASK), 11) * P1 & MASK
    for shift, prime in ((33, P2), (29, P3)):
        result = (result ^ (result >> shift)) * prime & MASK
    return result ^ (result >> 32)


def chain(*parts: bytes) -> int:
    seed = 42
    for part in parts:
        seed = xxh64(part, seed)
    return seed


def int32(number: int) -> bytes:
    return struct.pack("<i", number)


def int64(number: int) -> bytes:
    return struct.pack("<Q", number & MASK)


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def payloads(kind: str, value: Any) -> list[bytes]:
    """The payload; of an array, those of its elements."""
    if not kind.startswith("array"):
        return [payload(kind, value)]
    element = kind[len("array<") : -1]
    return [
        int64(chain(int32(each is None), *([] if each is None else [payload(element, each)])))
        for each in value
    ]


def payload(kind: str, value: Any) -> bytes:
    if kind in ("boolean", "tinyint", "smallint", "int"):
        return int32(int(value))
    if kind == "bigint":
        return int64(value)
    if kind == "date":
        return int32((value - date(1970, 1, 1)).days)
    if kind == "timestamp":
        return int64((value - EPOCH) // timedelta(microseconds=1))
    if kind == "double":
        if math.isnan(value):
            return bytes.fromhex("000000000000f87f")
        return struct.pack("<d", value + 0.0)
    if kind == "float":
        return bytes.fromhex("0000c07f") if math.isnan(value) else struct.pack("<f", value + 0.0)
    if kind == "string":
        return value.encode()
    if kind == "binary":
        return value
    assert kind.startswith("decimal")
    precision, scale = (int(part) for part in kind[8:-1].split(","))
    unscaled = int(value.scaleb(scale, Context(prec=60)))
    if precision <= 18:
        return int64(unscaled)
    return unscaled.to_bytes((unscaled + (unscaled < 0)).bit_length() // 8 + 1, "big", signed=True)


def second_implementation(
    rows: Sequence[dict[str, Any]], kinds: dict[str, str], key: Sequence[str] = ()
) -> ContentHash:
    totals = {name: [0, 0] for name in ("", *kinds)}
    for row in rows:
        for lane in (0, 1):
            hashes: dict[str, int] = {}
            for name in sorted(kinds):
                head = int64(chain(int64(lane), name.encode(), kinds[name].encode()))
                missing = row[name] is None
                value = [] if missing else payloads(kinds[name], row[name])
                hashes[name] = chain(head, int32(missing), *value)
            totals[""][lane] += chain(*[int64(hashes[name]) for name in sorted(kinds)])
            for name in kinds:
                prefix = [int64(hashes[part]) for part in key]
                totals[name][lane] += chain(*prefix, int64(hashes[name])) if key else hashes[name]
    digests = {name: "".join(f"{total & MASK:016x}" for total in lanes) for name, lanes in totals.items()}
    return ContentHash(len(rows), digests.pop(""), digests, tuple(key))


KINDS = {
    "a": "string",
    "b": "double",
    "c": "int",
    "d": "bigint",
    "e": "decimal(10,2)",
    "f": "decimal(38,3)",
    "g": "timestamp",
    "h": "date",
    "i": "boolean",
    "j": "binary",
    "k": "smallint",
    "l": "float",
    "m": "array<double>",
    "n": "array<string>",
    "o": "array<decimal(10,2)>",
}
SCHEMA = ", ".join(f"{name} {kind}" for name, kind in KINDS.items())
ROW = st.fixed_dictionaries(
    {
        "a": st.none() | st.text(st.characters(codec="utf-8"), max_size=70),
        "b": st.none() | st.sampled_from([-0.0, 0.0]) | st.floats(),
        "c": st.none() | st.integers(-(2**31), 2**31 - 1),
        "d": st.none() | st.integers(-(2**63), 2**63 - 1),
        "e": st.none() | st.decimals(-99_999_999, 99_999_999, places=2),
        "f": st.none() | st.decimals(-(10**34), 10**34, places=3),
        "g": st.none() | st.integers(-(2**50), 2**50).map(lambda us: EPOCH + timedelta(microseconds=us)),
        "h": st.none() | st.dates(date(1900, 1, 1), date(2200, 1, 1)),
        "i": st.none() | st.booleans(),
        "j": st.none() | st.binary(max_size=40),
        "k": st.none() | st.integers(-(2**15), 2**15 - 1),
        "l": st.none() | st.sampled_from([-0.0, 0.0]) | st.floats(width=32),
        "m": st.none() | st.lists(st.none() | st.floats(), max_size=3),
        "n": st.none() | st.lists(st.none() | st.sampled_from(["", "a", "b"]), max_size=4),
        "o": st.none() | st.lists(st.none() | st.decimals(-9, 9, places=2), max_size=3),
    }
)


def frame(spark: SparkSession, rows: Sequence[dict[str, Any]], schema: str = SCHEMA):
    columns = [part.split()[0] for part in schema.split(", ")]
    return spark.createDataFrame([tuple(row[name] for name in columns) for row in rows], schema)


# Each example is a Spark job: few of them, with many rows, and no shrinking.
@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
@given(rows=st.lists(ROW, max_size=30))
def test_agrees_with_the_second_implementation(spark: SparkSession, rows: list[dict[str, Any]]) -> None:
    assert content_hash(frame(spark, rows), key=["a", "d"]) == second_implementation(rows, KINDS, ["a", "d"])


# The vectors of docs/content-hash.md.
VECTORS = [
    {"id": 1, "name": "", "delay_minutes": 0.0},
    {"id": 2, "name": None, "delay_minutes": float("nan")},
    {"id": 2, "name": None, "delay_minutes": float("nan")},
    {"id": 3, "name": "Ünï", "delay_minutes": None},
]
VECTOR_SCHEMA = "id bigint, name string, delay_minutes double"


def vector_hash(spark: SparkSession, rows: Sequence[dict[str, Any]], key: Sequence[str] = ()) -> ContentHash:
    return content_hash(frame(spark, rows, VECTOR_SCHEMA), key)


def test_documented_vectors(spark: SparkSession) -> None:
    documented = ContentHash(
        4,
        "0ede0902aa42a1704ee0ab26bae02fae",
        {
            "id": "77b99df2dc5a67e0d8ad1de67ebc3227",
            "name": "2e53dd81c95f65444e4810d2da78b3fb",
            "delay_minutes": "b2ffe168cb2f9977026d40bafd9471d1",
        },
    )
    assert vector_hash(spark, VECTORS) == documented


def test_order_partitions_and_negative_zero_do_not_matter(spark: SparkSession) -> None:
    rows = [{"id": i, "name": str(i), "delay_minutes": i / 7} for i in range(50)]
    df = frame(spark, rows, VECTOR_SCHEMA)
    expected = content_hash(df)
    assert content_hash(df.repartition(5).select("name", "delay_minutes", "id")) == expected
    assert content_hash(df.orderBy(F.desc("id")).coalesce(1)) == expected
    assert (
        content_hash(df.withColumn("delay_minutes", F.expr("if(id = 0, -0.0D, delay_minutes)"))) == expected
    )


CHANGES = {
    "a value": lambda rows: [rows[0] | {"name": "x"}, *rows[1:]],
    "empty to NULL": lambda rows: [rows[0] | {"name": None}, *rows[1:]],
    "NaN to NULL": lambda rows: [rows[0], rows[1] | {"delay_minutes": None}, *rows[2:]],
    "a duplicate gone": lambda rows: [rows[0], *rows[2:]],
    "a duplicate more": lambda rows: [*rows, rows[1]],
    "two values swapped between rows": lambda rows: [
        rows[0] | {"delay_minutes": rows[3]["delay_minutes"]},
        *rows[1:3],
        rows[3] | {"delay_minutes": rows[0]["delay_minutes"]},
    ],
}


@pytest.mark.parametrize("change", CHANGES)
def test_any_change_moves_the_hash(spark: SparkSession, change: str) -> None:
    before = vector_hash(spark, VECTORS, ["id"])
    after = vector_hash(spark, CHANGES[change](VECTORS), ["id"])
    assert before.rows != after.rows
    if "duplicate" not in change:
        moved = {name for name in before.columns if before.columns[name] != after.columns[name]}
        assert moved == ({"name"} if change in ("a value", "empty to NULL") else {"delay_minutes"})


def test_values_swapped_between_columns_and_types_widened_move_the_hash(spark: SparkSession) -> None:
    one = spark.createDataFrame([(1, 2)], "a int, b int")
    assert content_hash(one).rows != content_hash(one.selectExpr("b as a", "a as b")).rows
    assert content_hash(one).rows != content_hash(one.selectExpr("a", "cast(b as bigint) b")).rows


def test_refuses_what_has_no_defined_hash(spark: SparkSession) -> None:
    with pytest.raises(LakehouseError, match="tags array<array<int>>"):
        content_hash(spark.sql("select 1 as id, array(array(1)) as tags"))


def test_elements_of_an_array_have_their_places(spark: SparkSession) -> None:
    arrays = [
        "array(1, 2)",
        "array(2, 1)",
        "array(1, null, 2)",
        "array(1, 2, null)",
        "array()",
        "null",
        "array(12)",
    ]
    hashes = [content_hash(spark.sql(f"select cast({each} as array<int>) as tags")).rows for each in arrays]

    assert len(set(hashes)) == len(arrays)


def test_hashing_leaves_the_sessions_settings_as_they_were(spark: SparkSession) -> None:
    names = ("spark.sql.ansi.enabled", "spark.sql.codegen.maxFields")
    before = {name: spark.conf.get(name) for name in names}
    vector_hash(spark, VECTORS)
    gone = spark.sql("select raise_error('no row can be read') as id")
    with pytest.raises(PySparkException, match="no row can be read"):
        content_hash(gone.selectExpr("cast(id as string) as id"))
    assert {name: spark.conf.get(name) for name in names} == before


def test_no_other_thread_works_without_ansi_while_a_hash_runs(spark) -> None:
    """A cast that fails must fail, and not become NULL, whatever is hashed meanwhile."""
    hashed = spark.range(400_000).select(
        "id", *[F.xxhash64("id", F.lit(n)).alias(f"c{n}") for n in range(20)]
    )
    with ThreadPoolExecutor(1) as pool:
        running, looks = pool.submit(content_hash, hashed), 0
        while not running.done():
            looks += 1
            with pytest.raises(PySparkException, match="CAST_INVALID_INPUT"):
                spark.sql("select cast('x' || id as int) from range(1)").collect()
    assert running.result().row_count == 400_000
    assert looks > 1, "the hash was over before anything ran beside it"


def test_what_only_its_session_knows_can_be_hashed(spark) -> None:
    spark.range(3).createOrReplaceTempView("of_this_session")
    local = spark.createDataFrame([(n,) for n in range(3)], "id bigint not null")
    hashes = {content_hash(rows).rows for rows in (spark.table("of_this_session"), local)}
    assert hashes == {content_hash(spark.range(3)).rows}
