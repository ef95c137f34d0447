"""What would damage the production target is refused before anything is built, with the reason."""

from pathlib import Path

import pytest

from lakehouse.dbt.project import PROD_TARGET_DIR, manifest, run_dbt
from lakehouse.engine.session import spark_session
from lakehouse.errors import LakehouseError


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


def _schemas() -> set[str]:
    return {row[0] for row in spark_session().sql("show schemas").collect()}
