"""What `lakehouse ingest` says of deliveries that it fetched from an API."""

import pytest

from commands.ingest import _show
from lakehouse.ingest.report import Fetched, IngestReport, Refusal, Waiting


def fetched(day: str, *, source: str = "readings", **more: object) -> Fetched:
    values = {"rows": 500, "pages": 5, "resumed_pages": 0, "requests": 6} | more
    return Fetched(source=source, file=f"{source}/{source}_{day}.jsonl", **values)


def test_it_says_what_was_fetched_by_source(capsys: pytest.CaptureFixture[str]) -> None:
    report = IngestReport(
        fetched=[
            fetched("2013-07-10", resumed_pages=3),
            fetched("2013-07-11"),
            fetched("2013-07-11", source="stations", is_unchanged=True),
        ],
        refused=[Refusal("readings/readings_2013-07-12.jsonl", "cannot be fetched: it answered 404")],
        waiting=[Waiting("gusts/gusts_2013-07-12.jsonl", "it answered 429")],
    )
    _show(report)
    said = capsys.readouterr().out
    found = "deliveries: 2, rows: 1000, pages: 10 (3 of them kept from before)"
    assert f"fetched from the API of readings  {found}" in said
    assert "fetched from the API of stations  nothing new" in said
    assert "readings/readings_2013-07-12.jsonl  cannot be fetched: it answered 404" in said
    assert "gusts/gusts_2013-07-12.jsonl  it answered 429; run it again later" in said


def test_it_says_nothing_of_apis_where_there_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    _show(IngestReport())
    assert "API" not in capsys.readouterr().out
