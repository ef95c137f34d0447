"""The `lakehouse` command line: one thin file per command, registered here."""

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass

import typer

from commands.failure import INTERRUPTED, Failure, failure_of, print_failure
from lakehouse.private import make_private


@dataclass(frozen=True)
class Entry:
    """Where a command's function lies (`module:function`), or the Typer of a group; its line in the help."""

    target: str
    summary: str


COMMANDS = {
    "up": Entry("commands.engine:up", "Start the Spark engine, or find the one that runs."),
    "down": Entry("commands.engine:down", "Stop the Spark engine."),
    "status": Entry("commands.engine:status", "What runs, since when, with how much memory."),
    "doctor": Entry("commands.doctor:doctor", "Check what this machine needs, and say what to do."),
    "demo": Entry("commands.demo:demo", "Tell the whole story on real flights."),
    "dev": Entry("commands.dev:dev", "Open engine, Dagster, MLflow and Data Docs, and print the links."),
    "ingest": Entry("commands.ingest:ingest", "Land deliveries into bronze, each exactly once."),
    "stream": Entry("commands.stream:stream", "Land a topic's records as they come, until Ctrl-C."),
    "source": Entry(
        "commands.source:app", "Propose a source's declaration, or try a source before it lands."
    ),
    "quarantine": Entry(
        "commands.quarantine:app", "Rows that were set aside and why; let in what can be read now."
    ),
    "check": Entry("commands.check:check", "Run a gate's expectations and record the result."),
    "release": Entry("commands.release:release", "Publish the tables of a gate that passed."),
    "override": Entry("commands.override:override", "Let a failed table through, by name and with a reason."),
    "train": Entry("commands.train:train", "Train, log and register a model as of a date."),
    "tune": Entry("commands.tune:tune", "Search a spec's space for better settings, within a time."),
    "promote": Entry("commands.promote:promote", "Make the challenger the champion, if it is better."),
    "rollback": Entry("commands.rollback:rollback", "Make the champion before this one the champion again."),
    "score": Entry("commands.score:score", "Score a day or a range of days into the predictions table."),
    "serve": Entry("commands.serve:app", "Answer requests for scores over HTTP; log each of them."),
    "export-triton": Entry(
        "commands.export_triton:export_triton", "Write a model version as a repository that Triton serves."
    ),
    "monitor": Entry("commands.monitor:monitor", "Which days are unlike those before them, and why."),
    "alerts": Entry("commands.alerts:app", "What people are told when nobody looks: list, test, send."),
    "explain": Entry("commands.explain:explain", "The way back from one prediction to its landing files."),
    "reproduce": Entry("commands.reproduce:reproduce", "Reproduce a run from its id, or say what differs."),
    "diff": Entry("commands.diff:diff", "How two runs differ: rows, sources, code, settings, metrics."),
    "plan": Entry("commands.plan:plan", "What a dbt build would do here, without doing it."),
    "time-travel": Entry(
        "commands.time_travel:time_travel", "Build dbt models from past versions of their inputs."
    ),
    "pin": Entry("commands.pin:pin", "Hold a version of a table by a name."),
    "unpin": Entry("commands.pin:unpin", "Let go what a pin holds."),
    "pins": Entry("commands.pin:pins", "List the versions that are held by name."),
    "maintain": Entry("commands.maintain:maintain", "Keep the warehouse small: files, old runs, leftovers."),
    "features": Entry("commands.features:app", "Bring released features online, and read them by entity."),
    "vacuum": Entry("commands.vacuum:vacuum", "Free the files that nothing needs."),
    "backup": Entry("commands.backup:backup", "Copy the whole warehouse into a folder, with checksums."),
    "restore": Entry("commands.restore:restore", "Make a warehouse from a backup, here or elsewhere."),
    "move-databases": Entry(
        "commands.move_databases:move_databases",
        "Copy the warehouse's databases into PostgreSQL.",
    ),
    "materialize": Entry("commands.materialize:materialize", "Materialize assets of the graph."),
}


def _placeholder() -> None:
    """Stands in the help for a command that was not asked for."""


def build(wanted: str | None) -> typer.Typer:
    """The command line with one command loaded; the others take seconds to import and stand as help."""
    app = typer.Typer(
        name="lakehouse",
        help="Versioned feature tables, gates, training, scoring and reproduction, on one warm Spark engine.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
        rich_markup_mode="rich",
    )
    app.callback()(_placeholder)
    for name, entry in COMMANDS.items():
        if name != wanted:
            app.command(name, help=entry.summary)(_placeholder)
            continue
        module_name, _, function = entry.target.partition(":")
        module = importlib.import_module(module_name)
        target, epilog = getattr(module, function), getattr(module, "EPILOG", None)
        if isinstance(target, typer.Typer):
            # A group that does something itself has no need to show its help.
            shows_help = target.info.invoke_without_command is not True
            app.add_typer(target, name=name, help=entry.summary, epilog=epilog, no_args_is_help=shows_help)
        else:
            app.command(name, epilog=epilog)(target)
    return app


def main() -> None:
    """Run the command line and end with its exit code; see docs/exit-codes.md."""
    make_private()
    arguments = sys.argv[1:]
    wanted = next((argument for argument in arguments if not argument.startswith("-")), None)
    sys.exit(run(lambda: build(wanted)(args=arguments, standalone_mode=False), "--json" in arguments))


def run(command: Callable[[], object], as_json: bool) -> int:
    """Run a command; whatever goes wrong in it is printed as a message, and as JSON where that was asked for.

    Returns:
        its exit code.
    """
    try:
        said = command()
    except Exception as error:  # noqa: BLE001 - the one place where each error ends
        failure = failure_of(error)
        print_failure(failure, as_json)
        return failure.code
    if said == INTERRUPTED:
        print_failure(Failure("interrupted", "", "interrupted", INTERRUPTED), as_json)
    # What a command says by its exit code alone.
    return said if isinstance(said, int) else 0
