"""What would damage the production target is refused before anything is built, with the reason."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from lakehouse.dbt.manifest import manifest
from lakehouse.dbt.project import PROD_TARGET_DIR, run_dbt
from lakehouse.engine.session import spark_session
from lakehouse.errors import LakehouseError
from tests.integration.dbt.small_project import SmallProject


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (["run", "--empty"], "--empty on the target prod is refused: its views would show no row"),
        (
            ["build", "--sample", "1 day"],
            "--sample on the target prod is refused: its tables would hold a part",
        ),
        (
            ["clone", "--full-refresh", "--state", str(PROD_TARGET_DIR)],
            "dbt clone on the target prod is refused: its tables would be those of another schema",
        ),
    ],
    ids=["empty", "sample", "clone"],
)
def test_what_would_damage_production_is_refused(
    _engine: None, tmp_path: Path, args: list[str], reason: str
) -> None:
    manifest()
    before = _schemas()
    with pytest.raises(LakehouseError) as refused:
        run_dbt([*args, "--select", "stg_airports"], target="prod", target_path=tmp_path)
    assert reason in " ".join(str(refused.value).split())
    assert _schemas() - before <= {"staging"}
    assert not spark_session().catalog.tableExists("staging.stg_airports")


def test_a_table_is_not_dropped_for_a_view(_engine: None, tmp_path: Path) -> None:
    spark = spark_session()
    spark.sql("create schema if not exists staging")
    spark.sql("create table staging.stg_airports using delta as select 1 as id")
    try:
        with pytest.raises(LakehouseError, match=r"all\s+versions\s+of\s+the\s+table\s+would\s+be\s+lost"):
            run_dbt(["run", "--select", "stg_airports"], target="prod", target_path=tmp_path)
        assert spark.table("staging.stg_airports").count() == 1
    finally:
        spark.sql("drop table staging.stg_airports")


@pytest.fixture
def small(_engine: None, tmp_path: Path) -> Iterator[SmallProject]:
    project = SmallProject(tmp_path)
    yield project
    project.drop()


@pytest.mark.slow
def test_a_developers_schema_is_never_one_of_production(small: SmallProject) -> None:
    # A name that no other test has made.
    name = f"victim_{small.schema}"
    small.write(
        f"models/features/{name}.sql",
        "{{ config(contract={'enforced': false}) }} select 1 as id, date'2013-09-01' as as_of_date",
    )
    small.write(
        f"models/features/{name}.yml",
        f"models: [{{name: {name}, config: {{materialized: table, group: platform}}, "
        "columns: [{name: id, data_tests: [unique]}]}]",
    )
    small.write("models/_sources.yml", "sources: [{name: raw, schema: raw_files, tables: [{name: one}]}]")
    small.write("seeds/codes.csv", "id\n1\n")
    small.dbt("run")
    state = small.folder / "state"
    shutil.copytree(small.folder / "target", state)
    victim = f"features.{name}"
    small.spark.sql("create schema if not exists features")
    small.spark.sql(f"create table {victim} using delta as select explode(sequence(1, 3)) as id")
    try:
        for args, schema in (
            (["build", "--empty", "--full-refresh"], "features"),
            (["seed"], "STAGING"),
            (["test", "--store-failures"], "published"),
            (["clone", "--full-refresh", "--state", str(state)], "features"),
            (["run"], "raw_files"),
        ):
            with pytest.raises(LakehouseError) as refused:
                small.dbt(*args, environment={"LAKEHOUSE_DBT_SCHEMA": schema})
            said = " ".join(str(refused.value).split())
            assert f"the schema {schema} of the target dev is not yours" in said
            assert "Set LAKEHOUSE_DBT_SCHEMA to a name of your own" in said
        assert small.spark.table(victim).count() == 3
        assert small.spark.sql(f"describe history {victim}").count() == 1
        assert not small.spark.catalog.tableExists("staging.codes")
    finally:
        small.spark.sql(f"drop table {victim}")


def test_production_is_made_from_its_own_inputs(small: SmallProject) -> None:
    small.write("models/one.sql", "select 1 as one")
    for name in ("bronze_schema", "predictions_schema", "published_schema"):
        with pytest.raises(LakehouseError) as refused:
            small.dbt("run", target="prod", **{name: "elsewhere"})
        said = " ".join(str(refused.value).split())
        assert f"--vars '{{{name}: elsewhere}}' on the target prod is refused" in said
    assert not small.spark.catalog.tableExists("lakehouse.one")


def _schemas() -> set[str]:
    return {row[0] for row in spark_session().sql("show schemas").collect()}
