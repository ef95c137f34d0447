"""What a command that failed tells: a message for people, JSON for programs, and an exit code by its kind."""

import traceback
from dataclasses import dataclass

import typer
from rich.console import Console
from typer import rich_utils
from typer._click.exceptions import ClickException  # pyright: ignore[reportPrivateUsage]

from commands.output import print_json
from lakehouse.engine.messages import without_plan
from lakehouse.errors import LakehouseError

# 1 is a command's own: what it looked at is not so. Documented in docs/exit-codes.md.
USAGE, REFUSED, ENGINE, UNEXPECTED, INTERRUPTED = 2, 3, 4, 70, 130


@dataclass(frozen=True)
class Failure:
    """An error as a command tells it.

    Args:
        kind: usage, refused, engine, unexpected or interrupted.
        code: the exit code of that kind.
        cause: what was raised, where its traceback is of use or Typer prints it.
    """

    what: str
    hint: str
    kind: str
    code: int
    cause: Exception | None = None


def failure_of(error: Exception) -> Failure:
    """What an exception means to whoever gave the command."""
    match error:
        case LakehouseError():
            return Failure(error.what, error.hint, "refused", REFUSED)
        case ClickException():
            return Failure(error.format_message(), "see --help", "usage", USAGE, error)
        case typer.Abort():
            return Failure("interrupted", "", "interrupted", INTERRUPTED)
        case _ if _is_of_the_engine(error):
            hint = "`lakehouse status` says whether the engine runs; its log is WAREHOUSE/engine/server.log"
            return Failure(without_plan(str(error)).strip(), hint, "engine", ENGINE)
        case _:
            hint = "this is not foreseen: report it with the lines above"
            return Failure(f"{type(error).__name__}: {error}", hint, "unexpected", UNEXPECTED, error)


def _is_of_the_engine(error: Exception) -> bool:
    # PySpark and gRPC take long to import; wrong usage is told without them.
    from grpc import RpcError
    from pyspark.errors import PySparkException

    return isinstance(error, PySparkException | RpcError)


def print_failure(failure: Failure, as_json: bool) -> None:
    """For people on standard error; with --json for programs on standard output, too."""
    if isinstance(failure.cause, ClickException):
        rich_utils.rich_format_error(failure.cause)
    else:
        if failure.cause is not None:
            traceback.print_exception(failure.cause)
        console = Console(stderr=True, highlight=False)
        console.print("[red]error:[/red]", end=" ")
        text = f"{failure.what}\n  → {failure.hint}" if failure.hint else failure.what
        console.print(text, markup=False, soft_wrap=True)
    if as_json:
        print_json({"error": {"what": failure.what, "hint": failure.hint, "kind": failure.kind}})
