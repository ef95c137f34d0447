"""Schemas that a process makes for a while, and dbt's builds in them, when it is interrupted or killed."""

import signal
import subprocess
from pathlib import Path
from uuid import uuid4

import pytest

from lakehouse.dbt import time_travel
from lakehouse.delta.owned_schemas import drop_schemas, owned_schemas
from lakehouse.delta.table import TableVersion, current_version
from lakehouse.engine.session import spark_session
from lakehouse.errors import LakehouseError
from lakehouse.ingest.land import ingest
from tests.faults.engine_helpers import start

# Real processes, engines and gates: minutes, not seconds.
pytestmark = pytest.mark.slow

# Works on a schema until it is told that it may end.
OWNS = """
import sys
from lakehouse.delta.owned_schemas import owned_schemas
spark = spark_session()
with owned_schemas(spark, [sys.argv[1]], progress=print):
    spark.sql(f"create table {sys.argv[1]}.begun using delta as select 1 as id")
    print("at work", flush=True)
    input()
"""


@pytest.fixture
def name(spark):
    found = f"own_{uuid4().hex[:8]}"
    yield found
    drop_schemas(spark_session(), [found, f"{found}_bronze"])


def _owner(warehouse: Path, name: str) -> subprocess.Popen[str]:
    owner = start(OWNS.replace("sys.argv[1]", repr(name)), warehouse)
    assert owner.stdout is not None
    assert owner.stdout.readline().strip() == "at work"
    return owner


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_owner_takes_its_schema_away(
    spark, warehouse: Path, name: str, number: signal.Signals
) -> None:
    owner = _owner(warehouse, name)
    assert spark.catalog.databaseExists(name)
    owner.send_signal(number)
    assert owner.wait(timeout=120) != 0
    assert not spark.catalog.databaseExists(name)
    assert not (warehouse / "tables" / f"{name}.db").exists()
    assert name not in time_travel.leftovers()


def test_what_a_killed_owner_left_is_named_and_replaced(spark, warehouse: Path, name: str) -> None:
    owner = _owner(warehouse, name)
    with (
        pytest.raises(LakehouseError, match=rf"{name} is being made by process {owner.pid} "),
        owned_schemas(spark, [name]),
    ):
        pass
    assert name not in time_travel.leftovers(), "its owner lives"
    owner.kill()
    owner.wait(timeout=60)
    assert spark.catalog.tableExists(f"{name}.begun"), "it was killed at work"
    assert name in time_travel.leftovers()

    said: list[str] = []
    with owned_schemas(spark, [name], progress=said.append):
        assert spark.catalog.databaseExists(name)
        assert not spark.catalog.tableExists(f"{name}.begun")
    assert said == [f"schema {name} was left by a process that was killed: it is made again"]
    assert not spark.catalog.databaseExists(name)
    assert name not in time_travel.leftovers()


def test_a_schema_that_a_person_made_or_that_was_kept_is_refused_and_stays(spark, name: str) -> None:
    with owned_schemas(spark, [name], keep=True):
        spark.sql(f"create table {name}.kept using delta as select 1 as id")
    for _ in range(2):
        with (
            pytest.raises(LakehouseError, match=f"there is a schema {name} already"),
            owned_schemas(spark, [name]),
        ):
            pass
        assert spark.table(f"{name}.kept").count() == 1
        assert name not in time_travel.leftovers()
        # And again for one that never was ours.
        spark.sql(f"drop schema {name} cascade")
        spark.sql(f"create schema {name}")
        spark.sql(f"create table {name}.kept using delta as select 1 as id")


@pytest.mark.parametrize("wrong", ["oct-5", "my schema", "5_october", "", "a.b"])
def test_what_is_not_a_name_is_refused_by_name(spark, wrong: str) -> None:
    with pytest.raises(LakehouseError, match=f"{wrong!r} is not a schema's name"):
        time_travel.build(spark, wrong, ["us_holidays"], [])


