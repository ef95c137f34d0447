"""Of the flights' own files, what is proposed has the types that their declarations have."""

import re
from datetime import date
from pathlib import Path

import pytest

from demo.publish import publish
from lakehouse.ingest.declarations import load_source, load_sources
from lakehouse.ingest.propose.files import propose_file
from lakehouse.ingest.propose.proposal import declaration
from lakehouse.ingest.read.stream import read_stream

FILLED = {
    "arrives": "live",
    "time_zone": "America/New_York",
    "delivery_delay_minutes": "0",
    "description": "Said.",
    "owner": "flights",
}


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("landing")
    publish(date(2013, 10, 1), date(2013, 10, 1), landing=folder)
    return folder


@pytest.mark.parametrize("name", load_sources())
def test_a_delivery_shows_the_types_that_are_declared(name: str, landing: Path, tmp_path: Path) -> None:
    declared = load_sources()[name]
    path = declared.deliveries(landing)[-1].path
    text = declaration(name, propose_file(name, path))
    written = tmp_path / f"{name}.yml"
    written.write_text(re.sub(r"(\w+): TODO", lambda found: f"{found[1]}: {FILLED[found[1]]}", text))

    proposed = load_source(written)

    assert proposed.arrow_schema == declared.arrow_schema
    assert proposed.reported_time == declared.reported_time
    with path.open("rb") as file:
        parts = list(read_stream(proposed, file, {}))
    assert sum(part.rows.num_rows for part in parts) > 0
    assert not [row for part in parts for row in part.unreadable]
