"""How often APIs, databases and topics are asked."""

from types import SimpleNamespace

import dagster as dg
import pytest

from lakehouse.ingest.declarations import load_sources
from lakehouse.ingest.report import IngestReport, Refusal, Waiting
from lakehouse.ingest.source import Source
from orchestration.outside import (
    SOURCES_TAG,
    Asked,
    ask_job,
    asked_sources,
    asks,
    due,
    look_outside,
    unanswered,
)

EVERY = {"orders": 60, "prices": 5}


def asked(*sources: str, ended_at: float | None = 0.0, failed: bool = False) -> Asked:
    return Asked(frozenset(sources), ended_at, frozenset(sources) if failed else frozenset())


def test_each_is_asked_when_its_time_is_over() -> None:
    assert due(EVERY, [], 0.0) == ["orders", "prices"]
    before = [asked("orders", "prices")]
    assert due(EVERY, before, 299.0) == []
    assert due(EVERY, before, 300.0) == ["prices"]
    assert due(EVERY, [asked("prices", ended_at=3000.0), *before], 3600.0) == ["orders", "prices"]


def test_nobody_is_asked_twice_at_once() -> None:
    assert due(EVERY, [asked("orders", ended_at=None)], 1e9) == []


def test_after_failures_it_is_asked_with_back_off() -> None:
    failed = asked("orders", "prices", failed=True)
    assert due(EVERY, [failed], 59.0) == []
    assert due(EVERY, [failed], 60.0) == ["orders", "prices"]
    thrice = [failed] * 3
    assert due(EVERY, thrice, 239.0) == []
    assert due(EVERY, thrice, 240.0) == ["orders", "prices"]
    # Never later than without a failure.
    assert due(EVERY, [failed] * 30, 300.0) == ["prices"]


def test_files_are_not_asked_for() -> None:
    assert asked_sources(load_sources()) == {}
    shipped = load_sources()["airlines"].model_dump(by_alias=True, exclude_none=True)
    with pytest.raises(ValueError, match="ask_every_minutes: its files are delivered"):
        Source.model_validate({**shipped, "ask_every_minutes": 5})


def test_the_sensor_asks_for_one_run_of_what_is_due() -> None:
    declared = load_sources()
    with dg.DagsterInstance.ephemeral() as instance:
        skipped = look_outside(instance, declared, 0.0)
        assert isinstance(skipped, dg.SkipReason) and "no source has to be asked" in str(skipped.skip_message)
        outside = {name: source.model_copy() for name, source in declared.items()}
        # What makes a source one that is asked is only looked at here.
        object.__setattr__(outside["airlines"], "database", object())
        found = look_outside(instance, outside, 0.0)
        assert isinstance(found, dg.SensorResult) and found.run_requests
        (request,) = found.run_requests
        assert request.tags[SOURCES_TAG] == "airlines"
        assert request.run_config == {"ops": {"ask_for_new": {"config": {"sources": ["airlines"]}}}}
        instance.create_run_for_job(ask_job, run_config=request.run_config, tags=dict(request.tags))
        assert isinstance(look_outside(instance, outside, 1e12), dg.SkipReason)


def test_a_source_that_answered_waits_its_time_beside_one_that_did_not() -> None:
    half = Asked(frozenset({"orders", "prices"}), 0.0, frozenset({"orders"}))
    assert due(EVERY, [half], 60.0) == ["orders"]
    assert due(EVERY, [half], 300.0) == ["orders", "prices"]


def test_what_was_not_reached_is_named() -> None:
    orders = load_sources()["airlines"].model_copy()
    object.__setattr__(orders, "database", object())
    assert unanswered(orders, IngestReport()) == []
    report = IngestReport(refused=[Refusal("airlines", "db: connection refused"), Refusal("other", "no")])
    assert unanswered(orders, report) == ["airlines: db: connection refused"]

    events = load_sources()["flight_actuals"].model_copy()
    object.__setattr__(events, "stream", SimpleNamespace(topic="departures"))
    away = IngestReport(waiting=[Waiting("departures", "the brokers do not answer"), Waiting("x", "y")])
    assert unanswered(events, away) == ["departures: the brokers do not answer"]


def test_a_source_asked_each_minute_hides_none_that_is_asked_each_day() -> None:
    declared = {name: load_sources()[name].model_copy() for name in ("airlines", "airports")}
    for source, minutes in zip(declared.values(), (1440, 1), strict=True):
        object.__setattr__(source, "database", object())
        object.__setattr__(source, "ask_every_minutes", minutes)
    with dg.DagsterInstance.ephemeral() as instance:
        for name in ("airlines", *["airports"] * 30):
            tags = {SOURCES_TAG: name, asks(name): "yes"}
            run = instance.create_run_for_job(ask_job, tags=tags)
            instance.handle_new_event(
                dg.EventLogEntry(
                    error_info=None,
                    level="debug",
                    user_message="",
                    run_id=run.run_id,
                    timestamp=1000.0,
                    dagster_event=dg.DagsterEvent(
                        dg.DagsterEventType.RUN_SUCCESS.value, job_name=ask_job.name, message="done"
                    ),
                )
            )
        found = look_outside(instance, declared, 1e12)
        assert isinstance(found, dg.SensorResult) and found.run_requests
        now = instance.get_run_records(limit=1)[0].update_timestamp.timestamp()
        later = look_outside(instance, declared, now + 120)
    assert isinstance(later, dg.SensorResult) and later.run_requests
    assert later.run_requests[0].tags[SOURCES_TAG] == "airports"
