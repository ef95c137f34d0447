"""How many rows of a day were delivered, by which the gate on bronze sees that some lack."""

from datetime import date

from expectations.gate import suites_of

SCHEDULE, WEATHER = "flight_schedule", "weather_observations"


def counted(spark, source: str, columns: str, *rows: str) -> dict[date, int]:
    (suite,) = (suite for suite in suites_of("bronze") if suite.table == f"bronze.{source}")
    assert suite.day is not None and suite.expected_rows is not None
    found = spark.sql(
        f"""
        select {suite.day.sql} as day, {suite.expected_rows.rows} as counted
        from values {", ".join(rows)} as bronze ({columns}, _batch_id)
        group by 1
        """
    ).collect()
    return {row["day"]: row["counted"] for row in found}


def flight(number: int, at: str, batch: str) -> str:
    return f"('AA', {number}, 'JFK', timestamp'{at}Z', '{SCHEDULE}_{batch}')"


FLIGHTS = "carrier_code, flight_number, origin_code, sched_dep_at"


def test_what_a_cut_delivery_lacks_its_corrections_make_good(spark) -> None:
    # Late in the evening of the 4th in New York.
    late = "2013-02-05T03:30:00"
    cut = [flight(1, "2013-02-04T12:00:00", "2013-02-04"), flight(2, "2013-02-04T13:00:00", "2013-02-04")]
    again = [
        flight(1, "2013-02-04T12:00:00", "2013-02-04_corrections"),
        flight(2, "2013-02-04T13:00:00", "2013-02-04_corrections"),
        flight(3, late, "2013-02-04_corrections_r2"),
    ]
    assert counted(spark, SCHEDULE, FLIGHTS, *cut) == {date(2013, 2, 4): 2}
    assert counted(spark, SCHEDULE, FLIGHTS, *cut, *again) == {date(2013, 2, 4): 3}


def test_corrections_of_other_days_make_nothing_good(spark) -> None:
    cut = flight(1, "2013-02-04T12:00:00", "2013-02-04")
    others = [
        flight(number, "2013-01-20T12:00:00", f"2013-02-04_corrections{end}")
        for number in range(50)
        for end in ("", "_r2", "_released")
    ]
    assert counted(spark, SCHEDULE, FLIGHTS, cut, *others) == {date(2013, 2, 4): 1}


def test_corrections_of_a_day_that_lacks_nothing_add_no_row(spark) -> None:
    whole = [flight(number, "2013-02-04T12:00:00", "2013-02-04") for number in range(500)]
    moved = [flight(number, "2013-02-04T13:00:00", "2013-02-04_corrections") for number in range(20)]
    assert counted(spark, SCHEDULE, FLIGHTS, *whole, *moved) == {date(2013, 2, 4): 500}


def test_a_key_that_holds_the_time_of_the_report_still_names_its_rows(spark) -> None:
    rows = [
        f"('{origin}', timestamp'2013-02-04T{hour}:00:00Z', '{WEATHER}_2013-02-04{note}')"
        for origin, hour, note in (
            *(("JFK", 10, ""), ("EWR", 10, "")),
            *(("JFK", 10, "_corrections"), ("JFK", 11, "_corrections"), ("EWR", 11, "_corrections")),
        )
    ]
    assert counted(spark, WEATHER, "origin_code, observed_at", *rows) == {date(2013, 2, 4): 4}


def test_a_live_row_is_of_the_day_on_which_it_became_known(spark) -> None:
    """The last hour of a day is known 75 minutes later, and delivered with the next."""
    rows = [
        f"('JFK', timestamp'{at}:00:00Z', '{WEATHER}_2013-02-04{note}')"
        for at, note in (
            ("2013-02-04T15", ""),
            # 22:00 and 23:00 of the 3rd, and 23:00 of the 4th, in New York.
            ("2013-02-04T03", "_corrections"),
            ("2013-02-04T04", "_corrections"),
            ("2013-02-05T04", "_corrections"),
        )
    ]
    assert counted(spark, WEATHER, "origin_code, observed_at", *rows) == {date(2013, 2, 4): 2}
