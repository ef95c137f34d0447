"""A release is what the publications table says; its views follow, also after a crash."""

import pytest

from lakehouse.delta import publications
from lakehouse.delta.publications import publish, published_version, published_versions
from lakehouse.delta.table import TableVersion, current_version
from lakehouse.errors import LakehouseError


def _made(spark, name: str, rows: int) -> TableVersion:
    spark.sql(f"create or replace table {name} using delta as select id from range({rows})")
    return current_version(spark, name)


def test_views_that_a_crash_left_behind_are_made_again_by_the_next_call(spark, schema, monkeypatch) -> None:
    name = f"{schema}.crashed_{schema}"
    view = publications.view_name(name)
    publish(spark, [_made(spark, name, 1)], "features", "run 1")
    second = _made(spark, name, 2)

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(publications, "restore_views", crash)
        publish(spark, [second], "features", "run 2")
    assert spark.table(view).count() == 1, "the crash did not fall between the commit and the views"

    assert published_version(spark, name) == second
    assert spark.table(view).count() == 2

    spark.sql(f"drop view {view}")
    assert second in published_versions(spark)
    assert spark.table(view).count() == 2


def test_a_table_that_was_dropped_and_made_anew_is_refused(spark, schema) -> None:
    name = f"{schema}.anew_{schema}"
    published = _made(spark, name, 1)
    publish(spark, [published], "features", "run 1")
    spark.sql(f"drop table {name}")
    _made(spark, name, 5)

    with pytest.raises(LakehouseError, match="dropped and"):
        published_version(spark, name)
    with pytest.raises(LakehouseError, match="dropped and"):
        publish(spark, [published], "features", "run 2")

    publish(spark, [current_version(spark, name)], "features", "run 3")
    assert spark.table(publications.view_name(name)).count() == 5


def test_two_tables_cannot_share_a_view_and_an_unpublished_one_is_named(spark, schema) -> None:
    with pytest.raises(LakehouseError, match="not been published"):
        published_version(spark, f"{schema}.nothing")
    first = _made(spark, f"{schema}.twin_{schema}", 1)
    spark.sql(f"create schema {schema}_b")
    second = _made(spark, f"{schema}_b.twin_{schema}", 2)
    try:
        with pytest.raises(LakehouseError, match="both be published"):
            publish(spark, [first, second], "features", "run")
        publish(spark, [first], "features", "run")
        with pytest.raises(LakehouseError, match="both be published"):
            publish(spark, [second], "features", "run")
        spark.sql(f"drop table {first.name}")
        publish(spark, [second], "features", "run")
        assert spark.table(publications.view_name(second.name)).count() == 2
    finally:
        spark.sql(f"drop schema {schema}_b cascade")
