"""Names, texts and sizes that SQL would take for something else reach the tables as they are."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lakehouse.errors import LakehouseError
from tests.integration.dbt.small_project import SmallProject

# Several dbt builds: minutes, not seconds.
pytestmark = pytest.mark.slow

ODD = """
{{ config(materialized='table', day='7d_date', contract={'enforced': true}) }}
select
    42 as `7d`,
    4 as `true`,
    5 as `null`,
    6 as `select`,
    7 as `a.b`,
    8 as `it's`,
    9 as `back``tick`,
    date'2013-09-01' as `7d_date`
"""
ODD_YAML = r"""
models:
  - name: odd
    description: "It's \"quoted\", \\ and ${spark.app.name}\nin two lines"
    columns:
      - {name: "7d", data_type: int, description: "Isn't a \"double\" \\", constraints: [{type: not_null}]}
      - {name: "true", data_type: int, description: "Line\nbreak", constraints: [{type: not_null}]}
      - {name: "null", data_type: int, constraints: [{type: not_null}]}
      - {name: "select", data_type: int}
      - {name: "a.b", data_type: int, description: Dotted, constraints: [{type: not_null}]}
      - {name: "it's", data_type: int, constraints: [{type: not_null}]}
      - {name: "back`tick", data_type: int}
      - {name: "7d_date", data_type: date}
  - name: seen
    description: "A view's \\"
    columns:
      - {name: "7d", description: "In 'a' view \\"}
      - {name: of seats, description: "With a blank"}
"""
SEEN = "select `7d`, `true`, `null`, `a.b`, 1 as `of seats` from {{ ref('odd') }}"
GROWING = (
    "{{ config(materialized='incremental', incremental_strategy='append') }} select 1 as id, 2 as `true`"
)
GROWING_YAML = """
models:
  - name: growing
    description: "{table}"
    columns:
      - {{name: id, description: "{id}"}}
      - {{name: "true", description: It is}}
"""


@pytest.fixture
def small(_engine: None, tmp_path: Path) -> Iterator[SmallProject]:
    project = SmallProject(tmp_path)
    yield project
    project.drop()


def test_names_and_texts_of_any_kind(small: SmallProject) -> None:
    small.write("models/odd.sql", ODD)
    small.write("models/odd.yml", ODD_YAML)
    small.write("models/seen.sql", SEEN)
    # Models whose names are words of SQL.
    small.write("models/order.sql", "{{ config(materialized='table') }} select 1 as `order`")
    small.write("models/select.sql", "select * from {{ ref('order') }}")
    small.dbt("run")

    assert [row[:7] for row in small.rows("odd")] == [(42, 4, 5, 6, 7, 8, 9)]
    assert list(small.types("odd")) == ["7d", "true", "null", "select", "a.b", "it's", "back`tick", "7d_date"]
    comments = small.comments("odd")
    assert comments[""] == 'It\'s "quoted", \\ and ${spark.app.name}\nin two lines'
    assert (comments["7d"], comments["true"]) == ('Isn\'t a "double" \\', "Line\nbreak")
    assert (comments["a.b"], comments["null"]) == ("Dotted", None)
    properties = small.spark.sql(f"show tblproperties {small.schema}.odd").collect()
    kept = {row["key"]: row["value"] for row in properties}
    assert kept["delta.constraints.true_not_null"] == "`true` is not null"

    assert small.rows("seen") == [(42, 4, 5, 7, 1)]
    comments = small.comments("seen")
    assert (comments[""], comments["7d"]) == ("A view's \\", "In 'a' view \\")
    assert comments["of seats"] == "With a blank"
    assert small.rows("select") == [(1,)]


def test_descriptions_that_changed_reach_the_table_and_others_commit_nothing(small: SmallProject) -> None:
    small.write("models/growing.sql", GROWING)
    small.write("models/growing.yml", GROWING_YAML.format(table="Old", id="Key"))
    small.dbt("run")
    assert small.comments("growing") == {"": "Old", "id": "Key", "true": "It is"}
    small.write("models/growing.yml", GROWING_YAML.format(table="What's new", id="The 'key'"))
    small.dbt("run")
    assert small.comments("growing") == {"": "What's new", "id": "The 'key'", "true": "It is"}
    assert len(small.rows("growing")) == 2
    assert len(small.commits("growing")) == 4
    small.dbt("run")
    # The append itself.
    assert len(small.commits("growing")) == 5


def test_a_view_too_long_for_the_metastore_is_refused_by_name(small: SmallProject) -> None:
    def sql(length: int) -> str:
        start = "select 1 as one, '"
        return f"{start}{'x' * (length - len(start) - len(SUFFIX))}{SUFFIX}"

    small.write("models/long.sql", sql(32_700))
    small.dbt("run")
    assert [row[0] for row in small.rows("long")] == [1]
    small.write("models/long.sql", sql(47_000))
    refused = r"the view \S+\.long has 47000 characters of SQL; the metastore takes 32700"
    with pytest.raises(LakehouseError, match=refused.replace(" ", r"\s+")):
        small.dbt("run")


SUFFIX = "' as text"
