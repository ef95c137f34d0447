"""The flights that arrive by a database are those that arrive as files, to the content hash."""

import uuid
from datetime import date

import psycopg2
import pytest

from demo import database, publish
from lakehouse.delta.content_hash import content_hash
from lakehouse.ingest.declarations import load_sources
from lakehouse.ingest.land import ingest

pytestmark = pytest.mark.slow

DAYS = (date(2013, 10, 1), date(2013, 10, 2))


def test_bronze_is_the_same_rows_however_they_came(spark, schema, postgres, monkeypatch, tmp_path):
    name = f"airline_{uuid.uuid4().hex[:8]}"
    postgres.run(f"create database {name}")
    monkeypatch.setenv(database.URL, postgres.url(name))
    monkeypatch.setenv(database.USER, postgres.user)
    monkeypatch.setenv(database.PASSWORD, postgres.password)
    declared = {each: load_sources()[each] for each in database.SOURCES}
    by_database = {each: database.as_database(source) for each, source in declared.items()}
    airline = psycopg2.connect(
        host="127.0.0.1", port=postgres.port, user=postgres.user, password=postgres.password, dbname=name
    )
    publish.publish(*DAYS, landing=tmp_path, sources=database.SOURCES)
    other = f"{schema}_by_database"
    for day in DAYS:
        inserted = database.publish(airline, day, day)
        assert min(inserted.values()) > 500
        report = ingest(spark, schema=other, declared=by_database)
        assert (report.refused, {each.source: each.rows for each in report.landed}) == ([], inserted)
    assert database.publish(airline, *DAYS) == dict.fromkeys(database.SOURCES, 0)
    assert ingest(spark, schema=other, declared=by_database).landed == []
    airline.close()
    ingest(spark, schema=schema, landing=tmp_path, declared=declared)

    for each, source in declared.items():
        columns = source.arrow_schema.names
        hashes = [content_hash(spark.table(f"{where}.{each}").select(columns)) for where in (schema, other)]
        assert hashes[0] == hashes[1], each
        assert hashes[0].row_count > 1000
    for made in (other, f"{other}_quarantine"):
        spark.sql(f"drop schema if exists {made} cascade")
    postgres.run(f"drop database {name} with (force)")
