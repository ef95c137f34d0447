"""How a column of a database is read as its source declares it: exactly, or not at all.

PostgreSQL is asked in its own SQL, so that a value that bronze's type cannot hold comes as text, and goes to
the quarantine. What Spark would make of it by itself is another value: an infinite time a day in 1978, a
numeric without a scale one with 18 digits behind the point, a time without a zone one of Java's zone.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from lakehouse.ingest.database.plan import Mark, Window
from lakehouse.ingest.declared import Column

_WHOLE = ("tinyint", "smallint", "int", "bigint")
# Spark's type of the column in the database → declared types that hold each of its values.
_AS_THEY_ARE = {
    "tinyint": ("int", "bigint"),
    "smallint": ("int", "bigint"),
    "int": ("int", "bigint"),
    "bigint": ("bigint",),
    "float": ("double",),
    "double": ("double",),
    "boolean": ("boolean",),
    "string": ("string",),
    "date": ("date",),
    "timestamp": ("timestamp",),
    "timestamp_ntz": ("timestamp",),
}
_FIRST, _END = "0001-01-01", "10000-01-01"
# By how much clocks are set back or forward, anywhere since 1900.
_CHANGES = ("20 minutes", "30 minutes", "1 hour", "2 hours")


class TypeProblemError(Exception):
    """A column whose values its declared type does not hold."""


@dataclass(frozen=True)
class Projected:
    """A column as the database is asked for it.

    Args:
        sql: its value, NULL where the declared type cannot hold it.
        raw: text of just those values, and NULL of all others; None where there can be none.
        problem: what is wrong with those.
    """

    sql: str
    raw: str | None = None
    problem: str = ""


class Dialect:
    """Any JDBC database: columns as Spark reads them, where that is exact."""

    def quoted(self, name: str) -> str:
        """A column's name in the database's SQL."""
        return '"' + name.replace('"', '""') + '"'

    def project(self, column: Column, found: str, zone: str | None) -> Projected:
        """How to ask for a column.

        Args:
            found: Spark's type of it.
            zone: of times that the database keeps without one.

        Raises:
            TypeProblemError: its values are not of the declared type.
        """
        if column.type not in _AS_THEY_ARE.get(found.partition("(")[0], ()):
            raise TypeProblemError(f"is {shown_type(found)}, declared {column.type}")
        if found == "timestamp_ntz" and zone != "UTC":
            raise TypeProblemError(f"is {shown_type(found)}: only `zone: UTC` can be read from this database")
        return Projected(self.quoted(column.delivered_name))

    def is_finite(self, column: str) -> str:
        """The condition that a time is one, and not the end of all."""
        return "1 = 1"

    def literal(self, mark: Mark, is_zoned: bool) -> str:
        """A watermark in the database's SQL."""
        # JDBC's own way to write a time, which each driver puts into its database's.
        return str(mark) if isinstance(mark, int) else f"{{ts '{_local(mark)}'}}"

    def within(self, column: str, window: Window, is_zoned: bool) -> str:
        """The condition that a row is of a window."""
        upto = f"{column} <= {self.literal(window.upto, is_zoned)}"
        return (
            upto if window.above is None else f"{column} > {self.literal(window.above, is_zoned)} and {upto}"
        )

    def never(self, column: str, window: Window) -> str:
        """The condition of rows whose watermark is none, so that no window has them."""
        return f"{column} is null"

    def shares(self, column: str, count: int) -> list[str]:
        """Conditions of which each row meets one, for a key that is text.

        Raises:
            TypeProblemError: this database has no such hash.
        """
        raise TypeProblemError("is not a whole number, as partition_by must be in this database")


