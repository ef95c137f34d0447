"""An API that throttles, fails, hangs or is too large is asked gently, and never without end."""

import gzip
import json
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from tests.integration.lakehouse.api_server import (
    CURSOR,
    DAYS,
    DELIVERY,
    Answered,
    Asked,
    by_cursor,
    by_page,
    days_until,
    delivered,
    fetch,
    landed_files,
    page,
    record,
    rows,
    serving,
    source_of,
)


def test_throttling_is_heeded_in_seconds_and_by_date(tmp_path):
    begun = datetime.now(UTC).replace(microsecond=0)
    # The server's clock is an hour ahead of ours.
    ahead = begun + timedelta(hours=1)
    answers = [
        Answered(status=429, headers={"Retry-After": "1"}),
        Answered(
            status=503,
            headers={
                "Date": format_datetime(ahead, usegmt=True),
                "Retry-After": format_datetime(ahead + timedelta(seconds=1), usegmt=True),
            },
        ),
        Answered(page(rows(2))),
    ]
    with serving(lambda _: answers.pop(0)) as server:
        report = fetch(tmp_path, source_of(server))
    assert report.fetched[0].requests == 3
    waits = [after.at - before.at for before, after in zip(server.asked, server.asked[1:], strict=False)]
    assert all(1 <= wait < 2 for wait in waits), waits


def test_an_api_that_asks_for_too_much_patience_is_left_for_later(tmp_path):
    throttled = [True]

    def answer(asked: Asked) -> Answered:
        if asked.query.get("after") == "20" and throttled:
            return Answered(status=429, headers={"Retry-After": "86400"})
        return by_cursor(asked)

    with serving(answer) as server:
        source = source_of(server, pagination=CURSOR, last_day=DAYS[1])
        report = fetch(tmp_path, source)
        assert (report.fetched, report.refused) == ([], [])
        (waiting,) = report.waiting
        assert waiting.file == DELIVERY[0]
        assert "wait for 86400 s, longer than api.max_wait_seconds (2)" in waiting.reason
        assert DELIVERY[0] not in landed_files(tmp_path)

        throttled.clear()
        report = fetch(tmp_path, source, days=days_until(DAYS[0]))
    assert server.pages("after") == [None, "20", "20", "40"]
    assert (report.fetched[0].pages, report.fetched[0].resumed_pages) == (3, 1)
    assert len(delivered(tmp_path)) == 6


WHOLE = json.dumps(page(rows(50))).encode()


@pytest.mark.parametrize(
    "fault",
    [
        Answered(status=500),
        Answered(status=502),
        Answered(status=503),
        # Dropped half-way, with the length said, and without.
        Answered(WHOLE, sent=1000),
        Answered(WHOLE, length=None, sent=1000),
        Answered(b"no gzip", headers={"Content-Encoding": "gzip"}),
    ],
    ids=["500", "502", "503", "cut off", "cut off, no length", "broken gzip"],
)
def test_what_may_pass_is_asked_again(tmp_path, fault):
    answers = [fault, fault, Answered(WHOLE)]
    with serving(lambda _: answers.pop(0)) as server:
        report = fetch(tmp_path, source_of(server))
    assert not report.refused
    assert len(server.asked) == 3
    assert len(delivered(tmp_path)) == 50


def test_what_does_not_pass_is_refused_after_its_retries(tmp_path):
    with serving(lambda _: Answered(WHOLE, sent=1000)) as server:
        report = fetch(tmp_path, source_of(server, max_retries=2))
    (refusal,) = report.refused
    assert "asked 3 times" in refusal.reason
    assert f"{server.url}/readings" in refusal.reason
    assert len(server.asked) == 3
    assert landed_files(tmp_path) == []


@pytest.mark.parametrize(
    ("pause", "reason"), [(0.03, "the answer comes too slowly"), (0.5, "timed out")], ids=["drips", "hangs"]
)
def test_an_answer_that_does_not_come_is_not_waited_for(tmp_path, pause, reason):
    with serving(lambda _: Answered(WHOLE, pause=pause)) as server:
        report = fetch(tmp_path, source_of(server, timeout_seconds=0.1, max_retries=1))
        (refusal,) = report.refused
        assert reason in refusal.reason
        waits = [after.at - before.at for before, after in zip(server.asked, server.asked[1:], strict=False)]
        assert len(waits) == 1
        assert waits[0] < 3


def test_an_address_that_is_none_is_refused_once(tmp_path):
    with serving(by_cursor) as server:
        source = source_of(server, url=f"{server.url}/\x01", last_day=DAYS[1])
    (refusal,) = fetch(tmp_path, source).refused
    assert "api.url is no address" in refusal.reason


def test_an_api_that_is_down_is_refused(tmp_path):
    with serving(by_cursor) as server:
        source = source_of(server, max_retries=1)
    (refusal,) = fetch(tmp_path, source).refused
    assert "Connection refused, asked 2 times" in refusal.reason


@pytest.mark.parametrize("status", [400, 404, 410, 422])
def test_a_wrong_request_is_not_repeated(tmp_path, status):
    with serving(lambda _: Answered({"error": "no such\nday"}, status=status)) as server:
        report = fetch(tmp_path, source_of(server))
    (refusal,) = report.refused
    assert refusal.file == DELIVERY[0]
    assert f"{server.url}/readings answered {status} " in refusal.reason
    assert '{"error": "no such\\nday"}' in refusal.reason
    assert len(server.asked) == 1


def test_one_broken_day_does_not_stop_the_others_but_a_broken_api_is_left_alone(tmp_path):
    broken = {"2013-07-02"}

    def answer(asked: Asked) -> Answered:
        day = asked.query["day"]
        return Answered({"data": None} if day in broken else page([record(0, day)]))

    with serving(answer) as server:
        source = source_of(server, first_day="2013-07-01", last_day="2013-07-10")
        report = fetch(tmp_path, source, days=days_until("2013-07-03"))
        assert [refusal.file for refusal in report.refused] == ["weather/readings_2013-07-02.jsonl"]
        assert len(report.fetched) == 2

        broken.update(f"2013-07-{day:02}" for day in range(11))
        server.asked.clear()
        report = fetch(tmp_path, source)
    assert len(server.asked) == 3
    assert "5 later ones were not asked for" in report.refused[-1].reason


def test_a_page_larger_than_declared_is_refused(tmp_path):
    # Two megabytes of zeros are two kilobytes when they are compressed.
    body = gzip.compress(json.dumps(page(["0" * 2**21])).encode())
    with serving(lambda _: Answered(body, headers={"Content-Encoding": "gzip"})) as server:
        (refusal,) = fetch(tmp_path, source_of(server, max_page_mb=1)).refused
    assert "larger than 1 MiB" in refusal.reason
    assert len(server.asked) == 1


def test_requests_keep_to_the_declared_rate(tmp_path):
    with serving(by_page) as server:
        begun = time.monotonic()
        fetch(tmp_path, source_of(server, pagination={"kind": "page"}, requests_per_second=2))
    assert len(server.asked) == 4
    assert server.asked[-1].at - begun >= 3 / 2
