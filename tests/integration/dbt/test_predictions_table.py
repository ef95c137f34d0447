"""The predictions table has its constraints, whoever makes it, and only production makes production's."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyspark.errors import PySparkException

from lakehouse.dbt.manifest import DbtModels
from lakehouse.errors import LakehouseError
from lakehouse.settings import PROJECT_ROOT
from ml.scoring.predictions import create_predictions
from ml.spec import load_spec
from tests.integration.dbt.small_project import SmallProject

# Several dbt builds: minutes, not seconds.
pytestmark = pytest.mark.slow

DECLARED = PROJECT_ROOT / "dbt_project" / "models" / "marts" / "_predictions__sources.yml"


@pytest.fixture
def small(_engine: None, tmp_path: Path) -> Iterator[SmallProject]:
    project = SmallProject(tmp_path)
    project.write("models/one.sql", "select 1 as one")
    yield project
    project.drop()


def test_dbt_and_scoring_make_the_same_table(small: SmallProject) -> None:
    declare(small)
    small.dbt("run")
    by_dbt = f"{small.schema}_predictions.arrival_delay"
    by_scoring = f"{small.schema}_predictions.by_scoring"
    spec = load_spec("arrival_delay").model_copy(update={"predictions_table": by_scoring})
    manifest = json.loads((small.folder / "target" / "manifest.json").read_text())
    create_predictions(small.spark, spec, DbtModels(manifest))
    assert shape(small, by_dbt) == shape(small, by_scoring)
    assert shape(small, by_dbt)[2] == {"delta.constraints.score_is_probability": "score between 0 and 1"}


def test_a_table_of_before_gets_its_constraints_once_its_rows_keep_them(small: SmallProject) -> None:
    declare(small)
    table = f"{small.schema}_predictions.arrival_delay"
    small.spark.sql(f"create schema {small.schema}_predictions")
    small.spark.sql(f"create table {table} (flight_id string, flight_date date, score double) using delta")
    small.spark.sql(f"insert into {table} values ('a', date'2013-09-01', 0.5), ('b', date'2013-09-01', 1.5)")
    told = small.dbt("run")
    assert "1 rows that break score_is_probability" in " ".join(told.output.split())
    small.spark.sql(f"delete from {table} where flight_id = 'b'")
    small.dbt("run")
    for wrong in ("'c', date'2013-09-01', 1.5", "null, date'2013-09-01', 0.5"):
        with pytest.raises(PySparkException, match="DELTA_VIOLATE_CONSTRAINT"):
            small.spark.sql(f"insert into {table} values ({wrong})")
    version = small.spark.sql(f"describe history {table}").count()
    small.dbt("run")
    assert small.spark.sql(f"describe history {table}").count() == version


def test_a_developers_build_makes_no_table_of_production(small: SmallProject) -> None:
    # A name that no other test has made.
    name = f"scores_{small.schema}"
    declare(small, name)
    small.write("models/reader.sql", f"select * from {{{{ source('predictions', '{name}') }}}}")
    with pytest.raises(LakehouseError) as failed:
        small.dbt("run", predictions_schema="predictions")
    said = " ".join(str(failed.value).split())
    assert f"predictions.{name} does not exist yet: the first build of production makes it" in said
    assert f"--exclude source:predictions.{name}+" in said
    assert not small.spark.catalog.tableExists(f"predictions.{name}")


def declare(small: SmallProject, name: str = "arrival_delay") -> None:
    """The shipped declaration, of a table of this name, and a features model that it can name."""
    small.write("models/_sources.yml", DECLARED.read_text().replace("name: arrival_delay", f"name: {name}"))
    small.write(
        "models/flight_features.sql",
        "select 'a' as flight_id, timestamp'2013-09-01 10:00' as predict_at, date'2013-09-01' as flight_date",
    )
    columns = {"flight_id": ("string", "entity"), "predict_at": ("timestamp", "event_time")}
    listed = [
        {"name": column, "data_type": kind, "description": column, "config": {"meta": {"role": role}}}
        for column, (kind, role) in {**columns, "flight_date": ("date", "partition")}.items()
    ]
    models = [{"name": "flight_features", "columns": listed}]
    small.write("models/flight_features.yml", yaml.safe_dump({"models": models}))


def shape(small: SmallProject, table: str) -> tuple[Any, Any, Any]:
    """Columns with types, texts and whether they may be NULL; clustering; constraints."""
    fields = [
        (f.name, f.dataType.simpleString(), f.nullable, f.metadata.get("comment"))
        for f in small.spark.table(table).schema.fields
    ]
    detail = small.spark.sql(f"describe detail {table}").collect()[0]
    properties = small.spark.sql(f"show tblproperties {table}").collect()
    constraints = {
        row["key"]: row["value"] for row in properties if row["key"].startswith("delta.constraints.")
    }
    return fields, detail["clusteringColumns"], constraints
