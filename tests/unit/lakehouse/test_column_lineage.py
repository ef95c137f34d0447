"""Column lineage is read from SQL, through steps, windows, unions and packed rows, or refused."""

import pytest

from lakehouse.lineage.columns import NoLineageError, column_lineage

COLUMNS = {
    "bronze.flights": ["id", "tail", "dep_at", "delay"],
    "bronze.planes": ["tail", "seats", "known_at"],
}


def lineage(sql: str) -> dict[str, list[tuple[str, str]]]:
    return {name: list(found) for name, found in column_lineage(sql, COLUMNS.get).items()}


def test_columns_are_followed_through_steps_stars_and_versions() -> None:
    found = lineage(
        """
        with flights as (select * from bronze.flights version as of 7),
        late as (
            select *, delay >= 15 as is_late, sum(delay) over (partition by tail order by dep_at) as so_far
            from flights where id is not null
        )
        select late.id, late.is_late, late.so_far, planes.seats, 1 as one, count(*) over () as all_rows
        from late left join bronze.planes version as of 2 as planes on late.tail = planes.tail
        """
    )
    assert found["id"] == [("bronze.flights", "id")]
    assert found["is_late"] == [("bronze.flights", "delay")]
    assert found["so_far"] == [("bronze.flights", each) for each in ("delay", "dep_at", "tail")]
    assert found["seats"] == [("bronze.planes", "seats")]
    assert found["one"] == []


def test_a_union_takes_columns_by_position() -> None:
    found = lineage(
        "select id, delay as x from bronze.flights union all select tail, seats from bronze.planes"
    )
    assert found == {
        "id": [("bronze.flights", "id"), ("bronze.planes", "tail")],
        "x": [("bronze.flights", "delay"), ("bronze.planes", "seats")],
    }


def test_a_comment_says_what_packed_rows_hide() -> None:
    packed = """
        select known.id, known.delay * 2 as double_delay, known.plane_seats from (
            {said} select _spine.*, _last.seats as plane_seats
            from (select struct(f.*) as _spine, max(p) as _last from bronze.flights as f, bronze.planes as p)
        ) as known
        """
    said = "/* lineage: select s.*, p.seats as plane_seats from bronze.flights as s, bronze.planes as p */"
    assert lineage(packed.format(said=said)) == {
        "id": [("bronze.flights", "id")],
        "double_delay": [("bronze.flights", "delay")],
        "plane_seats": [("bronze.planes", "seats")],
    }


@pytest.mark.parametrize(
    "sql",
    [
        "select * from bronze.unknown",
        "with t as (select * from bronze.unknown) select x from t",
        "select from where",
        "insert into bronze.flights values (1)",
    ],
)
def test_what_is_not_sure_is_refused(sql: str) -> None:
    with pytest.raises(NoLineageError):
        lineage(sql)
