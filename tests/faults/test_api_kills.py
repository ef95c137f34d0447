"""A fetch that is killed -9 anywhere: the next asks only for what is not kept, and the delivery is whole."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lakehouse.ingest.source import Source
from lakehouse.settings import PROJECT_ROOT
from tests.integration.lakehouse.api_server import (
    Answered,
    Asked,
    delivered,
    fetch,
    landed_files,
    record,
    serving,
    source_of,
)

CURSOR = {"kind": "cursor", "parameter": "after", "next": "data.next"}

# It dies at the n-th time that a file gets its name: before it, or after.
FETCH = """
import json, os, signal, sys
from datetime import datetime
from pathlib import Path
from tests.integration.lakehouse.api_server import fetch
from lakehouse.ingest.source import Source

landing, source, kill_at, moment = sys.argv[1:]
rename, calls = Path.replace, 0

def killing(path, target):
    global calls
    calls += 1
    if (calls, moment) == (int(kill_at), "before"):
        os.kill(os.getpid(), signal.SIGKILL)
    renamed = rename(path, target)
    if (calls, moment) == (int(kill_at), "after"):
        os.kill(os.getpid(), signal.SIGKILL)
    return renamed

Path.replace = killing
fetch(Path(landing), Source.model_validate_json(source))
"""


def started(landing: Path, source: Source, kill_at: int = 0, moment: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", FETCH, str(landing), source.model_dump_json(), str(kill_at), moment],
        cwd=PROJECT_ROOT,
        env=os.environ | {"PYTHONPATH": str(PROJECT_ROOT)},
        text=True,
    )


def pages_of(count: int):
    """A server of so many pages with two records each."""

    def answer(asked: Asked) -> Answered:
        number = int(asked.query.get("after", 0))
        items = [record(2 * number), record(2 * number + 1)]
        return Answered({"data": {"items": items, "next": number + 1 if number + 1 < count else None}})

    return answer


def test_a_day_of_a_thousand_pages_that_was_killed_after_600_asks_for_400_more(tmp_path):
    answer = pages_of(1000)
    running: list[subprocess.Popen[str]] = []

    def killing(asked: Asked) -> Answered:
        if running and asked.query.get("after") == "600":
            running[0].kill()
            running[0].wait()
        return answer(asked)

    with serving(killing) as server:
        source = source_of(server, pagination=CURSOR)
        running.append(started(tmp_path, source))
        assert running[0].wait(timeout=120) == -signal.SIGKILL
        running.clear()
        # The 601st was asked for, and is not kept.
        assert len(server.asked) == 601
        assert not any(name.endswith("manifest") for name in landed_files(tmp_path))

        server.asked.clear()
        (fetched,) = fetch(tmp_path, source).fetched
    assert len(server.asked) == fetched.requests == 400
    assert (fetched.pages, fetched.resumed_pages) == (1000, 600)
    assert [row["reading"] for row in delivered(tmp_path)] == list(range(2000))
    assert len(landed_files(tmp_path)) == 2


# Three pages, the delivery and its manifest get their names; a sixth time there is none, and nobody dies.
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("kill_at", range(1, 7))
def test_killed_when_a_file_gets_its_name(tmp_path, kill_at, moment):
    with serving(pages_of(3)) as server:
        source = source_of(server, pagination=CURSOR)
        killed = started(tmp_path, source, kill_at, moment).wait(timeout=60)
        is_done = kill_at == 6 or (kill_at, moment) == (5, "after")
        assert killed == (0 if kill_at == 6 else -signal.SIGKILL)
        kept = kill_at - (moment == "before") if kill_at <= 3 else 3
        assert len(server.asked) == min(kill_at, 3)

        server.asked.clear()
        fetched = fetch(tmp_path, source).fetched
    assert len(fetched) == (0 if is_done else 1)
    assert len(server.asked) == (0 if is_done else 3 - kept)
    assert [row["reading"] for row in delivered(tmp_path)] == list(range(6))
    assert len(landed_files(tmp_path)) == 2


def test_killed_again_and_again_each_kill_costs_one_request_at_most(tmp_path):
    answer = pages_of(100)
    running: list[subprocess.Popen[str]] = []
    die_at = iter([7, 1, 30, 2, 11, 23])
    since_start = [0]

    def killing(asked: Asked) -> Answered:
        since_start[0] += 1
        if since_start[0] == dies:
            running[-1].kill()
            running[-1].wait()
        return answer(asked)

    with serving(killing) as server:
        source = source_of(server, pagination=CURSOR)
        for dies in die_at:  # noqa: B007 - the server reads it
            since_start[0] = 0
            running.append(started(tmp_path, source))
            assert running[-1].wait(timeout=60) == -signal.SIGKILL
        dies = 0
        (fetched,) = fetch(tmp_path, source).fetched
    assert len(server.asked) == 100 + len(running)
    assert fetched.pages == 100
    assert [row["reading"] for row in delivered(tmp_path)] == list(range(200))


def test_pages_take_no_memory(tmp_path):
    """A process that fetches 200 MB in pages of 4 MB grows by what one page takes, not by the delivery."""
    text = "x" * 2**20
    measuring = r"""
import re, sys
from pathlib import Path
from tests.integration.lakehouse.api_server import fetch
from lakehouse.ingest.source import Source

source = Source.model_validate_json(sys.argv[2])
# Not getrusage: its maximum is that of the parent, too.
def memory(kind):
    return int(re.search(kind + r":\s+(\d+) kB", Path("/proc/self/status").read_text())[1])

before = memory("VmRSS")
(fetched,) = fetch(Path(sys.argv[1]), source).fetched
print(fetched.rows, (memory("VmHWM") - before) // 1024)
"""

    def answer(asked: Asked) -> Answered:
        number = int(asked.query.get("after", 0))
        items = [record(number, note=text) for _ in range(4)]
        return Answered({"data": {"items": items, "next": number + 1 if number < 49 else None}})

    with serving(answer) as server:
        source = source_of(server, pagination=CURSOR)
        done = subprocess.run(
            [sys.executable, "-c", measuring, str(tmp_path), source.model_dump_json()],
            cwd=PROJECT_ROOT,
            env=os.environ | {"PYTHONPATH": str(PROJECT_ROOT)},
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
    rows, grown_mb = map(int, done.stdout.split())
    assert rows == 200
    assert (tmp_path / "weather/readings_2013-07-10.jsonl").stat().st_size > 200 * 2**20
    assert grown_mb < 80, f"{grown_mb} MB"
    assert json.loads((tmp_path / "weather/readings_2013-07-10.jsonl.manifest").read_text())["rows"] == 200
