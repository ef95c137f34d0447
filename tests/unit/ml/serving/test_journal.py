"""The journal: what was answered is read again, whatever happened to the file's end."""

import errno
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from lakehouse.errors import LakehouseError
from ml.serving.journal import Journal, JournalError, line_of, size_of, used_bytes
from ml.serving.records import records, segments


def record(number: int) -> bytes:
    return orjson.dumps({"request": f"r{number}", "rows": []})


class Written:
    """A journal, and a way to append to it and wait."""

    def __init__(self, folder: Path, service: str = "a", **more: float) -> None:
        sizes = {"segment_bytes": 2**16, "segment_seconds": 3600, "max_bytes": 2**20} | more
        self.journal = Journal(folder, service, **sizes)  # pyright: ignore[reportArgumentType]
        self.journal.start()

    def append(self, *numbers: int) -> list[JournalError | None]:
        said: queue.SimpleQueue[JournalError | None] = queue.SimpleQueue()
        for number in numbers:
            self.journal.append(record(number), said.put)
        return [said.get(timeout=10) for _ in numbers]

    def append_until_closed(self, number: int) -> int:
        """Append until a segment was closed; the next one is made by another thread.

        Returns:
            the next number.
        """
        folder, before, end = self.journal.folder, len(closed(self.journal.folder)), time.monotonic() + 10
        while len(closed(folder)) == before:
            assert time.monotonic() < end
            self.append(number)
            number += 1
        return number


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Written]:
    made = Written(tmp_path)
    yield made
    if made.journal.is_alive:
        made.journal.close()


def read(folder: Path) -> list[str]:
    with segments(folder) as found:
        return sorted(each["request"] for each in found.records())


def closed(folder: Path) -> tuple[Path, ...]:
    with segments(folder) as found:
        return found.closed


def first(folder: Path) -> Path:
    """The segment that is written, and not the one that was made ahead."""
    return min(folder.glob("*.log"))


def segment(path: Path, *writes: tuple[int, ...]) -> None:
    """A segment of some writes of some records each, with room behind."""
    content = b""
    for numbers in writes:
        begin = len(content)
        content += b"".join(line_of(record(number), begin) for number in numbers)
    path.write_bytes(content + bytes(100))


def test_a_read_ends_where_the_segment_ended_when_it_was_opened(written: Written, tmp_path: Path) -> None:
    written.append(1)
    found = records(first(tmp_path), is_written=True)
    assert next(found)["request"] == "r1"
    written.append(2)
    assert list(found) == []


def test_a_disk_that_fails_twice_leaves_the_journal_writing(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: int) -> None:
        raise OSError(errno.EIO, "the disk is ill")

    with monkeypatch.context() as ill:
        ill.setattr(os, "fdatasync", fails)
        ill.setattr(os, "close", fails)
        (problem,) = written.append(1)
    assert problem is not None and "the disk is ill" in problem.what
    assert written.append(2) == [None]
    assert written.journal.is_alive


def test_what_was_appended_is_read_while_and_after_it_is_written(written: Written, tmp_path: Path) -> None:
    assert written.append(1, 2, 3) == [None] * 3
    other = Written(tmp_path, "b")
    assert other.append(4) == [None]
    assert read(tmp_path) == ["r1", "r2", "r3", "r4"]
    other.journal.close()
    with segments(tmp_path) as found:
        assert [path.name[0] for path in found.closed] == ["b"]
        assert [path.name[0] for path in found.written] == ["a"]


@pytest.mark.parametrize("cut", [1, 5, 30])
@pytest.mark.parametrize("room", [0, 100])
def test_a_torn_last_line_is_left_out(tmp_path: Path, cut: int, room: int) -> None:
    made = Written(tmp_path)
    made.append(1)
    made.append(2)
    made.journal.close()
    path = first(tmp_path)
    path.write_bytes(path.read_bytes()[:-cut] + bytes(room))
    assert read(tmp_path) == ["r1"]


def damage(path: Path, number: int) -> None:
    """Put a zero into a record, as of a page that did not reach the disk."""
    content = path.read_bytes()
    place = content.index(b"r%d" % number)
    path.write_bytes(content[:place] + b"\0" + content[place + 1 :])


