"""Deliveries in a bucket: listed, awaited and read as those of the landing zone are."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from upath import UPath

from lakehouse.errors import LakehouseError
from lakehouse.ingest.complete import WaitingError, await_settled, read_manifest
from lakehouse.ingest.ledger import Ledger, pending
from lakehouse.ingest.listing import list_deliveries
from lakehouse.ingest.looked_at import listed_of
from lakehouse.ingest.offer import Found, Work
from lakehouse.ingest.report import IngestReport
from lakehouse.ingest.source import Source
from lakehouse.ingest.stage import stage
from lakehouse.ingest.take import offer, take
from tests.servers.object_store import BUCKET, object_store
from tests.unit.lakehouse.readings import readings

LANDING = Path("/no/landing")
BODY = b"a,b,read_at\nx,1,2013-07-10T10:00:00Z\ny,2,2013-07-10T11:00:00Z\n"


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with object_store() as found:
        yield found


@pytest.fixture
def source(client: Any, request: pytest.FixtureRequest) -> Source:
    """A source in a folder of its own."""
    folder = request.node.name.replace("[", "-").strip("]")
    made = readings("csv", {"a": "string", "b": "int"})
    return made.model_validate(
        made.model_dump() | {"files": f"s3://{BUCKET}/{folder}/readings_{{delivery}}.csv"}
    )


def put(client: Any, source: Source, name: str, body: bytes = BODY) -> None:
    client.put_object(Bucket=BUCKET, Key=f"{source.folder}/{name}", Body=body)


def test_deliveries_are_what_the_bucket_lists_by_name(client: Any, source: Source) -> None:
    assert source.deliveries(LANDING) == []
    for name in ("readings_2013-07-10.csv", "readings_2013-07-11T05.csv", "readings_july.csv", ".hidden.csv"):
        put(client, source, name)
    found = source.deliveries(LANDING)
    assert [each.batch_id for each in found] == ["readings_2013-07-10", "readings_2013-07-11T05"]
    assert str(found[0].path) == f"s3://{BUCKET}/{source.folder}/readings_2013-07-10.csv"
    assert [path.name for path in source.misnamed(LANDING)] == ["readings_july.csv"]
    assert pending(LANDING, [], declared={source.name: source}, settle_seconds=0) == found


def test_a_young_file_is_waited_for_and_a_marker_is_looked_for(client: Any, source: Source) -> None:
    put(client, source, "readings_2013-07-10.csv")
    (delivery,) = source.deliveries(LANDING)
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    assert pending(LANDING, [], declared={source.name: source}, settle_seconds=3600, now=long_ago) == []
    marked = source.model_copy(update={"complete_when": "marker"})
    assert list(await_settled([(marked, delivery)], 0)) == [delivery.path]
    put(client, source, "readings_2013-07-10.csv.done", b"")
    assert await_settled([(marked, delivery)], 0) == {}


def test_a_task_reads_what_lies_in_a_bucket(client: Any, source: Source, tmp_path: Path) -> None:
    put(client, source, "readings_2013-07-10.csv")
    (delivery,) = source.deliveries(LANDING)
    offered = offer(source, delivery, LANDING, Ledger())
    work = Work(
        sources={source.name: source},
        staging=str(tmp_path),
        at=datetime(2026, 1, 1, tzinfo=UTC),
        taken_up={},
        tasks=[[asked for asked, _ in offered.files]],
    )
    (answers,) = stage([pa.record_batch({"id": [0]})], work.as_json())
    (found,) = (Found.model_validate_json(text) for text in answers.column("found").to_pylist())
    assert (found.rows, found.refused, found.waiting) == (2, None, None)
    (staged,) = tmp_path.glob("*.parquet")
    rows = pq.read_table(staged).to_pylist()
    assert [row["a"] for row in rows] == ["x", "y"]
    assert {row["_source_file"] for row in rows} == {str(delivery.path)}
    assert json.loads(offered.files[0][0].model_dump_json())["path"] == str(delivery.path)


def test_a_store_that_goes_away_refuses_no_file(
    client: Any, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marked = source.model_copy(update={"complete_when": "manifest"})
    body = json.dumps({"rows": 2, "sha256": hashlib.sha256(BODY).hexdigest()}).encode()
    put(client, source, "readings_2013-07-10.csv")
    put(client, source, "readings_2013-07-10.csv.manifest", body)
    (delivery,) = source.deliveries(LANDING)
    offered = offer(source, delivery, LANDING, Ledger())
    at = datetime(2026, 1, 1, tzinfo=UTC)
    tasks = [[asked for asked, _ in offered.files]]
    work = Work(sources={source.name: source}, staging=str(tmp_path), at=at, taken_up={}, tasks=tasks)
    connections = fsspec.get_filesystem_class("s3")
    with monkeypatch.context() as gone:
        gone.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        connections.clear_instance_cache()
        (answers,) = stage([pa.record_batch({"id": [0]})], work.as_json())
        (found,) = (Found.model_validate_json(text) for text in answers.column("found").to_pylist())
        assert found.refused is None and found.waiting is not None and "cannot be read" in found.waiting
        report, away = IngestReport(), UPath(str(delivery.path), of_bucket=BUCKET)
        delivery = replace(delivery, path=cast(Path, away))
        waiting = await_settled([(marked, delivery)], 0)
        assert "cannot be looked for" in waiting[delivery.path]
        with pytest.raises(WaitingError, match=r"its manifest .* cannot be read"):
            read_manifest(marked, delivery.path)
        batch = take(replace(offered, delivery=delivery), {str(delivery.path): found}, Ledger(), report)
        assert batch is None and report.refused == [] and len(report.waiting) == 1
    connections.clear_instance_cache()
    assert read_manifest(marked, source.deliveries(LANDING)[0].path) is not None


def test_parts_of_a_folder_are_one_delivery(client: Any, source: Source) -> None:
    parts = source.model_validate(
        source.model_dump() | {"files": f"s3://{BUCKET}/{source.folder}/readings_{{delivery}}/*.csv"}
    )
    for name in ("part-0.csv", "part-1.csv", "_SUCCESS"):
        put(client, parts, f"readings_2013-07-10/{name}")
    (delivery,) = parts.deliveries(LANDING)
    assert delivery.day == date(2013, 7, 10)
    offered = offer(parts, delivery, LANDING, Ledger())
    assert [asked.path.rpartition("/")[2] for asked, _ in offered.files] == ["part-0.csv", "part-1.csv"]
    assert offered.seen.size == 2 * len(BODY)


def test_a_store_that_does_not_answer_is_named(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    connections = fsspec.get_filesystem_class("s3")
    with monkeypatch.context() as gone:
        gone.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        connections.clear_instance_cache()
        with pytest.raises(LakehouseError, match=f"s3://{BUCKET}/.* cannot be listed"):
            source.deliveries(LANDING)
        report = IngestReport()
        assert listed_of([source], LANDING, report) == {}
        # Whoever looks at all sources goes on, and knows of which one nothing is known.
        listed = list_deliveries([source], LANDING)
        assert pending(LANDING, [], declared={source.name: source}) == []
    assert listed.deliveries == {} and "cannot be listed" in listed.unlisted[source.name]
    ((place, why),) = [(each.file, each.reason) for each in report.waiting]
    assert place == f"s3://{BUCKET}/{source.folder}" and "cannot be listed" in why
    connections.clear_instance_cache()
    assert source.deliveries(LANDING) == []
    assert listed_of([source], LANDING, IngestReport()) == {source.name: []}


@pytest.mark.parametrize(
    "files",
    [
        "s3://bucket/../readings_{delivery}.csv",
        "s3://bucket/other_{delivery}.csv",
        "gs://b/readings_{delivery}.csv",
    ],
)
def test_a_place_that_cannot_be_is_refused(files: str) -> None:
    made = readings("csv", {"a": "string"})
    with pytest.raises(ValueError, match="files: must be a path below the landing zone, or s3"):
        made.model_validate(made.model_dump() | {"files": files})
