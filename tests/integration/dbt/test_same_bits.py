"""The values of models depend on their input alone: on no partitioning, clock, chance or order of adding."""

import re

import pytest

from lakehouse.delta.content_hash import content_hash

# Several dbt builds: minutes, not seconds.
pytestmark = pytest.mark.slow

# What makes a value depend on when, where or in which order it is computed.
FORBIDDEN = re.compile(
    r"\b(rand|randn|uuid|shuffle|now|current_timestamp|current_date|localtimestamp|monotonically_increasing_id"
    r"|spark_partition_id|input_file_name|any_value|first|last|approx_\w+|percentile_approx|corr|stddev\w*|var\w*"
    r"|tablesample)\s*\("
)
COLLECTED = re.compile(r"(?<!array_sort\()(?<!sort_array\()\bcollect_(?:list|set)\s*\(")
ADDED = re.compile(r"\b(?:sum|avg|mean)\s*\(\s*([^()]*(?:\([^()]*\)[^()]*)*)\)")


def _code(sql: str) -> str:
    """SQL in lower case, without comments and texts."""
    return re.sub(r"--[^\n]*|/\*.*?\*/|'[^']*'", " ", sql.lower(), flags=re.DOTALL)


@pytest.fixture(scope="module")
def compiled(story) -> dict[str, str]:
    """The SQL of each model for all of its days; a build leaves that of the days it computed."""
    story.lakehouse.dbt("compile", "--full-refresh")
    return story.lakehouse.compiled()


@pytest.fixture(scope="module")
def floating_columns(story, compiled) -> set[str]:
    """Names of columns that are floating-point numbers in any model."""
    lakehouse = story.lakehouse
    return {
        name
        for model in compiled
        # Ephemeral models are nothing that could be asked.
        if lakehouse.spark.catalog.tableExists(f"{lakehouse.schema}.{model}")
        for name, kind in lakehouse.table(model).dtypes
        if kind in ("double", "float")
    }


def test_compiled_sql_uses_nothing_that_varies(compiled, floating_columns) -> None:
    wrong = []
    for model, sql in compiled.items():
        code = _code(sql)
        wrong += [f"{model}: {found[0]}" for found in FORBIDDEN.finditer(code)]
        wrong += [f"{model}: unsorted {found[0]}" for found in COLLECTED.finditer(code)]
        wrong += [
            f"{model}: {found[0]} adds floating-point numbers"
            for found in ADDED.finditer(code)
            if set(re.findall(r"\w+", found[1])) & floating_columns and "decimal" not in found[1]
        ]
    assert len(compiled) >= 18
    assert wrong == []


@pytest.mark.parametrize("sql", ["sum(humidity_percent)", "avg( a.humidity_percent )"])
def test_the_lint_sees_added_doubles(sql, floating_columns) -> None:
    (found,) = ADDED.finditer(sql)
    assert set(re.findall(r"\w+", found[1])) & floating_columns


def test_any_number_of_partitions_gives_the_same_bits(story, compiled) -> None:
    lakehouse, spark = story.lakehouse, story.lakehouse.spark
    changed = {
        "spark.sql.shuffle.partitions": "2",
        # As dbt's sessions have them; coalescing would make one partition of all.
        "spark.sql.ansi.enabled": "false",
        "spark.sql.constraintPropagation.enabled": "false",
        "spark.sql.adaptive.coalescePartitions.enabled": "false",
    }
    before = {key: spark.conf.get(key) for key in changed}
    names = [name for name in story.tables if not name.startswith(("fct_", "prediction_"))]
    try:
        for key, value in changed.items():
            spark.conf.set(key, value)
        hashes = {}
        for partitions in (1, 2, 5):
            spark.conf.set("spark.sql.shuffle.partitions", str(partitions))
            hashes[partitions] = {name: content_hash(spark.sql(compiled[name])) for name in names}
    finally:
        for key, value in before.items():
            spark.conf.set(key, value)
    assert hashes[1] == hashes[2] == hashes[5]
    assert hashes[1] == {name: content_hash(lakehouse.table(name)) for name in names}
    assert "flight_training_set" in names
