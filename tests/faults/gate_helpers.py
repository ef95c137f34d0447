"""A small table of flights, and what a gate expects of it."""

from datetime import date

from pyspark.sql import SparkSession

from expectations.suite import Profile, Suite, at_most, between, day_column, unique

FIRST, SECOND, THIRD = date(2013, 1, 1), date(2013, 1, 2), date(2013, 1, 3)


def flights(table: str, **more: object) -> Suite:
    """A suite of a table of flights: flight_id, flight_date, delay_minutes."""
    return Suite(
        table=table,
        gate="features",
        key=("flight_id",),
        day=day_column("flight_date"),
        rows=(unique("flight_id"), between("delay_minutes", -120, 2880)),
        daily=Profile(expectations=(at_most("row_count", 3),)),
        **more,  # pyright: ignore[reportArgumentType]
    )


def make(spark: SparkSession, table: str, *rows: tuple[str, date, int]) -> str:
    spark.sql(f"create table {table} (flight_id string, flight_date date, delay_minutes int) using delta")
    add(spark, table, *rows)
    return table


def add(spark: SparkSession, table: str, *rows: tuple[str, date, int]) -> None:
    values = ", ".join(f"('{key}', date'{day}', {delay})" for key, day, delay in rows)
    spark.sql(f"insert into {table} values {values}")
