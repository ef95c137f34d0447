"""Which days get another score: those whose features were replaced since the graph last scored."""

from collections.abc import Sequence
from datetime import UTC, date, datetime

import pytest

from lakehouse.dbt.notes import Commit
from lakehouse.delta.table import TableVersion
from orchestration.rescoring import replaced_days


def day(number: int) -> date:
    return date(2013, 1, number)


def commit(version: int, days: object) -> Commit:
    metadata = {} if days is None else {"read": {}, "days": days}
    return Commit(version, datetime(2013, 1, 1, tzinfo=UTC), metadata=metadata)


# A correction reached the third and the fourth, and the tenth came; a property was set; all was replaced.
HISTORY = [
    commit(4, "all"),
    commit(3, None),
    commit(2, [["2013-01-03", "2013-01-04"], ["2013-01-10", "2013-01-10"]]),
    commit(1, [["2013-01-09", "2013-01-09"]]),
]
SCORED = {day(number) for number in (4, 5, 9, 10)}


@pytest.mark.parametrize(
    ("seen", "now", "again"),
    [(1, 2, [4, 10]), (0, 2, [4, 9, 10]), (2, 3, []), (2, 4, [4, 5, 9, 10]), (2, 2, [])],
)
def test_the_days_that_later_builds_replaced(seen: int, now: int, again: Sequence[int]) -> None:
    versions = [TableVersion("features.flight_features", "an id", number) for number in (seen, now)]
    assert replaced_days(HISTORY, versions[0], versions[1], SCORED) == {day(number) for number in again}


def test_a_table_that_was_recreated_has_replaced_all() -> None:
    before, now = (TableVersion("t", identity, 2) for identity in ("an id", "another id"))
    assert replaced_days([], before, now, SCORED) == SCORED
