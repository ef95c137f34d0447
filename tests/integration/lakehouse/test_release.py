"""Unreadable rows come in when their declaration can read them: once, by name and with a reason."""

import json
from pathlib import Path

import pytest

from lakehouse.errors import LakehouseError
from lakehouse.ingest.land import ingest
from lakehouse.ingest.ledger import Ledger, read_entries
from lakehouse.ingest.release.release import Released, release
from lakehouse.ingest.set_aside import unreadable, unreadable_rows
from lakehouse.ingest.source import Source
from tests.unit.lakehouse.readings import readings

pytestmark = pytest.mark.slow

AT = "2013-07-10T10:00:00Z"
BATCH = "readings_2013-07-10"


def declared(reading: object = "int", file_format: str = "csv", **more: object) -> Source:
    types = {"station": "string", "reading": reading}
    return readings(file_format, types, allow_new_columns=True, **more)


def with_read_at(source: Source, complete_when: str = "settled", **said: str) -> Source:
    """The same source, with times that are written otherwise."""
    at = {"name": "read_at", "type": "timestamp", "description": "When."} | said
    columns = [each.model_dump(exclude_unset=True) for each in source.columns[:2]]
    plain = source.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return Source.model_validate(plain | {"columns": [*columns, at], "complete_when": complete_when})


def let_in(spark, schema: str, landing: Path, source: Source, batch_id: str = BATCH) -> Released:
    return release(
        spark,
        source.name,
        batch_id,
        by="Ana",
        reason="another format since July",
        landing=landing,
        declared={source.name: source},
        schema=schema,
    )


def land(spark, schema: str, landing: Path, source: Source):
    return ingest(spark, landing=landing, schema=schema, declared={source.name: source})


def rows_of(spark, schema: str) -> list[tuple[object, ...]]:
    found = spark.table(f"{schema}.readings").toArrow().to_pylist()
    return sorted((row["station"], row["reading"], row["_batch_id"]) for row in found)


# Columns in another order than declared, one that is not, values over several lines, a stray quote.
CSV = (
    "extra,read_at,reading,station\n"
    f"x,{AT},1,A\n"
    f'"one\ntwo",{AT},2013-07-10,B\n'
    f"x,{AT},2013-07-11,C\n"
    f"x,{AT},seven,D\n"
    f'"x,{AT},2013-07-12,E\n'
    f"x,{AT},2013-07-13\n"
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_rows_that_can_be_read_now_land_once(spark, schema, tmp_path, encoding):
    now = declared("string", csv={"encoding": encoding, "multiline": "allowed"})
    before = with_read_at(now, format="%d.%m.%Y %H:%M %z")
    (tmp_path / f"{BATCH}.csv").write_text(CSV, encoding=encoding, newline="")
    report = land(spark, schema, tmp_path, before)
    assert [(batch.rows, batch.quarantined) for batch in report.landed] == [(0, 6)], report

    done = let_in(spark, schema, tmp_path, now)
    assert (done.rows, done.is_new) == (4, True)
    assert done.left == 2
    landed = rows_of(spark, schema)
    assert [row[0] for row in landed] == ["A", "B", "C", "D"]
    assert {row[2] for row in landed} == {f"{BATCH}_released"}
    found = spark.table(f"{schema}.readings").where("station = 'B'").toArrow().to_pylist()
    assert found[0]["extra"] == "one\ntwo"

    again = let_in(spark, schema, tmp_path, now)
    assert (again.rows, again.is_new) == (4, False)
    assert land(spark, schema, tmp_path, now).landed == []
    assert rows_of(spark, schema) == landed

    ledger = Ledger(read_entries(schema, spark))
    decision = ledger.released(BATCH)
    assert decision is not None
    assert (decision.decided_by, decision.reason) == ("Ana", "another format since July")
    (aside,) = unreadable(spark, ledger, schema=schema)
    assert (aside.rows, aside.batch_id) == (6, BATCH)
    assert aside.released == "4 rows, by Ana: another format since July"
    shown = unreadable_rows(spark, "readings", BATCH, 2, schema=schema)
    assert [row.place for row in shown] == ["2", "3"]
    assert shown[0].raw == f"x,{AT},1,A"


def test_json_lines_with_a_manifest_and_a_call_that_was_killed_before_they_landed(
    spark, schema, tmp_path, monkeypatch
):
    rows = [{"station": "A", "reading": 1, "read_at": AT}, {"station": "B", "reading": 1.5, "read_at": AT}]
    content = "".join(json.dumps(row) + "\n" for row in rows)
    source = declared("double", "jsonl", complete_when="settled")
    (tmp_path / f"{BATCH}.jsonl").write_text(content.replace(AT, "10.07.2013"))
    assert [each.quarantined for each in land(spark, schema, tmp_path, source).landed] == [2]
    now = with_read_at(source, "manifest", format="%d.%m.%Y", time_zone="UTC")
    with monkeypatch.context() as patch:

        def killed(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        patch.setattr("lakehouse.ingest.release.release.ingest", killed)
        with pytest.raises(KeyboardInterrupt):
            let_in(spark, schema, tmp_path, now)
    assert rows_of(spark, schema) == []
    assert (tmp_path / f"{BATCH}_released.jsonl.manifest").is_file()
    done = let_in(spark, schema, tmp_path, now)
    assert (done.rows, done.is_new) == (2, True)
    assert [row[:2] for row in rows_of(spark, schema)] == [("A", 1.0), ("B", 1.5)]


def test_what_cannot_be_released_says_what_to_do_instead(spark, schema, tmp_path):
    source = declared(max_bad_share=1)
    (tmp_path / f"{BATCH}.csv").write_text(f"station,reading,read_at\nA,1,{AT}\nB,seven,{AT}\n")
    land(spark, schema, tmp_path, source)
    with pytest.raises(LakehouseError, match="none of its 1 rows can be read"):
        let_in(spark, schema, tmp_path, source)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{BATCH}.csv"]
    with pytest.raises(LakehouseError, match="has no row in"):
        let_in(spark, schema, tmp_path, source, "readings_2013-07-11")
    with pytest.raises(LakehouseError, match="is not a batch of"):
        let_in(spark, schema, tmp_path, source, "others_2013-07-11")
    (tmp_path / f"{BATCH}.csv").write_text(f"reading,station,read_at\n1,A,{AT}\nseven,B,{AT}\n")
    text = declared({"type": "int", "name_in_file": "reading"}, max_bad_share=1)
    with pytest.raises(LakehouseError, match="has other content now"):
        let_in(spark, schema, tmp_path, text)
    parquet = declared("int", "parquet")
    with pytest.raises(LakehouseError, match="corrections"):
        let_in(spark, schema, tmp_path, parquet)
    assert [row[0] for row in rows_of(spark, schema)] == ["A"]
