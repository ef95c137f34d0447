"""What the graph tells people: runs that failed, until one ends well, and sources that say nothing."""

from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest

from lakehouse.alerts.outbox import alerts, outbox
from lakehouse.dbt.manifest import manifest
from lakehouse.ingest.ledger import Entry
from orchestration.alerts import (
    failed_runs,
    is_newest,
    limits,
    note_failure,
    stale,
    subject_of,
    succeeded_runs,
)

NOW = datetime(2013, 10, 3, 12, tzinfo=UTC)


# With an outbox of its own.
pytestmark = pytest.mark.usefixtures("own_warehouse")


def open_alerts() -> list[tuple[str, str, str]]:
    with outbox() as connection:
        return [(each.kind, each.subject, each.what) for each in alerts(connection)]


def test_a_failed_run_is_told_with_its_page_until_the_job_works_again() -> None:
    @dg.op
    def breaks() -> None:
        raise ValueError("table t is broken")

    @dg.op
    def works() -> None: ...

    @dg.job(name="daily")
    def broken() -> None:
        breaks()

    @dg.job(name="daily")
    def whole() -> None:
        works()

    with dg.DagsterInstance.ephemeral() as instance:
        failed = broken.execute_in_process(instance=instance, raise_on_error=False)
        event = failed.get_run_failure_event()
        context = dg.build_run_status_sensor_context(
            sensor_name="failed_runs",
            dagster_instance=instance,
            dagster_run=failed.dagster_run,
            dagster_event=event,
        ).for_run_failure()
        failed_runs(context)
        ((kind, subject, what),) = open_alerts()
        assert (kind, subject) == ("failed run", "daily")
        assert "breaks" in what
        with outbox() as connection:
            assert alerts(connection)[0].link == f"http://127.0.0.1:3000/dagster/runs/{failed.run_id}"

        done = whole.execute_in_process(instance=instance)
        succeeded_runs(
            dg.build_run_status_sensor_context(
                sensor_name="succeeded_runs",
                dagster_instance=instance,
                dagster_run=done.dagster_run,
                dagster_event=done.get_run_success_event(),
            )
        )
    assert open_alerts() == []


def test_a_failure_that_is_noticed_after_a_later_success_is_over() -> None:
    @dg.job(name="daily")
    def empty() -> None: ...

    with dg.DagsterInstance.ephemeral() as instance:
        first, second = (empty.execute_in_process(instance=instance).dagster_run for _ in range(2))
        assert not is_newest(instance, first)
        assert is_newest(instance, second)


def test_runs_by_hand_are_one_subject() -> None:
    run = dg.DagsterRun(job_name="__ASSET_JOB", run_id="1")
    assert subject_of(run) == "assets by hand"
    note_failure(run, [])
    assert open_alerts() == [("failed run", "assets by hand", "it failed before its first step")]


def entry(source: str, until: datetime | None) -> Entry:
    return Entry(
        source=source,
        batch_id=f"{source}_{until}",
        day=date(2013, 10, 1),
        kind="delivery",
        digest="",
        ingested_at=NOW,
        row_count=1,
        supersedes=None,
        decided_by=None,
        reason=None,
        file_size=None,
        file_modified_ns=None,
        delivered_until=until,
        watermark=None,
    )


def test_a_source_is_stale_by_the_limit_that_dbt_declares() -> None:
    allowed = limits(manifest())
    assert allowed["flight_actuals"] == timedelta(hours=36)
    assert "airlines" not in allowed
    late = stale(
        [
            entry("flight_actuals", NOW - timedelta(hours=50)),
            entry("flight_actuals", NOW - timedelta(hours=37)),
            entry("weather_observations", NOW - timedelta(hours=35)),
            entry("airlines", None),
        ],
        allowed,
        NOW,
    )
    assert [name for name, said in late.items() if "since" in said] == ["flight_actuals"]
    assert late["flight_actuals"].startswith("nothing was delivered since 2013-10-01 23:00 UTC")


def test_a_source_that_never_delivered_is_stale_once_others_have() -> None:
    allowed = {name: timedelta(hours=36) for name in ("flight_actuals", "weather_observations")}
    assert stale([entry("airlines", None)], allowed, NOW) == {}
    late = stale([entry("flight_actuals", NOW)], allowed, NOW)
    assert late == {"weather_observations": "nothing was ever delivered"}
