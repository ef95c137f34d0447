"""The calendar of old writers of Parquet (Hive, Spark 2): Julian before 15 October 1582."""

import re
from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Calendar = Literal["gregorian", "julian", "unknown"]

# 1582-10-15, from which on both calendars say the same.
GREGORIAN = -141_427
# From here on the old and the new rules of local time are the same, of which Spark 2 wrote the former.
_TIMES_AGREE_FROM = -25_567 * 86_400_000_000
_UTC = ("UTC", "Etc/UTC", "GMT", "Z", "Etc/GMT")


def calendar_of(created_by: str, metadata: Mapping[str, str], *, is_int96: bool = False) -> Calendar:
    """In which calendar a file's days before 1582 are.

    Args:
        is_int96: of columns of INT96, of which Spark decides by itself.
        created_by: the writer, as the footer says.
        metadata: the footer's key-value pairs.
    """
    if f"org.apache.spark.legacy{'INT96' if is_int96 else 'DateTime'}" in metadata:
        return "julian"
    spark = metadata.get("org.apache.spark.version")
    if spark is not None:
        return "gregorian" if int(re.split(r"\D", spark)[0] or 0) >= 3 else "julian"
    # What Hive says of its own.
    proleptic = metadata.get("writer.date.proleptic")
    if proleptic is not None:
        return "gregorian" if proleptic == "true" else "julian"
    if "org.apache.spark.sql.parquet.row.metadata" in metadata:
        return "julian"
    return "unknown" if created_by.startswith("parquet-mr") or not created_by else "gregorian"


def is_utc(metadata: Mapping[str, str]) -> bool:
    """Whether the writer's clock was UTC's, so that only the calendar moves its times."""
    return metadata.get("org.apache.spark.timeZone", metadata.get("writer.time.zone", "")) in _UTC


def old_days(days: Ints) -> npt.NDArray[np.bool_]:
    """Which days the two calendars differ in."""
    return days < GREGORIAN


def old_times(micros: Ints) -> npt.NDArray[np.bool_]:
    """Which instants an old writer may have meant otherwise: before 1900."""
    return micros < _TIMES_AGREE_FROM


def from_julian(days: Ints) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Days with the same year, month and day in the Gregorian calendar as others have in the Julian one.

    Args:
        days: since 1970, all before 1582-10-15.

    Returns:
        days since 1970, and which of them are none: 29 February of years such as 1500.

    >>> from_julian(np.array([-141_428]))[0].astype("datetime64[D]")
    array(['1582-10-04'], dtype='datetime64[D]')
    """
    # A Julian year begins in March here, and day 0 is 1 March of year 0.
    shifted = days + 719_470
    cycle, rest = shifted // 1461, shifted % 1461
    year_of_cycle = np.minimum(rest // 365, 3)
    day_of_year = rest - 365 * year_of_cycle
    month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month + 2) // 5 + 1
    year = 4 * cycle + year_of_cycle + (month >= 10)
    months = (year - 1970) * 12 + (month + 2) % 12
    first = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    length = (months + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) - first
    return first + day - 1, day > length
