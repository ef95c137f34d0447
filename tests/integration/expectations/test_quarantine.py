"""Rows in = accepted + quarantined, whatever rules and days are looked at."""

from datetime import date

import pytest

from expectations.profile import profile_by_day
from expectations.quarantine import Quarantined, quarantine, quarantine_table
from expectations.suite import Suite, delivery_day
from lakehouse.delta.table import current_version

RULES = {
    "has_carrier": "carrier_code rlike '^[A-Z]{2}$'",
    "is_plausible": "delay_minutes between -120 and 2880",
}
DAYS = [date(2013, 1, 1), date(2013, 1, 2)]


def _suite(schema: str, rules: dict[str, str]) -> Suite:
    return Suite(
        table=f"{schema}.actuals_{schema}",
        gate="bronze",
        key=("carrier_code",),
        day=delivery_day("actuals"),
        rules=rules,
        quarantines=True,
    )


def _quarantine(spark, suite: Suite, days: list[date] | None) -> Quarantined:
    version = current_version(spark, suite.table)
    by_day = profile_by_day(spark, suite, version, days)
    return quarantine(
        spark, suite, version, days, int(by_day["row_count"].sum()), int(by_day["accepted_rows"].sum())
    )


@pytest.fixture
def bronze(spark, schema) -> Suite:
    """Two days and a late correction of the first; three rows break one rule, one breaks both."""
    suite = _suite(schema, RULES)
    spark.sql(
        f"""
        create table {suite.table} using delta as
        select * from values
            ('AA', 5, 'actuals_2013-01-01'),
            ('AA', 5, 'actuals_2013-01-01'),
            ('??', 5, 'actuals_2013-01-01'),
            ('??', 5, 'actuals_2013-01-01'),
            ('??', 9999, 'actuals_2013-01-01_corrections'),
            ('UA', 0, 'actuals_2013-01-02T05'),
            ('UA', null, 'actuals_2013-01-02T06'),
            ('UA', 0, 'actuals_2013-01-03')
            as rows (carrier_code, delay_minutes, _batch_id)
        """
    )
    return suite


def test_rows_in_are_accepted_or_quarantined_with_the_rules_names(spark, bronze) -> None:
    report = _quarantine(spark, bronze, DAYS)

    assert (report.rows_in, report.accepted, report.quarantined) == (7, 3, 4)
    assert report.by_rule == {"has_carrier": 3, "is_plausible": 2}
    stored = spark.table(quarantine_table(bronze.table))
    assert sorted((row["_batch_id"], *row["broken_rules"]) for row in stored.collect()) == [
        ("actuals_2013-01-01", "has_carrier"),
        ("actuals_2013-01-01", "has_carrier"),
        ("actuals_2013-01-01_corrections", "has_carrier", "is_plausible"),
        ("actuals_2013-01-02T06", "is_plausible"),
    ]
    # What staging reads, and what is set aside, are all of bronze and share nothing.
    accepted = spark.table(bronze.table).where(bronze.accepted)
    both = accepted.unionByName(stored.drop("broken_rules"))
    in_bronze = spark.table(bronze.table)
    assert both.exceptAll(in_bronze).count() == in_bronze.exceptAll(both).count() == 0


def test_quarantine_is_written_once_and_follows_changed_rules_and_days(spark, schema, bronze) -> None:
    _quarantine(spark, bronze, DAYS)
    target = quarantine_table(bronze.table)
    before = current_version(spark, target)

    assert _quarantine(spark, bronze, DAYS).quarantined == 4
    assert current_version(spark, target) == before, "a second look committed again"

    looser = _suite(schema, {"is_plausible": RULES["is_plausible"]})
    report = _quarantine(spark, looser, [DAYS[0]])
    assert (report.rows_in, report.accepted, report.quarantined) == (5, 4, 1)
    assert spark.table(target).count() == 2, "the other day's rows stay as they were"

    # As many rows break the changed rule, and others.
    changed = _suite(schema, {"is_plausible": "carrier_code = '??' or delay_minutes is null"})
    report = _quarantine(spark, changed, None)
    assert (report.rows_in, report.accepted, report.quarantined) == (8, 4, 4)
    assert {row["carrier_code"] for row in spark.table(target).collect()} == {"AA", "UA"}
    opposite = _suite(schema, {"is_plausible": "carrier_code <> '??' and delay_minutes is not null"})
    assert _quarantine(spark, opposite, None).quarantined == 4
    assert {row["delay_minutes"] for row in spark.table(target).collect()} == {5, 9999, None}

    report = _quarantine(spark, _suite(schema, {}), None)
    assert (report.rows_in, report.accepted, report.quarantined) == (8, 8, 0)
    assert spark.table(target).count() == 0
