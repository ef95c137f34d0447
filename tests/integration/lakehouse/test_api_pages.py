"""Pages that are of another form, circle, repeat or end are taken for what they are."""

import pytest

from tests.integration.lakehouse.api_server import (
    CURSOR,
    DELIVERY,
    Answered,
    Asked,
    by_cursor,
    delivered,
    fetch,
    landed_files,
    numbered,
    page,
    record,
    rows,
    serving,
    source_of,
)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<html>Log in</html>", "the answer is not JSON"),
        (b'{"data": {"items": [NaN]}}', "NaN is not a value of JSON"),
        (b'{"data": {"items": ["\xff"]}}', "the answer is not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        ({"data": {"rows": []}}, "lacks data.items (api.records); it has: rows"),
        ({"result": {}}, "lacks data (api.records)"),
        ({"data": []}, "data is a list, so there is no data.items"),
        ({"data": {"items": None}}, "data.items is null, not a list"),
        ({"data": {"items": {"a": 1}}}, "data.items is an object, not a list"),
        (page([record(0)]), "lacks data.next (api.pagination.next)"),
        (page([record(0)], next={"id": 1}), "data.next is an object"),
        (page([record(0)], next=True), "data.next is true or false"),
    ],
)
def test_a_page_of_another_form_is_refused_by_name(tmp_path, body, reason):
    def answer(asked: Asked) -> Answered:
        return Answered(body) if "after" in asked.query else by_cursor(asked)

    with serving(answer) as server:
        report = fetch(tmp_path, source_of(server, pagination=CURSOR))
    (refusal,) = report.refused
    assert refusal.file == DELIVERY[0]
    assert "page 2: " in refusal.reason
    assert reason in refusal.reason
    assert report.fetched == []
    assert DELIVERY[0] not in landed_files(tmp_path)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (True, "data.more is true, but data.next has no cursor"),
        ("yes", "data.more is a text, not true or false"),
    ],
)
def test_what_says_that_more_follows_is_believed_or_refused(tmp_path, more, reason):
    with serving(lambda _: Answered(page(rows(2), next=None, more=more))) as server:
        source = source_of(server, pagination={**CURSOR, "has_more": "data.more"})
        (refusal,) = fetch(tmp_path, source).refused
    assert reason in refusal.reason


def test_a_form_that_comes_back_goes_on_where_it_was(tmp_path):
    changed = [True]

    def answer(asked: Asked) -> Answered:
        return Answered({"v2": []}) if changed and "after" in asked.query else by_cursor(asked)

    with serving(answer) as server:
        source = source_of(server, pagination=CURSOR)
        fetch(tmp_path, source)
        changed.clear()
        fetch(tmp_path, source)
    assert server.pages("after") == [None, "20", "20", "40"]
    assert len(delivered(tmp_path)) == 6


@pytest.mark.parametrize("change", [{"params": {"day": "{day}", "units": "si"}}, {"records": "data.rows"}])
def test_another_declaration_does_not_take_up_pages_of_the_first(tmp_path, change):
    def answer(asked: Asked) -> Answered:
        number = numbered(asked, "after", 0)
        other = {"rows": rows(1, number), "next": number + 20 if number < 40 else None}
        return Answered(page(rows(2, number), **other), status=404 if number and is_broken else 200)

    is_broken = True
    with serving(answer) as server:
        fetch(tmp_path, source_of(server, pagination=CURSOR))
        is_broken = False
        (fetched,) = fetch(tmp_path, source_of(server, pagination=CURSOR, **change)).fetched
    assert server.pages("after") == [None, "20", None, "20", "40"]
    assert fetched.rows == (3 if "records" in change else 6)


def test_a_cursor_that_has_expired_begins_the_delivery_again(tmp_path):
    refused = ["when it is first asked for", "when the fetch is continued"]

    def answer(asked: Asked) -> Answered:
        if asked.query.get("after") == "40" and refused:
            refused.pop()
            return Answered({"error": "cursor expired"}, status=410)
        return by_cursor(asked)

    with serving(answer) as server:
        source = source_of(server, pagination=CURSOR)
        assert "410 Gone" in fetch(tmp_path, source).refused[0].reason
        report = fetch(tmp_path, source)
    assert server.pages("after") == [None, "20", "40", "40", None, "20", "40"]
    assert report.fetched[0].resumed_pages == 0
    assert len(delivered(tmp_path)) == 6


def test_pages_that_run_in_a_circle_end(tmp_path):
    def circle(asked: Asked) -> Answered:
        number = numbered(asked, "after", 0)
        return Answered(page(rows(2, number), next=(number + 20) % 60))

    with serving(circle) as server:
        source = source_of(server, pagination={**CURSOR, "parameter": "after"})
        (refusal,) = fetch(tmp_path, source).refused
        assert "page 5: has an address that was asked before" in refusal.reason
        assert server.pages("after") == [None, "20", "40", "0"]
        assert landed_files(tmp_path) == []


def test_a_page_number_that_the_api_does_not_heed_ends(tmp_path):
    with serving(lambda _: Answered(page(rows(2)))) as server:
        (refusal,) = fetch(tmp_path, source_of(server, pagination={"kind": "page"})).refused
    assert "page 2: is the one before it: the API does not heed page" in refusal.reason
    assert len(server.asked) == 2


def test_pages_without_end_end(tmp_path):
    def endless(asked: Asked) -> Answered:
        return Answered(page(rows(1), next=numbered(asked, "after", 0) + 1))

    with serving(endless) as server:
        (refusal,) = fetch(tmp_path, source_of(server, pagination=CURSOR, max_pages=7)).refused
    assert "page 8: is more than api.max_pages (7)" in refusal.reason
    assert len(server.asked) == 7


def test_a_page_that_repeats_records_is_written_as_it_came(tmp_path):
    def repeating(asked: Asked) -> Answered:
        number = numbered(asked, "after", 0)
        return Answered(page(rows(2), next=number + 1 if number < 2 else None))

    with serving(repeating) as server:
        fetch(tmp_path, source_of(server, pagination=CURSOR))
    assert [row["reading"] for row in delivered(tmp_path)] == [0, 1] * 3


def test_a_day_without_records_is_asked_for_again_unless_it_may_be_empty(tmp_path):
    with serving(lambda _: Answered(page([]))) as server:
        (refusal,) = fetch(tmp_path, source_of(server)).refused
        assert "the API gave no records, but readings declares at least 1 (min_rows)" in refusal.reason
        assert landed_files(tmp_path) == []
        assert not fetch(tmp_path, source_of(server, {"may_be_empty": True})).refused
    assert delivered(tmp_path) == []


def test_a_status_may_mean_that_there_are_no_records(tmp_path):
    with serving(lambda _: Answered(status=404)) as server:
        report = fetch(tmp_path, source_of(server, {"min_rows": 0}, empty_status=[404]))
    assert not report.refused
    assert delivered(tmp_path) == []
