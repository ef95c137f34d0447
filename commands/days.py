"""The days that a command is asked for: `--date`, or `--from` and `--to`, in every command the same."""

from datetime import date, datetime
from typing import Annotated

import typer

from lakehouse.errors import LakehouseError

_FORM = ["%Y-%m-%d"]
Day = Annotated[datetime | None, typer.Option("--date", formats=_FORM, help="One local day.")]
First = Annotated[datetime | None, typer.Option("--from", formats=_FORM, help="First day of a range.")]
Last = Annotated[datetime | None, typer.Option("--to", formats=_FORM, help="Last day of a range, included.")]


def days_of(day: datetime | None, first: datetime | None, last: datetime | None) -> tuple[date, date] | None:
    """First and last day that was asked for; None where no day was.

    Raises:
        LakehouseError: both a day and a range were given, half a range, or one that ends before it begins.
    """
    if day is not None and (first is not None or last is not None):
        raise LakehouseError("--date and --from/--to were both given", "give one day, or a range")
    if (first is None) != (last is None):
        raise LakehouseError(
            "--from and --to go together", "give both ends of the range, or --date for one day"
        )
    if day is not None:
        return day.date(), day.date()
    if first is None or last is None:
        return None
    if last < first:
        raise LakehouseError(f"--to {last:%Y-%m-%d} lies before --from {first:%Y-%m-%d}")
    return first.date(), last.date()
