"""How every command answers: lines or a table for people, JSON for programs."""

import dataclasses
import json
import math
import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]

# In a pipe or a log nothing says how wide a line may be: rich would take 80, and break the names in a table.
_PIPED = None if sys.stdout.isatty() else 200
console = Console(highlight=False, width=_PIPED)
# Progress goes to standard error, so that standard output is the result alone.
progress_console = Console(stderr=True, highlight=False)


def progress(text: str) -> None:
    """Say what is being done."""
    progress_console.print(text, style="dim", markup=False, soft_wrap=True)


def plain(value: Any) -> Any:
    """A value of what JSON knows; NaN and infinities, which it does not know, are null.

    Of a dataclass, the fields that its `repr` has.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        shown = (field.name for field in dataclasses.fields(value) if field.repr)
        return {name: plain(getattr(value, name)) for name in shown}
    match value:
        case float():
            return value if math.isfinite(value) else None
        case date() | datetime():
            return value.isoformat()
        case Decimal():
            return str(value)
        case Path():
            return str(value)
        case Mapping():
            return {key: plain(each) for key, each in value.items()}
        case list() | tuple():
            return [plain(each) for each in value]
        case _:
            return value


def print_json(result: Any) -> None:
    """Print a dataclass, or what JSON knows, as JSON."""
    typer.echo(json.dumps(plain(result), indent=2, allow_nan=False))


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table for people; where a line is too short for it to break no word, a list of its rows."""
    written = [["" if cell is None else str(cell) for cell in row] for row in rows]
    widths = _widths([columns, *written], console.width - 3 * len(columns) - 1)
    if widths is None:
        console.print(title, style="italic", markup=False)
        for row in written:
            console.print()
            named = zip(columns, row, strict=True)
            facts({column or " ": "; ".join(cell.splitlines()) for column, cell in named if cell})
        return
    drawn = Table(title=title, title_justify="left")
    for column, width in zip(columns, widths, strict=True):
        drawn.add_column(column, width=width)
    for row in written:
        drawn.add_row(*map(escape, row))
    console.print(drawn)


def _widths(rows: Sequence[Sequence[str]], room: int) -> list[int] | None:
    """How wide each column is, from left to right as wide as its lines as long as there is room.

    rich would take the room from the widest column, and break its words.

    Returns:
        None where the longest words alone need more room.
    """
    cells = list(zip(*rows, strict=True))
    least = [max(cell_len(word) for cell in column for word in cell.split() or [""]) for column in cells]
    most = [max(cell_len(line) for cell in column for line in cell.splitlines() or [""]) for column in cells]
    spare = room - sum(least)
    if spare < 0:
        return None
    widths: list[int] = []
    for narrow, wide in zip(least, most, strict=True):
        widths.append(min(wide, narrow + spare))
        spare -= widths[-1] - narrow
    return widths


def facts(pairs: Mapping[str, object]) -> None:
    """Print names and values, one a line, aligned."""
    width = max((len(name) for name in pairs), default=0)
    for name, value in pairs.items():
        console.print(f"{name:<{width}}  {value}", markup=False, soft_wrap=True)