@pytest.fixture
def airlines(spark, tmp_path: Path):
    """Bronze of two airlines in a schema of its own, as the tables and versions that it has now."""
    bronze = f"bronze_{uuid4().hex[:8]}"
    folder = tmp_path / "landing" / "airlines"
    folder.mkdir(parents=True)
    (folder / "airlines_2013-01-01.csv").write_text(
        "carrier_code,airline_name,published_at\n"
        "AA,American Airlines,2013-01-01T05:00:00Z\nB6,JetBlue Airways,2013-01-01T05:00:00Z\n"
    )
    assert not ingest(spark, ["airlines"], landing=tmp_path / "landing", schema=bronze).refused
    yield [current_version(spark, f"{bronze}.{table}") for table in ("airlines", "deliveries")]
    spark_session().sql(f"drop schema {bronze} cascade")


SELECT = ["us_holidays", "stg_airlines"]
BUILDS = """
from pathlib import Path
from lakehouse.dbt import time_travel
from lakehouse.delta.table import TableVersion
spark, pins = spark_session(), [TableVersion(*each) for each in {pins}]
def say(line):
    print(line, flush=True)
with time_travel.temporary_build(
    spark, {name!r}, {select}, pins, bronze={bronze!r}, target_path=Path({target!r}), progress=say
):
    print("built", flush=True)
"""


def _build(
    name: str, pins: list[TableVersion], target: Path, progress=lambda _: None
) -> time_travel.PastBuild:
    bronze = pins[0].name.partition(".")[0]
    return time_travel.build(
        spark_session(), name, SELECT, pins, bronze=bronze, target_path=target, progress=progress
    )


def test_an_interrupted_build_leaves_nothing_and_the_second_try_works(
    spark, name: str, airlines: list[TableVersion], tmp_path: Path
) -> None:
    lines: list[str] = []

    def interrupt(line: str) -> None:
        lines.append(line)
        if " of 2 " in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _build(name, airlines, tmp_path / "target", interrupt)
    assert " of 2 OK" in lines[-1], "dbt had made one of two"
    for schema in (name, f"{name}_bronze"):
        assert not spark_session().catalog.databaseExists(schema)
    assert name not in time_travel.leftovers()
    built = _build(name, airlines, tmp_path / "target")
    assert set(built.dbt.results.values()) == {"success"}
    assert spark_session().table(f"{name}.stg_airlines").count() == 2


def test_a_killed_build_ends_with_its_dbt_and_the_second_try_works(
    spark, warehouse: Path, name: str, airlines: list[TableVersion], tmp_path: Path
) -> None:
    code = BUILDS.format(
        name=name,
        select=SELECT,
        bronze=airlines[0].name.partition(".")[0],
        pins=[(pin.name, pin.table_id, pin.version) for pin in airlines],
        target=str(tmp_path / "first"),
    )
    builder = start(code, warehouse)
    assert builder.stdout is not None
    while not (line := builder.stdout.readline()).startswith("dbt builds"):
        assert line, builder.communicate()
    builder.kill()
    builder.wait(timeout=60)
    assert name in time_travel.leftovers()
    assert spark.catalog.databaseExists(f"{name}_bronze")
    assert _build(name, airlines, tmp_path / "second").dbt.results
    assert spark_session().table(f"{name}.stg_airlines").count() == 2
    assert name not in time_travel.leftovers()
    # dbt of the killed build would be at it now.
    assert not [pid for pid in _processes() if str(tmp_path / "first") in _environment(pid)]


def _processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _environment(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def test_a_selection_of_nothing_is_an_error(spark, name: str, airlines: list[TableVersion], tmp_path) -> None:
    with pytest.raises(LakehouseError, match="no_such_model selects no model"):
        time_travel.build(
            spark, name, ["no_such_model"], airlines, bronze=airlines[0].name.partition(".")[0],
            target_path=tmp_path / "target",
        )  # fmt: skip
    assert not spark.catalog.databaseExists(name)
