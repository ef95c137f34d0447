"""Batches are gathered for a commit by a running total: each is measured once, however many there are."""

from types import SimpleNamespace
from typing import Any

from lakehouse.ingest import land


class _Measured:
    """Rows that count how often they are asked for their size."""

    asked = 0

    def __init__(self, nbytes: int) -> None:
        self._nbytes = nbytes

    @property
    def nbytes(self) -> int:
        _Measured.asked += 1
        return self._nbytes


def _batches(sizes: list[int]) -> list[Any]:
    return [SimpleNamespace(content=SimpleNamespace(rows=_Measured(size))) for size in sizes]


def test_each_batch_is_measured_once(monkeypatch):
    monkeypatch.setattr(_Measured, "asked", 0)

    groups = list(land._groups(iter(_batches([1] * 8760))))

    assert [len(group) for group in groups] == [8760]
    assert _Measured.asked == 8760


def test_a_commit_takes_batches_up_to_its_size(monkeypatch):
    monkeypatch.setattr(land, "_BYTES_PER_COMMIT", 10)

    groups = list(land._groups(iter(_batches([4, 4, 4, 12, 1]))))

    assert [len(group) for group in groups] == [3, 1, 1]
