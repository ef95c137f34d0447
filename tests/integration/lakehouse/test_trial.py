"""A source is tried before it lands: what would land, what would not and why, and nothing is left behind."""

import re
from pathlib import Path

import pytest

from lakehouse.delta.table import table_exists
from lakehouse.errors import LakehouseError
from lakehouse.ingest.declarations import load_source
from lakehouse.ingest.land import ingest
from lakehouse.ingest.propose.files import propose_file
from lakehouse.ingest.propose.proposal import declaration
from lakehouse.ingest.source import Source
from lakehouse.ingest.trial.files import try_file
from tests.unit.lakehouse.readings import readings

AT = "2013-07-10T10:00:00Z"
HEADER = "station,reading,read_at\n"
TODO = {
    "arrives": "live",
    "time_zone": "UTC",
    "delivery_delay_minutes": "0",
    "description": "Said.",
    "owner": "weather",
}


def declared(**more: object) -> Source:
    types = {"station": "string", "reading": "int"}
    return readings("csv", types, **{"max_bad_share": 0.5, **more})


def deliver(landing: Path, day: str, rows: str) -> None:
    landing.mkdir(exist_ok=True)
    (landing / f"readings_{day}.csv").write_text(HEADER + rows)


def test_a_proposed_source_reads_the_very_sample_it_was_proposed_from(spark, schema, tmp_path):
    sample = tmp_path / "any name.csv"
    sample.write_text(f"Station;Amount;read_at\nA;1.234,50;{AT}\nB;NA;{AT}\nC;7,25;{AT}\n")
    path = tmp_path / "readings.yml"
    text = declaration("readings", propose_file("readings", sample))
    path.write_text(re.sub(r"(\w+): TODO", lambda found: f"{found[1]}: {TODO[found[1]]}", text))
    trial = try_file(spark, load_source(path), sample, tmp_path, rows=2, schema=schema)
    assert (trial.rows, trial.unreadable, trial.refused, trial.waiting) == (3, 0, [], [])
    assert [(row["station"], row["amount"]) for row in trial.sample] == [("A", 1234.5), ("B", None)]
    assert "to land it needs another name" in trial.notes[0]


def test_the_newest_delivery_is_looked_at_and_nothing_is_left_behind(spark, schema, tmp_path):
    source = declared()
    deliver(tmp_path, "2013-07-09", f"A,1,{AT}\n")
    deliver(tmp_path, "2013-07-10", f"A,1,{AT}\nB,seven,{AT}\nC,3,{AT}\n")
    trial = try_file(spark, source, None, tmp_path, rows=5, schema=schema)
    assert trial.looked_at == "readings_2013-07-10.csv"
    assert (trial.rows, trial.unreadable, trial.refused) == (2, 1, [])
    assert [row["reading"] for row in trial.sample] == [1, 3]
    (bad,) = trial.unreadable_rows
    assert (bad.place, bad.raw) == ("3", f"B,seven,{AT}")
    assert "invalid value 'seven'" in bad.reason
    assert not table_exists(spark, f"{schema}.readings")
    assert spark.sql(f"show tables in {schema}").where("not isTemporary").collect() == []

    landed = ingest(spark, landing=tmp_path, schema=schema, declared={"readings": source})
    assert [(batch.rows, batch.quarantined) for batch in landed.landed] == [(1, 0), (2, 1)]
    again = try_file(spark, source, None, tmp_path, rows=5, schema=schema)
    assert (again.rows, again.refused) == (2, [])
    assert again.notes == ["it landed before, with this content: an ingestion would skip it"]


@pytest.mark.parametrize(
    ("more", "rows", "said"),
    [
        ({"max_bad_share": 0}, f"A,1,{AT}\nB,seven,{AT}\n", "more than 0% of its 2 rows cannot be read"),
        ({"min_rows": 3}, f"A,1,{AT}\n", "declares at least 3"),
    ],
)
def test_what_would_be_refused_is_said_with_the_rows_that_are_the_reason(
    spark, schema, tmp_path, more, rows, said
):
    deliver(tmp_path, "2013-07-10", rows)
    trial = try_file(spark, declared(**more), None, tmp_path, rows=5, schema=schema)
    assert len(trial.refused) == 1
    assert said in trial.refused[0]
    assert trial.rows == 1
    assert [row.place for row in trial.unreadable_rows] == (["3"] if "seven" in rows else [])


def test_a_delivery_of_the_future_and_one_without_its_manifest(spark, schema, tmp_path):
    deliver(tmp_path, "2999-07-10", f"A,1,{AT}\n")
    source = declared(complete_when="manifest")
    trial = try_file(spark, source, None, tmp_path, rows=5, schema=schema)
    assert "still to come" in trial.refused[0]
    assert "manifest" in trial.waiting[0]
    assert trial.rows == 1


def test_where_nothing_was_delivered_it_says_so(spark, schema, tmp_path):
    with pytest.raises(LakehouseError, match="no delivery lies in"):
        try_file(spark, declared(), None, tmp_path, rows=5, schema=schema)
