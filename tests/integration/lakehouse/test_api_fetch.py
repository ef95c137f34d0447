"""What an API gives becomes deliveries, whole or not at all, whatever the API does meanwhile."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.integration.lakehouse.api_server import (
    CURSOR,
    DAYS,
    DELIVERY,
    NOW,
    Answered,
    Asked,
    by_bare_cursor,
    by_cursor,
    by_link_header,
    by_next_link,
    by_offset,
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


@pytest.mark.parametrize(
    ("answer", "pagination", "pages", "requests"),
    [
        (by_page, {"kind": "page"}, 4, 4),
        (by_page, {"kind": "page", "has_more": "data.more"}, 3, 3),
        (by_page, {"kind": "page", "total_pages": "data.pages"}, 3, 3),
        (by_offset, {"kind": "offset", "parameter": "skip"}, 4, 4),
        (by_offset, {"kind": "offset", "parameter": "skip", "has_more": "data.more"}, 3, 3),
        (by_cursor, CURSOR, 3, 3),
        (by_cursor, {**CURSOR, "has_more": "data.more"}, 3, 3),
        (by_bare_cursor, {**CURSOR, "may_be_absent": True}, 3, 3),
        (by_bare_cursor, {**CURSOR, "has_more": "data.more"}, 3, 3),
        (by_next_link, {"kind": "next_link", "next": "data.next"}, 3, 3),
        (by_link_header, {"kind": "link_header"}, 3, 3),
    ],
)
def test_pages_of_each_kind_become_one_delivery(tmp_path, answer, pagination, pages, requests):
    with serving(answer) as server:
        report = fetch(tmp_path, source_of(server, pagination=pagination))

    assert not report.refused
    assert len(delivered(tmp_path)) == 6
    assert len({json.dumps(row) for row in delivered(tmp_path)}) == 6
    (fetched,) = report.fetched
    assert (fetched.rows, fetched.pages, fetched.requests) == (6, pages, requests)
    assert len(server.asked) == requests
    assert server.asked[0].query["day"] == "2013-07-10"
    # Nothing but the delivery is left: no kept page, nothing half written.
    assert landed_files(tmp_path) == DELIVERY


def test_a_total_ends_pages_without_one_more_request(tmp_path):
    with serving(by_offset) as server:
        report = fetch(
            tmp_path,
            source_of(server, total="data.total", pagination={"kind": "offset", "parameter": "skip"}),
        )
    assert not report.refused
    assert server.pages("skip") == ["0", "2", "4"]


def test_fewer_records_than_the_api_counts_are_refused_and_asked_for_again(tmp_path):
    given = [rows(2), rows(3)]
    with serving(lambda _: Answered(page(given[0], total=3))) as server:
        source = source_of(server, total="data.total")
        report = fetch(tmp_path, source)
        (refusal,) = report.refused
        assert refusal.file == DELIVERY[0]
        assert "3 records (api.total), and gave 2" in refusal.reason
        assert landed_files(tmp_path) == []

        given.pop(0)
        assert not fetch(tmp_path, source).refused
    assert len(delivered(tmp_path)) == 3


def test_records_are_written_as_the_api_wrote_them(tmp_path):
    first, second = '{"a":1.10 ,"b":\r\n 12345678901234567890.12}', '{"c" : "\\u00e9\u2028\\n"}'
    text = '{"data": {"items": [' + first + ",\n " + second + "]}}"
    with serving(lambda _: Answered(text.encode())) as server:
        fetch(tmp_path, source_of(server))
    written = (tmp_path / DELIVERY[0]).read_text()
    assert written == first.replace("\r\n", "  ") + "\n" + second + "\n"


def test_only_the_periods_that_lack_are_asked_for(tmp_path):
    with serving(lambda asked: Answered(page([record(0, asked.query["day"])]))) as server:
        source = source_of(server, last_day="2013-07-20")
        # A quarter of an hour after the end of the 11th it may be there.
        assert len(fetch(tmp_path, source, now=datetime(2013, 7, 12, 0, 14, tzinfo=UTC)).fetched) == 1
        assert server.pages("day") == [DAYS[0]]
        assert len(fetch(tmp_path, source, now=datetime(2013, 7, 12, 0, 15, tzinfo=UTC)).fetched) == 1
        assert server.pages("day") == list(DAYS)
        assert fetch(tmp_path, source).fetched == []

        # Removed before it landed, it lacks.
        (tmp_path / DELIVERY[0]).unlink()
        fetch(tmp_path, source)
        # Written by a fetch that died before the manifest, it is not whole.
        (tmp_path / DELIVERY[1]).unlink()
        fetch(tmp_path, source, days=days_until("2013-07-10"))
        fetch(tmp_path, source, days=days_until("2013-07-09"))
    assert server.pages("day") == [*DAYS, DAYS[0], DAYS[0]]


def test_two_processes_do_not_fetch_one_source_at_once(tmp_path):
    reports = []

    def answer(_: Asked) -> Answered:
        if not reports:
            reports.append(fetch(tmp_path, source))
        return Answered(page(rows(2)))

    with serving(answer) as server:
        source = source_of(server)
        report = fetch(tmp_path, source)
    assert len(server.asked) == len(report.fetched) == 1
    assert [waiting.reason for waiting in reports[0].waiting] == ["another process is fetching it"]


SNAPSHOT = {"arrives": "snapshot"}
OF_SNAPSHOT = {"params": {}, "first_day": None, "last_day": None}


@pytest.mark.parametrize(
    ("given", "asked_by"),
    [
        ({"ETag": '"v1"'}, {"if-none-match": '"v1"'}),
        (
            {"Last-Modified": "Wed, 10 Jul 2013 00:00:00 GMT"},
            {"if-modified-since": "Wed, 10 Jul 2013 00:00:00 GMT"},
        ),
    ],
)
def test_an_unchanged_snapshot_is_not_delivered_again(tmp_path, given, asked_by):
    is_changed = []

    def answer(asked: Asked) -> Answered:
        same = all(asked.headers.get(name) == value for name, value in asked_by.items())
        return Answered(status=304) if same and not is_changed else Answered(page(rows(2)), headers=given)

    with serving(answer) as server:
        source = source_of(server, SNAPSHOT, **OF_SNAPSHOT)
        assert fetch(tmp_path, source).fetched[0].rows == 2
        # Once a day is enough.
        assert fetch(tmp_path, source).fetched == []
        assert len(server.asked) == 1

        tomorrow = NOW + timedelta(days=1)
        (fetched,) = fetch(tmp_path, source, now=tomorrow).fetched
        assert fetched.is_unchanged
        assert not (tmp_path / "weather/readings_2013-07-13.jsonl").exists()

        is_changed.append(True)
        (fetched,) = fetch(tmp_path, source, now=tomorrow).fetched
        assert not fetched.is_unchanged
        assert len(delivered(tmp_path, "2013-07-13")) == 2
        # Of another declaration, the same would be news.
        is_changed.clear()
        other = source_of(server, SNAPSHOT, **{**OF_SNAPSHOT, "params": {"units": "si"}})
        fetch(tmp_path, other, now=NOW + timedelta(days=2))
        assert not asked_by.keys() & server.asked[-1].headers.keys()


def test_a_snapshot_of_several_pages_is_not_judged_by_its_first(tmp_path):
    def answer(asked: Asked) -> Answered:
        said = by_page(asked)
        return Answered(said.body, headers={"ETag": '"same"'})

    with serving(answer) as server:
        source = source_of(server, SNAPSHOT, **OF_SNAPSHOT, pagination={"kind": "page"})
        fetch(tmp_path, source)
        fetch(tmp_path, source, now=NOW + timedelta(days=1))
    assert len(delivered(tmp_path, "2013-07-13")) == 6
    assert all("if-none-match" not in asked.headers for asked in server.asked)


def test_pages_of_a_snapshot_that_was_not_finished_go(tmp_path):
    def answer(asked: Asked) -> Answered:
        return Answered(status=404) if asked.query["page"] == "2" else by_page(asked)

    with serving(answer) as server:
        source = source_of(server, SNAPSHOT, **OF_SNAPSHOT, pagination={"kind": "page"})
        fetch(tmp_path, source)
        assert landed_files(tmp_path) == ["weather/.pages/readings/2013-07-12/00000.jsonl"]
        server.answer = by_page
        fetch(tmp_path, source, now=NOW + timedelta(days=1))
    assert landed_files(tmp_path) == [name.replace("07-10", "07-13") for name in DELIVERY]


def test_a_damaged_page_is_asked_for_again_and_what_follows_it(tmp_path):
    def answer(asked: Asked) -> Answered:
        return Answered(status=404) if asked.query["page"] == "4" else by_page(asked)

    with serving(answer) as server:
        source = source_of(server, pagination={"kind": "page"})
        fetch(tmp_path, source)
        kept = tmp_path / "weather/.pages/readings/2013-07-10"
        assert len(list(kept.iterdir())) == 3
        (kept / "00001.jsonl").write_bytes((kept / "00001.jsonl").read_bytes()[:-5])
        server.answer = by_page
        fetch(tmp_path, source)
    assert server.pages("page") == ["1", "2", "3", "4", "2", "3", "4"]
    assert len(delivered(tmp_path)) == 6
