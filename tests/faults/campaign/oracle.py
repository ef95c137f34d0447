"""What plain Python makes of delivered readings: the same tables, by the obvious loops."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from tests.faults.readings_helpers import FIRST

Rows = Counter[tuple[Any, ...]]


@dataclass
class Oracle:
    """All that was delivered, by batch, and until which day."""

    batches: dict[str, list[dict[str, Any]]] = field(default_factory=dict[str, list[dict[str, Any]]])
    days: int = 0

    def bronze(self) -> Rows:
        """Station, measured at, amount and batch of each row."""
        return Counter(
            (row["station"], row["measured_at"], row["amount"], batch)
            for batch, rows in self.batches.items()
            for row in rows
        )

    def totals(self) -> Rows:
        """Station, day, total and number of the readings that became known on that day or the two before."""
        last = FIRST + timedelta(days=self.days - 1)
        found: dict[tuple[str, date], list[int]] = defaultdict(list)
        for row in self._rows():
            known = _day(row["reported_at"])
            for day in (known, known + timedelta(days=1), known + timedelta(days=2)):
                if day <= last:
                    found[row["station"], day].append(row["amount"])
        return Counter(
            (station, day, sum(amounts), len(amounts)) for (station, day), amounts in found.items()
        )

    def training_set(self) -> Rows:
        """The same, with the sum of what was measured on that day, as it was reported last."""
        newest: dict[tuple[str, str], dict[str, Any]] = {}
        for row in sorted(self._rows(), key=lambda row: row["reported_at"]):
            newest[row["station"], row["measured_at"]] = row
        labels: dict[tuple[str, date], int] = defaultdict(int)
        for row in newest.values():
            labels[row["station"], _day(row["measured_at"])] += row["amount"]
        return Counter(
            {
                (*row, labels[row[0], row[1]]): count
                for row, count in self.totals().items()
                if (row[0], row[1]) in labels
            }
        )

    def _rows(self) -> list[dict[str, Any]]:
        return [row for rows in self.batches.values() for row in rows]


def _day(text: str) -> date:
    return datetime.fromisoformat(text).date()
