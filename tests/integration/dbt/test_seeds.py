"""A seed becomes a Delta table as it stands in its file, in one commit, and only when it changed."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from lakehouse.delta.retention import property_problems, warehouse_tables
from lakehouse.errors import LakehouseError
from tests.integration.dbt.small_project import SmallProject

# Several dbt builds: minutes, not seconds.
pytestmark = pytest.mark.slow

CODES = """zip,share,many,flag,word,quoted
00501,50%,"1,000",true, a b ,"it's a ""quote"" \\ and ${spark.app.name}"
,12%,2,false,null,"two
lines"
"""
CODES_YAML = """
seeds:
  - name: codes
    description: "It's a \\\\ backslash"
    columns:
      - {name: zip, description: "A \\"code\\" isn't a number"}
      - {name: share, description: "50% 'or' more \\\\"}
"""
TYPED_YAML = """
seeds:
  - name: typed
    config:
      column_types: {id: bigint, day: date, amount: "decimal(10,2)", is_open: boolean, at: timestamp}
"""
TYPED = "id,day,amount,is_open,at,table\n1,2013-09-01,1.50,true,2013-09-01 10:00:00,select\n,,,,,\n"


@pytest.fixture
def small(_engine: None, tmp_path: Path) -> Iterator[SmallProject]:
    project = SmallProject(tmp_path)
    yield project
    project.drop()


def test_a_seed_is_a_table_of_texts_that_only_a_change_replaces(small: SmallProject) -> None:
    small.write("seeds/codes.csv", CODES)
    small.write("seeds/codes.yml", CODES_YAML)
    # What an older warehouse has.
    small.spark.sql(f"create schema {small.schema}")
    small.spark.sql(f"create view {small.schema}.codes as select 1 as zip")
    small.dbt("seed")
    assert small.rows("codes") == sorted(
        [
            ("00501", "50%", "1,000", "true", " a b ", 'it\'s a "quote" \\ and ${spark.app.name}'),
            (None, "12%", "2", "false", None, "two\nlines"),
        ],
        key=str,
    )
    assert set(small.types("codes").values()) == {"string"}
    assert small.comments("codes") == {
        "": "It's a \\ backslash",
        "zip": 'A "code" isn\'t a number',
        "share": "50% 'or' more \\",
        "many": None,
        "flag": None,
        "word": None,
        "quoted": None,
    }
    folders = {name: path for name, path in warehouse_tables().items() if name == f"{small.schema}.codes"}
    assert len(folders) == 1
    assert property_problems(folders) == {}

    again = small.dbt("seed", "--select", "codes")
    assert "unchanged" in again.output
    assert small.commits("codes") == ["CREATE OR REPLACE TABLE AS SELECT"]
    small.dbt("seed", "--full-refresh")
    assert len(small.commits("codes")) == 2
    small.write("seeds/codes.csv", CODES.replace("00501", "00502"))
    small.dbt("seed")
    assert [row[0] for row in small.rows("codes")].count("00502") == 1
    assert len(small.commits("codes")) == 3


def test_column_types_hold_and_a_value_of_another_type_is_refused(small: SmallProject) -> None:
    small.write("seeds/typed.csv", TYPED)
    small.write("seeds/typed.yml", TYPED_YAML)
    small.dbt("seed")
    assert small.types("typed") == {
        "id": "bigint",
        "day": "date",
        "amount": "decimal(10,2)",
        "is_open": "boolean",
        "at": "timestamp",
        "table": "string",
    }
    assert [None if row[0] is None else str(row[2]) for row in small.rows("typed") if row[0]] == ["1.50"]
    small.write("seeds/typed.csv", TYPED.replace("1,2013-09-01", "1.5,2013-09-01"))
    with pytest.raises(LakehouseError, match=r"seed typed, column id: 1\.5 is not a bigint"):
        small.dbt("seed")
    assert small.commits("typed") == ["CREATE OR REPLACE TABLE AS SELECT"]


def test_a_seed_of_thousands_of_rows_is_one_commit_and_can_be_cloned(small: SmallProject) -> None:
    count = 5_000
    small.write("seeds/many.csv", "id,name\n" + "".join(f"{i:05},name {i}\n" for i in range(count)))
    small.dbt("seed")
    assert small.spark.table(f"{small.schema}.many").count() == count
    assert len(small.commits("many")) == 1

    state, clone = small.folder / "state", f"{small.schema}_clone"
    shutil.copytree(small.folder / "target", state)
    try:
        small.dbt("clone", "--state", str(state), environment={"LAKEHOUSE_DBT_SCHEMA": clone})
        assert small.spark.table(f"{clone}.many").count() == count
    finally:
        small.spark.sql(f"drop schema if exists {clone} cascade")
