"""Hive's tables in PostgreSQL are there before Hive looks, made once."""

import secrets
from pathlib import Path

import pytest

from lakehouse.engine.metastore_tables import make_tables
from lakehouse.errors import LakehouseError
from lakehouse.settings import Settings
from tests.postgres import Postgres


def test_all_tables_are_made_and_then_left(postgres: Postgres, tmp_path: Path) -> None:
    database = f"metastore_{secrets.token_hex(4)}"
    postgres.run(f"create database {database}")
    config = Settings(
        warehouse=tmp_path,
        metastore_url=postgres.url(database),
        metastore_user=postgres.user,
        metastore_password=postgres.password,
    )
    make_tables(config)
    query = "select count(*) from information_schema.tables where table_schema = 'public'"
    ((made,),) = postgres.run(query, database=database)
    assert made > 40
    # One that went, as after a kill in the middle, comes again.
    postgres.run('drop table "FUNC_RU" cascade', database=database)
    make_tables(config)
    assert postgres.run(query, database=database) == [(made,)]

    # As another warehouse's engine would have it, in which this one's would write.
    there = f"file:{tmp_path}-beside/tables/lakehouse.db"
    postgres.run(
        f'insert into "DBS" ("DB_ID", "NAME", "DB_LOCATION_URI") values (7, \'lakehouse\', \'{there}\')',
        database=database,
    )
    with pytest.raises(
        LakehouseError, match=f"another warehouse's metastore: its schema lakehouse lies in {there}"
    ):
        make_tables(config)
    here = f"file:{tmp_path}/tables/lakehouse.db"
    postgres.run(f"""update "DBS" set "DB_LOCATION_URI" = '{here}'""", database=database)
    make_tables(config)

    wrong = config.model_copy(update={"metastore_password": "wrong"})
    with pytest.raises(LakehouseError, match="does not answer") as refused:
        make_tables(wrong)
    assert postgres.password not in str(refused.value)