class Postgres(Dialect):
    """PostgreSQL from version 10 on."""

    def project(self, column: Column, found: str, zone: str | None) -> Projected:
        name = self.quoted(column.delivered_name)
        match found.partition("(")[0], column.type:
            case "timestamp", "timestamp":
                return _in_range(name, "timestamptz", f"'{_FIRST} 00:00+00'", f"'{_END} 00:00+00'")
            case "date", "date":
                return _in_range(name, "date", f"'{_FIRST}'", f"'{_END}'")
            case "timestamp_ntz", "timestamp":
                if zone is None:
                    raise TypeProblemError(
                        f"is {shown_type(found)}: declare its `zone` under `database:`, as no one could tell "
                        "which one is meant"
                    )
                return _in_zone(name, zone)
            case "decimal", "string":
                return Projected(f"{name}::text")
            case "decimal", "double":
                # Compared as the shortest text of the double, as other readers do: 0.1 is exact.
                fits = f"{name} = 0 or abs({name}) between 1e-300 and 1e300"
                exact = f"case when {fits} then {name}::float8::text::numeric = {name} else false end"
                return _where(name, exact, f"{name}::float8", "is not exact as a double")
            case _:
                return super().project(column, found, zone)

    def is_finite(self, column: str) -> str:
        return f"{column} < 'infinity'"

    def literal(self, mark: Mark, is_zoned: bool) -> str:
        if isinstance(mark, int):
            return str(mark)
        return f"timestamptz '{_local(mark)}+00'" if is_zoned else f"timestamp '{_local(mark)}'"

    def within(self, column: str, window: Window, is_zoned: bool) -> str:
        condition = super().within(column, window, is_zoned)
        is_first = window.above is None and isinstance(window.upto, datetime)
        return f"{condition} and {column} > '-infinity'" if is_first else condition

    def never(self, column: str, window: Window) -> str:
        condition = super().never(column, window)
        if isinstance(window.upto, int):
            return condition
        return f"({condition} or {column} in ('infinity', '-infinity'))"

    def shares(self, column: str, count: int) -> list[str]:
        share = f"coalesce((hashtext({column}::text) & 2147483647) % {count}, 0)"
        return [f"{share} = {part}" for part in range(count)]


def dialect(is_postgres: bool) -> Dialect:
    """The dialect of a database."""
    return Postgres() if is_postgres else Dialect()


def is_whole(found: str) -> bool:
    """Whether Spark's type is one of whole numbers."""
    return found in _WHOLE


def shown_type(found: str) -> str:
    """Spark's type of a column in a database, as people call it."""
    if found.startswith("decimal"):
        return found.replace("decimal", "numeric")
    return {
        "timestamp_ntz": "a timestamp without a zone",
        "timestamp": "a timestamp with a zone",
        "string": "text",
    }.get(found, found)


def _local(at: datetime) -> str:
    """An instant as a time of UTC without a zone."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")


def _where(name: str, holds: str, value: str, problem: str) -> Projected:
    return Projected(
        f"case when {holds} then {value} end",
        f"case when {name} is not null and ({holds}) is not true then {name}::text end",
        problem,
    )


def _in_range(name: str, kind: str, first: str, end: str) -> Projected:
    holds = f"{name} >= {kind} {first} and {name} < {kind} {end}"
    return _where(name, holds, name, "is not within the years 1 to 9999")


def _in_zone(name: str, zone: str) -> Projected:
    """A local time as an instant: one that the clock skips or repeats names none, or two."""
    local = f"{name} >= timestamp '{_FIRST} 00:00' and {name} < timestamp '9999-12-31 00:00'"
    at = f"{name} at time zone '{zone}'"
    if zone == "UTC":
        return _where(name, local, at, "is not within the years 1 to 9999")
    back = f"({at}) at time zone '{zone}' = {name}"
    others = " and ".join(
        f"(({at}) {sign} interval '{change}') at time zone '{zone}' <> {name}"
        for change in _CHANGES
        for sign in "+-"
    )
    holds = f"case when {local} then {back} and {others} else false end"
    return _where(name, holds, at, f"does not name one instant in {zone}")
