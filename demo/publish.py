"""Publishes the real flights as landing files, as airlines and weather service would have delivered them.

A past day comes as one file per source; the live day, `through_hour`, as one file per hour. Bytes depend on
the data alone, so publishing again changes nothing, and repairs a file that was damaged.
"""

from collections.abc import Collection, Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from demo.corrections import corrected_arrivals
from demo.deliveries import LIVE_SOURCES, SNAPSHOTS, LiveSource, schedule
from demo.flights import NEW_YORK
from lakehouse.errors import LakehouseError
from lakehouse.settings import settings

FIRST_DAY = date(2013, 1, 1)
# The last flights of 2013 land on New Year's morning; nothing is scheduled then.
LAST_DAY = date(2014, 1, 1)
CORRECTIONS_DAY = date(2013, 11, 2)
SOURCES = ("flight_schedule", *(source.name for source in LIVE_SOURCES), *SNAPSHOTS)


def publish(
    start: date,
    end: date,
    *,
    landing: Path | None = None,
    through_hour: int | None = None,
    sources: Collection[str] | None = None,
) -> list[Path]:
    """Write the deliveries of the local New York days `start` to `end`, both included.

    Args:
        landing: the landing zone; that of the settings by default.
        through_hour: `end` is the live day: its events and weather come as hourly files, from hour 0
            through this one (0 to 23), and its schedule as a whole. A day begun so goes on so, when it is
            published as a whole later: no row is delivered twice.
        sources: only these; all six by default. The three snapshots arrived before the first day, and come
            with any.

    Returns:
        the files written or changed; those that were there with the same bytes are not among them.

    Raises:
        LakehouseError: days outside the data, an hour outside the day, an unknown source, or a day that was
            delivered whole asked for by the hour.
    """
    _check(start, end, through_hour, sources)
    folder = landing or settings().landing_dir
    wanted = set(SOURCES if sources is None else sources)
    written: list[Path] = []
    for name in (name for name in SNAPSHOTS if name in wanted):
        path = folder / name / f"{name}_{FIRST_DAY}.csv"
        written += _write(path, to_bytes(SNAPSHOTS[name](), path.suffix))
    if "flight_schedule" in wanted:
        written += _publish_schedule(folder, start, end)
    for source in (source for source in LIVE_SOURCES if source.name in wanted):
        written += _publish_live(folder, source, start, end, through_hour)
    return written


def publish_corrections(day: date = CORRECTIONS_DAY, *, landing: Path | None = None) -> list[Path]:
    """Write one delivery of corrected September arrivals, reported on `day`.

    Returns:
        the file, unless it was there with the same bytes.

    Raises:
        LakehouseError: `day` is not after September, or outside the data.
    """
    _check(day, day, None, None)
    if day <= date(2013, 9, 30):
        raise LakehouseError(
            f"corrections of September cannot be reported on {day}", "give a day from 2013-10-01"
        )
    folder = landing or settings().landing_dir
    path = folder / "flight_actuals" / f"flight_actuals_{day}_corrections.jsonl"
    return _write(path, to_bytes(corrected_arrivals(day).drop(columns="known_at"), path.suffix))


def to_bytes(rows: pd.DataFrame, suffix: str) -> bytes:
    """Rows as a file's content, in the format that the suffix says: .csv, .jsonl or .parquet."""
    if suffix == ".csv":
        return rows.to_csv(index=False, lineterminator="\n").encode()
    if suffix == ".jsonl":
        return rows.to_json(orient="records", lines=True).encode() if len(rows) else b""
    table = pa.Table.from_pandas(rows, preserve_index=False).replace_schema_metadata(None)
    # A day without rows delivers the same columns: nothing in it tells that some hold text.
    columns = [
        field.with_type(pa.string()) if pa.types.is_null(field.type) else field for field in table.schema
    ]
    sink = pa.BufferOutputStream()
    pq.write_table(table.cast(pa.schema(columns)), sink)
    return sink.getvalue().to_pybytes()


