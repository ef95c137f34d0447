"""What a failed check stops and says, what a release publishes, and what a person may let through."""

import re
from datetime import date
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest
from pyspark.sql.connect.session import SparkSession as ConnectSession

from expectations import docs, gate
from expectations.validate import checked_rows, validate
from lakehouse.delta import publications
from lakehouse.delta.table import current_version
from lakehouse.errors import LakehouseError

GOOD = [("AA1", "2013-01-01", 5), ("AA2", "2013-01-01", -3), ("AA3", "2013-01-02", 0)]


def _commits(spark, table: str) -> int:
    return spark.sql(f"describe history {table}").count()


def _shown(spark, name: str) -> int:
    return spark.table(publications.view_name(name)).count()


def test_failing_rows_are_named_by_key_in_the_message_and_in_data_docs(spark, write, gated) -> None:
    (suite,) = gated("named")
    write("named", [*GOOD, ("AA3", "2013-01-02", 9999), ("B", "2013-01-03", None)])

    outcome = gate.check(spark, "features", run_id="run/1 of tests")

    (result,) = outcome.results
    found = {failure.expectation: failure for failure in result.failures}
    assert not outcome.passed
    assert set(found) == {
        "delay_minutes is there",
        "flight_id occurs once",
        "delay_minutes lies between -120 and 2880",
        "has_long_id: length(flight_id) > 1",
    }
    assert found["flight_id occurs once"].unexpected == 2
    late = found["delay_minutes lies between -120 and 2880"]
    assert [dict(sample) for sample in late.samples] == [
        {"flight_id": "AA3", "flight_date": "2013-01-02", "delay_minutes": 9999}
    ]
    with pytest.raises(LakehouseError) as stopped:
        gate.require_passed(spark, "features")
    for told in (
        suite.table,
        "delay_minutes lies between",
        ": 1 row, ",
        '"flight_id": "AA3"',
        result.docs_url,
    ):
        assert told in str(stopped.value)
    page = Path(unquote(urlparse(result.docs_url).path)).read_text()
    assert "AA3" in page
    assert "9999" in page
    first = (docs.site_dir() / "index.html").read_text()
    listed = re.search(rf"FAILED</td><td><a href='([^']+)'>{suite.table}</a>", first)
    assert listed is not None and (docs.site_dir() / listed[1]).read_text() == page
    # Nothing is loaded from elsewhere: neither styles nor what tells others of a look.
    loaded = re.compile(r"""(?:src|href)=["']https?://|url\(["']?https?://|newsletter""")
    for path in docs.site_dir().rglob("*.html"):
        assert loaded.search(path.read_text()) is None, path


def test_tables_that_are_checked_side_by_side_get_their_own_results(spark, write, gated) -> None:
    names = [f"beside_{number}" for number in range(gate.AT_ONCE)]
    gated(*names)
    for bad, name in enumerate(names):
        write(name, [(f"{name}-{row}", "2013-01-01", 9999 if row <= bad else 5) for row in range(len(names))])

    results = gate.check(spark, "features").results

    found = [{each.expectation: each for each in result.failures} for result in results]
    late = [each["delay_minutes lies between -120 and 2880"] for each in found]
    assert [each.unexpected for each in late] == [1, 2, 3, 4]
    for name, each in zip(names, late, strict=True):
        assert all(str(key["flight_id"]).startswith(name) for key in each.samples)


