"""Deliveries are read in tasks of some size, and committed in rounds of some size."""

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from lakehouse.ingest import land, scan, take
from lakehouse.ingest.ledger import Ledger
from lakehouse.ingest.offer import Found, Offer
from lakehouse.ingest.report import IngestReport
from lakehouse.owned_folders import folder_name
from tests.unit.lakehouse.readings import readings


def _offer(number: int) -> Offer:
    return Offer(source="readings", batch_id=f"b{number}", path=f"/{number}", file=f"{number}")


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [([4, 4, 4, 12, 1], [2, 1, 1, 1]), ([1] * 7, [5, 2]), ([30, 30], [1, 1]), ([], [])],
    ids=["by size", "by number", "each larger than a task", "none"],
)
def test_small_files_are_read_by_one_task(monkeypatch, sizes, expected):
    monkeypatch.setattr(scan, "_TASK_BYTES", 10)
    monkeypatch.setattr(scan, "_TASK_FILES", 5)
    offers = [(_offer(number), size) for number, size in enumerate(sizes)]

    tasks = list(scan.tasks_of(offers))

    assert [len(task) for task in tasks] == expected
    assert [offer for task in tasks for offer in task] == [offer for offer, _ in offers]


def test_a_round_takes_deliveries_up_to_its_size(monkeypatch):
    monkeypatch.setattr(land, "_BYTES_PER_ROUND", 10)
    offered: list[Any] = [SimpleNamespace(seen=SimpleNamespace(size=size)) for size in [4, 4, 4, 12, 1]]

    assert [len(group) for group in land._rounds(offered)] == [2, 1, 1, 1]


@pytest.mark.parametrize(
    ("parts", "taken_up", "own"),
    [
        ([{"x": "double"}], {}, {}),
        ([{"x": "double"}, {"y": "string"}], {}, {}),
        ([{"x": "double"}, {"x": "string"}], {}, {"x": "double"}),
        ([{"x": "double"}, None], {}, {"x": "double"}),
        ([{"x": "double"}, None], {"x": "double"}, {}),
        ([None, None], {}, {}),
    ],
    ids=[
        "one part",
        "each its own",
        "the parts disagree",
        "one is refused",
        "and knew it",
        "all are refused",
    ],
)
def test_parts_that_had_not_heard_of_a_new_column_are_read_again(parts, taken_up, own):
    offered, found = _read(parts)

    assert land._own_types(offered, found, taken_up) == own


@pytest.mark.parametrize(
    ("parts", "before", "now", "outdated"),
    [
        ([{"x": "double"}], {}, {"x": "string"}, True),
        ([{"x": "double"}], {}, {"x": "double"}, False),
        ([{"x": "double"}], {}, {"y": "string"}, False),
        ([None], {}, {"x": "string"}, True),
        ([None], {"x": "string"}, {"x": "string"}, False),
    ],
    ids=["another type", "the same", "another column", "refused", "refused, and nothing is new"],
)
def test_a_delivery_is_read_again_where_what_landed_beside_it_changes_it(parts, before, now, outdated):
    offered, found = _read(parts)

    assert land._is_outdated(offered, found, before, now) is outdated


def _read(parts: list[dict[str, str] | None]) -> tuple[Any, dict[str, Found]]:
    """A delivery whose parts have new columns, or are refused."""
    offers = [_offer(number) for number in range(len(parts))]
    found = {
        offer.path: Found(offer=offer, new_columns=part or {}, refused=None if part else "wrong")
        for offer, part in zip(offers, parts, strict=True)
    }
    return SimpleNamespace(files=[(offer, 1) for offer in offers]), found


def test_what_a_killed_ingestion_staged_goes_and_what_a_living_one_did_stays(tmp_path):
    killed = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    alive = tmp_path / folder_name("ingest")
    dead = tmp_path / folder_name("ingest", psutil.Process(killed.pid))
    elsewhere = tmp_path / "ingest-another.machine-1-1-00000000"
    for folder in (alive, dead, elsewhere):
        folder.mkdir()
    assert scan.dead_folders(tmp_path) == []

    killed.kill()
    killed.wait()

    assert scan.dead_folders(tmp_path) == [dead]


def test_a_delivery_that_goes_while_it_is_read_is_refused_by_name(tmp_path):
    path = tmp_path / "readings_2013-07-10.csv"
    path.write_text("station,reading,read_at\n")
    source = readings("csv", {"station": "string"})
    delivery = source.delivery(path)
    assert delivery is not None
    offered = take.offer(source, delivery, tmp_path, Ledger())
    found = {asked.path: Found(offer=asked, digest="0") for asked, _ in offered.files}
    path.unlink()

    report = IngestReport()

    assert take.take(offered, found, Ledger(), report) is None
    assert [(each.file, each.reason) for each in report.refused] == [
        (path.name, "cannot be read: No such file or directory")
    ]