def test_of_the_last_write_what_lacks_a_page_and_what_follows_is_left_out(tmp_path: Path) -> None:
    segment(tmp_path / "a-1.log", (1,), (2, 3, 4))
    damage(tmp_path / "a-1.log", 3)
    assert read(tmp_path) == ["r1", "r2"]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_damage_before_the_last_write_is_told(tmp_path: Path, number: int) -> None:
    segment(tmp_path / "a-1.log", (1,), (2, 3), (4,))
    damage(tmp_path / "a-1.log", number)
    with pytest.raises(LakehouseError, match=rf"line {number} of .* is not as it was written"):
        read(tmp_path)


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 300])
def test_the_zeros_of_a_segment_are_no_records(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a-1.log"
    path.write_bytes(b"x" * size + bytes(300 - size))
    with path.open("rb") as found:
        assert used_bytes(found.fileno()) == size
    assert size_of(tmp_path) == size


def test_a_segment_has_its_room_before_it_is_written_and_leaves_none(tmp_path: Path) -> None:
    made = Written(tmp_path, segment_bytes=3_000_000)
    made.append(1)
    # The blocks are there, too: a file of holes would grow with each record.
    written = first(tmp_path).stat()
    assert written.st_size == 3_000_000
    assert written.st_blocks * 512 >= 3_000_000
    made.journal.close()
    (path,) = tmp_path.glob("*.log")
    assert path.stat().st_size == size_of(tmp_path) < 200


def test_a_large_segment_is_closed_and_another_one_begun(tmp_path: Path) -> None:
    made = Written(tmp_path, segment_bytes=10)
    end = made.append_until_closed(made.append_until_closed(0))
    made.journal.close()
    assert len(list(tmp_path.glob("*.log"))) >= 3
    assert read(tmp_path) == sorted(f"r{number}" for number in range(end))


def test_a_full_journal_refuses_until_it_is_flushed(tmp_path: Path) -> None:
    made = Written(tmp_path, segment_bytes=10, max_bytes=1000)
    made.append_until_closed(0)
    problem, number = None, 100
    while problem is None:
        (problem,) = made.append(number)
        number += 1
    assert "the most that it may" in problem.what
    # A segment is let go of by another thread.
    end = time.monotonic() + 10
    while problem is not None:
        assert time.monotonic() < end
        for path in closed(tmp_path):
            path.unlink()
        (problem,) = made.append(number)
    made.journal.close()
    assert f"r{number}" in read(tmp_path)


def test_after_a_failed_write_the_next_record_stands_in_another_segment(
    written: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written.append(1)
    real, failed = os.write, threading.Event()

    def half(descriptor: int, content: bytes) -> int:
        failed.set()
        real(descriptor, bytes(content[:10]))
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("ml.serving.journal.os.write", half)
    (refused,) = written.append(2)
    assert failed.is_set() and refused is not None and "No space" in refused.what
    monkeypatch.undo()
    assert written.append(3) == [None]
    written.journal.close()
    assert read(tmp_path) == ["r1", "r3"]
    assert len(list(tmp_path.glob("*.log"))) == 2


ANSWER_UNTIL_KILLED = """
import sys, threading
from pathlib import Path
from ml.serving.journal import Journal
journal = Journal(Path(sys.argv[1]), "killed", segment_bytes=400, segment_seconds=3600, max_bytes=2**30)
journal.start()
number = 0
while True:
    done = threading.Event()
    journal.append(b'{"request":"r%d","rows":[]}' % number, lambda problem: done.set())
    done.wait()
    print(number, flush=True)
    number += 1
"""


def test_nothing_that_was_answered_is_lost_by_a_kill(tmp_path: Path) -> None:
    code = [sys.executable, "-c", ANSWER_UNTIL_KILLED, str(tmp_path)]
    with subprocess.Popen(code, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        answered: list[int] = []
        # Until it has gone on to a third segment, and made one ahead.
        while len(answered) < 40 or len(list(tmp_path.glob("*.log"))) < 4:
            answered.append(int(process.stdout.readline()))
        process.send_signal(signal.SIGKILL)
        answered += [int(line) for line in process.stdout.read().split()]
    assert process.returncode == -signal.SIGKILL
    assert {f"r{number}" for number in answered} <= set(read(tmp_path))
    # Also what it was making is there to be removed.
    assert set(closed(tmp_path)) == set(tmp_path.iterdir())
    with segments(tmp_path) as found:
        assert len(found.closed) > 2 and not found.written


def test_a_start_removes_what_dead_services_left_empty(tmp_path: Path) -> None:
    alive = Written(tmp_path, "alive")
    (tmp_path / "dead-000001.log").write_bytes(bytes(2**16))
    (tmp_path / "dead-000002.new").write_bytes(bytes(100))
    segment(tmp_path / "dead-000003.log", (1, 2))
    begun = tmp_path / "other-000001.new"
    begun.touch()

    Written(tmp_path, "next").journal.close()

    left = {path.name for path in tmp_path.glob("[do]*")}
    assert left == {"dead-000003.log", begun.name}
    alive.append(3)
    alive.journal.close()
    assert read(tmp_path) == ["r1", "r2", "r3"]