def test_published_stays_on_the_last_good_version_until_it_passes_or_a_person_overrides(
    spark, write, gated
) -> None:
    (suite,) = gated("kept")
    table = suite.table
    with pytest.raises(LakehouseError, match="never checked"):
        gate.release(spark, "features")
    write("kept", GOOD)
    gate.check(spark, "features")
    (good,) = gate.release(spark, "features")

    write("kept", [("AA4", "2013-01-03", 9999)])
    bad = current_version(spark, table)
    assert not gate.check(spark, "features", [date(2013, 1, 3)]).passed
    with pytest.raises(LakehouseError, match="AA4"):
        gate.release(spark, "features")
    assert publications.published_version(spark, table) == good
    assert _shown(spark, table) == 3

    # A good day after the bad one does not let the bad one through.
    write("kept", [("AA5", "2013-01-04", 0)])
    assert gate.check(spark, "features", [date(2013, 1, 4)]).passed
    with pytest.raises(LakehouseError, match="2013-01-03"):
        gate.release(spark, "features")

    last = current_version(spark, table)
    with pytest.raises(LakehouseError, match="a name and a reason"):
        gate.override(spark, table, bad.version, "", "looks fine")
    with pytest.raises(LakehouseError, match="has no failed check"):
        gate.override(spark, table, last.version, "A. Lin", "looks fine")
    gate.override(spark, table, bad.version, "A. Lin", "the storm of 3 January")
    assert gate.release(spark, "features") == [last]
    assert _shown(spark, table) == 5
    kept = spark.table("lakehouse.gate_results").where(f"table_name = '{table}' and override_by is not null")
    assert {(row["day"], row["override_by"]) for row in kept.collect()} == {(date(2013, 1, 3), "A. Lin")}

    # Corrected, it passes by itself.
    spark.sql(f"update {table} set delay_minutes = 99 where flight_id = 'AA4'")
    assert gate.check(spark, "features").passed
    assert gate.release(spark, "features") == [current_version(spark, table)]
    assert _shown(spark, table) == 5


def test_a_check_of_one_day_also_looks_at_the_days_that_changed(spark, write, gated) -> None:
    gated("changed")
    write("changed", GOOD)
    assert gate.check(spark, "features").passed
    write("changed", [("AA9", "2013-01-01", 9999)])
    write("changed", [("AB1", "2013-01-03", 1)])

    outcome = gate.check(spark, "features", [date(2013, 1, 3)])

    assert outcome.results[0].days == (date(2013, 1, 1), date(2013, 1, 3))
    assert outcome.results[0].rows == 4
    assert not outcome.passed


def test_a_release_is_one_commit_for_all_tables_and_one_failure_stops_them_all(spark, write, gated) -> None:
    first, second = gated("one", "two")
    write("one", GOOD)
    write("two", GOOD)
    gate.check(spark, "features")
    gate.release(spark, "features")
    commits = _commits(spark, publications.TABLE)

    assert gate.release(spark, "features") == [current_version(spark, each.table) for each in (first, second)]
    assert _commits(spark, publications.TABLE) == commits

    write("one", [("AA4", "2013-01-03", 1)])
    write("two", [("AA4", "2013-01-03", 9999)])
    gate.check(spark, "features", [date(2013, 1, 3)])
    with pytest.raises(LakehouseError, match=second.table):
        gate.release(spark, "features")
    assert _commits(spark, publications.TABLE) == commits
    assert (_shown(spark, first.table), _shown(spark, second.table)) == (3, 3)

    gate.override(spark, second.table, current_version(spark, second.table).version, "A. Lin", "known")
    gate.release(spark, "features")
    assert _commits(spark, publications.TABLE) == commits + 1
    assert (_shown(spark, first.table), _shown(spark, second.table)) == (4, 4)


def test_great_expectations_leaves_the_session_alive_and_nothing_persisted(spark, write, gated) -> None:
    (suite,) = gated("alive")
    write("alive", GOOD)
    version = current_version(spark, suite.table)
    ansi = spark.conf.get("spark.sql.ansi.enabled")

    validate(docs.context(), spark, suite, version)

    assert ConnectSession.builder.getOrCreate().session_id == spark.session_id
    assert spark.conf.get("spark.sql.ansi.enabled") == ansi == "true"
    assert spark.sql("select 1 as one").collect()[0]["one"] == 1
    level = checked_rows(spark, suite, version, None).storageLevel
    assert not level.useMemory
    assert not level.useDisk


def test_a_suite_that_does_not_fit_its_table_is_refused_by_name(spark, gated) -> None:
    (suite,) = gated("misfit")
    spark.sql(f"create table {suite.table} using delta as select 'AA1' as flight_id")
    with pytest.raises(LakehouseError, match=f"suite of {suite.table} does not fit"):
        gate.check(spark, "features")
