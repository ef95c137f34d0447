"""Where a table stands, by the rows of the gates' state in their order."""

from datetime import date

from lakehouse.delta.gate_results import GateRow, Status, TableState, overridden, state_of
from lakehouse.delta.table import TableVersion

DAY = date(2013, 1, 3)
OTHER_DAY = date(2013, 1, 4)


def row(
    version: int, day: date | None, passed: bool, status: Status = "checked", table_id: str = "a"
) -> GateRow:
    table = TableVersion("features.t", table_id, version)
    return GateRow(table, day, "features.t", passed, 0 if passed else 1, None, "run", None, status=status)


def started(version: int, table_id: str = "a") -> GateRow:
    return row(version, None, False, "started", table_id)


def checked(version: int, *days: tuple[date, bool], table_id: str = "a") -> list[GateRow]:
    whole = row(version, None, all(passed for _, passed in days), table_id=table_id)
    return [whole, *(row(version, day, passed, table_id=table_id) for day, passed in days)]


def numbers(state: TableState) -> list[int]:
    return [version.version for version in state.passed_versions]


def test_a_slow_check_of_an_older_version_does_not_hide_a_newer_failure() -> None:
    state = state_of([started(5), started(6), *checked(6, (DAY, False)), *checked(5, (DAY, True))])
    assert not state.passed
    assert [(each.table.version, each.day) for each in state.stopping] == [(6, None), (6, DAY)]
    assert state.last is not None and state.last.table.version == 6
    assert numbers(state) == [5]


def test_a_check_that_died_is_red_until_a_check_ends() -> None:
    died = [started(1), *checked(1, (DAY, True)), started(2)]
    state = state_of(died)
    assert not state.passed
    assert state.unfinished is not None and state.unfinished.table.version == 2
    assert state.last is not None and state.last.table.version == 1
    assert numbers(state) == [1]
    again = state_of([*died, started(2), *checked(2, (DAY, True))])
    assert again.passed and again.unfinished is None
    assert numbers(again) == [1, 2]


def test_a_first_check_that_died_has_passed_nothing() -> None:
    state = state_of([started(0)])
    assert not state.passed and state.last is None and numbers(state) == []


def test_a_good_day_after_a_bad_one_does_not_let_the_bad_one_through() -> None:
    rows = [*checked(1, (DAY, True)), *checked(2, (DAY, False)), *checked(3, (OTHER_DAY, True))]
    state = state_of(rows)
    assert not state.passed
    assert [each.day for each in state.stopping] == [DAY]
    assert numbers(state) == [1]
    let_through = overridden(state.stopping, "A. Lin", "storm")
    assert numbers(state_of([*rows, *let_through])) == [1, 3]


def test_a_recreated_table_begins_again_whatever_its_versions_were() -> None:
    before = [*checked(40, (DAY, True)), started(41)]
    after = [started(0, table_id="b"), *checked(0, (DAY, True), table_id="b")]
    late = checked(41, (DAY, False))
    state = state_of([*before, *after, *late])
    assert state.passed
    assert state.passed_versions == (TableVersion("features.t", "b", 0),)
