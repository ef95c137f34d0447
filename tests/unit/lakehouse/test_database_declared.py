"""What a declaration may say of a database, and what is kept out of everything that people see."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from lakehouse.ingest.database.connect import DatabaseError, connection
from lakehouse.ingest.database.declared import Database
from lakehouse.ingest.source import Source
from tests.database_helpers import COLUMNS, orders_source

URL = "jdbc:postgresql://db.example:5433/shop"


def test_lengths_are_times_or_numbers():
    database = orders_source(URL, database={"overlap": "15 minutes", "lag": "1 hour"}).database
    assert database is not None
    assert (database.overlap, database.lag) == (timedelta(minutes=15), timedelta(hours=1))
    again = Source.model_validate(
        orders_source(URL).model_dump(mode="json", by_alias=True, exclude_unset=True)
    )
    assert again == orders_source(URL)


@pytest.mark.parametrize(
    ("database", "changes", "said"),
    [
        ({"url": "jdbc:postgresql://me:secret@h/shop"}, {}, "database.url: must be jdbc:KIND"),
        ({"url": URL + "?password=secret"}, {}, "user and password are in variables"),
        ({"url_env": "SHOP_URL"}, {}, "give either url or url_env"),
        ({"query": "select 1"}, {}, "give either table or query"),
        ({"table": None, "query": "select 1;"}, {}, "semicolon"),
        ({"table": "orders; drop table orders"}, {}, "database.table"),
        ({"password_env": "hunter2"}, {}, "database.password_env"),
        ({"overlap": "soon"}, {}, "'soon' is not of the form"),
        ({"overlap": -1}, {}, "must not be negative"),
        ({"overlap": 5}, {}, "must be a length of time"),
        ({"watermark": "status"}, {}, "status is not a declared timestamp, int or bigint"),
        ({"watermark": None}, {}, "database.watermark: is missing"),
        ({}, {"arrives": "snapshot"}, "a snapshot is read whole"),
        ({"partitions": 4}, {}, "needs partition_by"),
        (
            {"watermark": None, "partition_by": "id"},
            {"arrives": "snapshot"},
            "partition_by: needs a watermark",
        ),
        ({"deletes": "compare"}, {}, "deleted_column belong together"),
        ({"deletes": "compare", "deleted_column": "status"}, {}, "status is not a declared boolean"),
        ({"zone": "Moon"}, {}, "'Moon' is not a time zone"),
        ({}, {"format": "csv"}, "format: is of files"),
        ({}, {"allow_new_columns": True}, "allow_new_columns: is of files"),
    ],
)
def test_what_a_declaration_may_not_say_is_named(database, changes, said):
    with pytest.raises(ValidationError) as refused:
        orders_source(URL, database=database, **changes)
    assert said in str(refused.value).replace("\n  Value error, ", ": ").replace("\n  ", ": ")


def test_deletes_need_keys_that_stay():
    columns = [*COLUMNS, {"name": "is_deleted", "type": "boolean", "description": "Gone."}]
    database = {"deletes": "compare", "deleted_column": "is_deleted"}
    assert orders_source(URL, database=database, columns=columns).database
    with pytest.raises(ValidationError, match="keys must name a row however often it changes"):
        orders_source(URL, database=database, columns=columns, keys=["order_id", "updated_at"])


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (URL, "postgresql://db.example:5433/shop"),
        ("jdbc:postgresql://db.example:5433/shop?user=me&password=hunter2&sslmode=require", None),
        ("postgresql://me:hunter2@db.example:5433/shop", None),
        ("postgres://me:hunter2@db.example:5433/shop?sslmode=require", None),
    ],
)
def test_secrets_are_in_none_of_what_people_see(url, shown):
    database = Database(url_env="SHOP_URL", user_env="SHOP_USER", password_env="SHOP_PASSWORD", table="t")
    environment = {"SHOP_URL": url, "SHOP_USER": "me", "SHOP_PASSWORD": "hunter2"}

    found = connection("orders", database, environment)

    assert found.options["password"] == "hunter2"
    assert found.options["user"] == "me"
    assert found.shown == (shown or "postgresql://db.example:5433/shop")
    assert found.url.startswith("jdbc:postgresql://db.example:5433/shop?")
    assert ("sslmode=require" in found.url) == ("sslmode" in url)
    assert "hunter2" not in f"{found!r} {found.url} {found.shown}"
    assert found.without_secrets("no entry for hunter2") == "no entry for ***"


def test_another_database_s_url_is_shown_without_its_options():
    environment = {"SHOP_URL": "jdbc:sqlserver://h:1433;databaseName=shop;password=hunter2"}
    found = connection("orders", Database(url_env="SHOP_URL", table="t"), environment)
    assert found.shown == "sqlserver://h:1433"
    assert found.without_secrets("failed: hunter2") == "failed: ***"


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "orders: the variable SHOP_URL is not set"),
        ({"SHOP_URL": ""}, "orders: the variable SHOP_URL is not set"),
        ({"SHOP_URL": "hunter2"}, "orders: SHOP_URL is not a JDBC URL"),
        ({"SHOP_URL": "postgresql://h:hunter2/shop"}, "orders: the URL of its database is not one"),
    ],
)
def test_a_variable_that_is_wrong_is_named_and_not_shown(environment, said):
    with pytest.raises(DatabaseError) as refused:
        connection("orders", Database(url_env="SHOP_URL", table="t"), environment)
    assert said in str(refused.value)
    assert "hunter2" not in str(refused.value)
