"""How every command answers: lines or a table for people, JSON for programs."""

import dataclasses
import json
import math
import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
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


def _plain(value: Any) -> Any:
    """A value of what JSON knows; NaN and infinities, which it does not know, are null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    match value:
        case float():
            return value if math.isfinite(value) else None
        case date() | datetime():
            return value.isoformat()
        case Path():
            return str(value)
        case Mapping():
            return {key: _plain(each) for key, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
        case _:
            return value


def print_json(result: Any) -> None:
    """Print a dataclass, or what JSON knows, as JSON."""
    typer.echo(json.dumps(_plain(result), indent=2, allow_nan=False))


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table for people."""
    drawn = Table(title=title, title_justify="left")
    for column in columns:
        # Folded, not cropped: a name that is cut off is of no use.
        drawn.add_column(column, overflow="fold")
    for row in rows:
        drawn.add_row(*("" if cell is None else str(cell) for cell in row))
    console.print(drawn)


def facts(pairs: Mapping[str, object]) -> None:
    """Print names and values, one a line, aligned."""
    width = max((len(name) for name in pairs), default=0)
    for name, value in pairs.items():
        console.print(f"{name:<{width}}  {value}", markup=False, soft_wrap=True)