def _publish_schedule(folder: Path, start: date, end: date) -> Iterator[Path]:
    rows = schedule()
    days = _days(start, end)
    by_day = dict(iter(rows[rows["flight_date"].between(str(start), str(end))].groupby("flight_date")))
    for day in days:
        path = folder / "flight_schedule" / f"flight_schedule_{day}.csv"
        yield from _write(path, to_bytes(by_day.get(str(day), rows.iloc[:0]), path.suffix))


def _publish_live(
    folder: Path, source: LiveSource, start: date, end: date, through_hour: int | None
) -> Iterator[Path]:
    rows = source.rows()
    for day in _days(start, end):
        stem = folder / source.name / f"{source.name}_{day}"
        whole = stem.with_name(stem.name + source.suffix)
        begun = stem.with_name(f"{stem.name}T00{source.suffix}").exists()
        last_hour = through_hour if day == end else None
        if last_hour is not None and whole.exists():
            raise LakehouseError(
                f"{whole.name} was delivered whole already", "publish another day by the hour"
            )
        if last_hour is None and not begun:
            yield from _write(whole, _between(rows, day, 0, 24, source.suffix))
            continue
        for hour in range((23 if last_hour is None else last_hour) + 1):
            path = stem.with_name(f"{stem.name}T{hour:02}{source.suffix}")
            yield from _write(path, _between(rows, day, hour, hour + 1, source.suffix))


def _between(rows: pd.DataFrame, day: date, first_hour: int, end_hour: int, suffix: str) -> bytes:
    """The rows that became known in local hours [first_hour, end_hour) of a day, as a file's content."""
    return to_bytes(known_between(rows, day, first_hour, end_hour).drop(columns="known_at"), suffix)


def known_between(rows: pd.DataFrame, day: date, first_hour: int = 0, end_hour: int = 24) -> pd.DataFrame:
    """The rows of a live source that became known in local hours [first_hour, end_hour) of a day."""
    first, end = rows["known_at"].searchsorted([_instant(day, first_hour), _instant(day, end_hour)])
    return rows.iloc[first:end]


def midnight(day: date) -> pd.Timestamp:
    """When a local New York day begins."""
    return _instant(day, 0)


def _instant(day: date, hour: int) -> pd.Timestamp:
    """When a local hour begins; of a repeated hour the first, of a skipped one the instant of the change."""
    local = datetime.combine(day + timedelta(days=hour // 24), time(hour % 24), ZoneInfo(NEW_YORK))
    return pd.Timestamp(local).tz_convert("UTC")


def _days(start: date, end: date) -> list[date]:
    return [start + timedelta(days=days) for days in range((end - start).days + 1)]


def _write(path: Path, content: bytes) -> list[Path]:
    """Write a file at once or not at all; one with the same bytes is left alone."""
    if path.is_file() and path.read_bytes() == content:
        return []
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(content)
    partial.replace(path)
    return [path]


def check_days(start: date, end: date) -> None:
    """Refuse days that the data does not have.

    Raises:
        LakehouseError: they are in the wrong order, or outside the data.
    """
    if start > end:
        raise LakehouseError(f"{start} is after {end}", "give the earlier day first")
    if start < FIRST_DAY or end > LAST_DAY:
        raise LakehouseError(
            f"there are no flights for {start} to {end}", f"the data has {FIRST_DAY} to {LAST_DAY}"
        )


def _check(start: date, end: date, through_hour: int | None, sources: Collection[str] | None) -> None:
    check_days(start, end)
    if through_hour is not None and not 0 <= through_hour <= 23:
        raise LakehouseError(f"there is no hour {through_hour}", "give one from 0 to 23")
    unknown = sorted(set(sources or ()) - set(SOURCES))
    if unknown:
        raise LakehouseError(f"unknown sources: {', '.join(unknown)}", f"there are {', '.join(SOURCES)}")
