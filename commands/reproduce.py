"""`lakehouse reproduce`: a run's training set and model again, from its id: identical, or what differs."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commands.output import AsJson, console, facts, print_json, progress, table
from lakehouse.errors import LakehouseError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from ml.provenance.differences import Difference, ReproductionReport
    from ml.provenance.logged_run import TrainingRun

EPILOG = (
    "Example: lakehouse reproduce 0123456789abcdef0123456789abcdef --rebuild "
    "(exit code 1 when it is not identical)"
)

_FOREIGN = (
    "the file holds SQL and Python of whoever made it, which run here with all that you may do",
    "where you know who made it, and how it came here: give --trust as well",
)
_TRUST_ALONE = ("--trust is about a file that somebody else made", "give it with --import FILE")


def reproduce(
    run_id: Annotated[
        str | None, typer.Argument(help="A training run's id, as `lakehouse train` prints it.")
    ] = None,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Build the training set anew, from bronze as pinned.")
    ] = False,
    retrain: Annotated[
        bool, typer.Option("--retrain", help="Train the model again; with --rebuild on what was rebuilt.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the rebuilt schema there.")] = False,
    threads: Annotated[
        int | None, typer.Option(min=1, max=256, help="Threads of --retrain, instead of the run's.")
    ] = None,
    export: Annotated[
        Path | None, typer.Option(help="Write all it takes to rebuild the run elsewhere into this file.")
    ] = None,
    bundle: Annotated[
        Path | None, typer.Option("--import", help="Rebuild the run of such a file, here.")
    ] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="With --import: run the SQL and the Python that the file holds.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say whether a run is still what it was, or what differs, by table, column and row.

    Without an option the pinned version of its training set is read and hashed.
    """
    _refuse_what_makes_no_sense(run_id, rebuild or bundle is not None, retrain, keep, threads, export, bundle)
    if trust != (bundle is not None):
        raise LakehouseError(*(_FOREIGN if bundle is not None else _TRUST_ALONE))

    from lakehouse.engine.session import spark_session
    from ml.provenance.logged_run import logged_run
    from ml.reproduction import reproduce as levels
    from ml.reproduction.export import export_run, imported_run

    spark, tell = spark_session(), print_json if as_json else _show
    if bundle is not None:
        with imported_run(spark, bundle, progress) as run:
            report = _rebuild(spark, run, retrain, keep, threads, tell)
    else:
        run = logged_run(str(run_id))
        if export is not None:
            progress(f"written: {export_run(spark, run, export, progress)}")
            return
        if rebuild:
            report = _rebuild(spark, run, retrain, keep, threads, tell)
        else:
            report = (
                levels.retrain(spark, run, threads=threads, progress=progress)
                if retrain
                else levels.read(spark, run, progress)
            )
            tell(report)
    if not report.identical:
        raise typer.Exit(1)


def _rebuild(
    spark: "SparkSession",
    run: "TrainingRun",
    train: bool,
    keep: bool,
    threads: int | None,
    tell: "Callable[[ReproductionReport], None]",
) -> "ReproductionReport":
    """The report is told before the schema is dropped: it took hours, and dropping may fail."""
    from ml.reproduction import reproduce as levels

    return levels.rebuild(
        spark, run, train=train, keep=keep, threads=threads, progress=progress, on_report=tell
    )


def _refuse_what_makes_no_sense(
    run_id: str | None,
    rebuild: bool,
    retrain: bool,
    keep: bool,
    threads: int | None,
    export: Path | None,
    bundle: Path | None,
) -> None:
    if (run_id is None) == (bundle is None):
        raise LakehouseError("give a run's id, or a file to --import", "one of the two")
    if keep and not rebuild:
        raise LakehouseError("--keep keeps what --rebuild builds", "give both")
    if threads is not None and not retrain:
        raise LakehouseError("--threads are those of --retrain", "give both")
    if export is not None and (rebuild or retrain):
        raise LakehouseError("--export writes a run as it was logged", "reproduce it before, or afterwards")


def _show(report: "ReproductionReport") -> None:
    facts(
        {
            "training set": report.table,
            "rows": f"{report.row_count:,}",
            "content hash": report.content_hash,
            "level": report.level,
            **({"schema": report.schema} if report.schema else {}),
            **({"trained by": report.trained_by} if report.trained_by else {}),
            "result": "identical" if report.identical else "NOT identical",
        }
    )
    if report.differences:
        table(
            "Differences",
            ["what", "name", "logged", "found", "for example"],
            [
                [found.kind, found.name, found.before, found.after, ", ".join(found.samples)]
                for found in report.differences
            ],
        )
    # Of what made no difference the names are enough.
    show_changes("Not as it was at the run", report.changes, with_text=not report.identical)


def show_changes(title: str, changes: "tuple[Difference, ...]", *, with_text: bool = True) -> None:
    """What changed, as a table, and the text of changed SQL below it."""
    if not changes:
        return
    table(
        title,
        ["kind", "name", "then", "now"],
        [[each.kind, each.name, each.before, each.after] for each in changes],
    )
    for change in changes:
        if with_text and change.diff and change.kind in ("model", "macro"):
            console.print(change.diff, markup=False, soft_wrap=True)
