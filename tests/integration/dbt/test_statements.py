"""What a build asks of Spark: nothing that it knows already, and all of it where something changed."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lakehouse.errors import LakehouseError
from tests.integration.dbt.small_project import SmallProject

# Each asks dbt in a process of its own, sixteen times in all.
pytestmark = pytest.mark.slow

MODELS = """
version: 2
sources:
  - name: raw
    schema: {schema}
    tables: [{{name: readings}}]
models:
  - name: seen
    description: {description}
    config: {{group: platform}}
"""
VIEW = "{{ config(materialized='view') }} select id, day, amount from {{ source('raw', 'readings') }}"
TOTALS = """
{{ config(
    materialized='incremental', incremental_strategy='replace_where', event_date='day',
    on_schema_change='fail',
    inputs=[{'source': 'readings', 'schema': 'raw', 'day': 'day'}],
) }}
select day, sum(amount) as total from {{ days_of('readings', of_source='raw') }} group by day
"""
DAY = "2013-01-02"


@pytest.fixture
def project(_engine: None, tmp_path: Path) -> Iterator[SmallProject]:
    made = SmallProject(tmp_path)
    made.spark.sql(f"create schema {raw(made)}")
    made.spark.sql(f"create table {raw(made)}.readings (id string, day date, amount bigint) using delta")
    made.spark.sql(
        f"insert into {raw(made)}.readings values ('a', date'2013-01-01', 1), ('b', date'{DAY}', 2)"
    )
    describe(made, "What was seen.")
    made.write("models/seen.sql", VIEW)
    made.write("models/totals.sql", TOTALS)
    yield made
    made.drop()


def raw(project: SmallProject) -> str:
    """A schema that is not the developer's, and that goes with it."""
    return f"{project.schema}_predictions"


def describe(project: SmallProject, text: str) -> None:
    project.write("models/_models.yml", MODELS.format(schema=raw(project), description=text))


def asked(project: SmallProject, *args: str, **variables: str) -> list[str]:
    """The statements that a build gives, in order."""
    log = project.folder / "logs" / "dbt.log"
    log.unlink(missing_ok=True)
    project.dbt("run", *args, "--log-format-file", "json", "--log-level-file", "debug", **variables)
    events = [json.loads(line) for line in log.read_text().splitlines()]
    given = [str(each["data"]["sql"]) for each in events if each["info"]["name"] == "SQLQuery"]
    return [sql.partition("*/")[2].strip() or sql for sql in given]


def test_a_view_is_made_when_it_would_become_another(project: SmallProject) -> None:
    def made(*args: str) -> bool:
        statements = asked(project, "--select", "seen", *args)
        return any(sql.startswith("create or replace view") for sql in statements)

    assert made()
    assert not made()
    assert made("--full-refresh")
    describe(project, "What was seen, told anew.")
    assert made()
    assert project.comments("seen")[""] == "What was seen, told anew."
    project.spark.sql(f"alter table {raw(project)}.readings add columns (place string)")
    assert made()
    project.write("models/seen.sql", VIEW.replace("amount", "amount + 1 as amount"))
    assert made()
    assert not made()
    assert {row[2] for row in project.rows("seen")} == {2, 3}
    # A view that somebody replaced is not ours any more.
    project.spark.sql(f"create or replace view {project.schema}.seen as select 1 as id")
    assert made()


def test_an_increment_is_analysed_once_while_no_column_changed(project: SmallProject) -> None:
    day = {"start_date": DAY, "end_date": DAY}

    def viewed() -> bool:
        """Whether the rows were made a view first, whose columns are compared with the table's."""
        statements = asked(project, "--select", "totals", **day)
        [view] = [sql for sql in statements if "totals__dbt_tmp" in sql and sql.startswith("create")]
        assert any(sql.startswith("insert into") for sql in statements)
        return not view.endswith("where false")

    def totals() -> list[int]:
        return [row[1] for row in project.rows("totals")]

    project.dbt("run", "--select", "totals")
    assert viewed()
    assert not viewed()
    assert totals() == [1, 2]
    project.spark.sql(f"alter table {raw(project)}.readings add columns (place string)")
    assert viewed()
    assert not viewed()
    # A column of the table that its SQL does not make is told as ever.
    project.spark.sql(f"alter table {project.schema}.totals add columns (made_by_hand string)")
    with pytest.raises(LakehouseError, match="made_by_hand"):
        viewed()
