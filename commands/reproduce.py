"""`lakehouse reproduce`: read a run's training set again and compare it with what was logged."""

from typing import Annotated

import typer

from commands.output import AsJson, facts, print_json, progress, table
from lakehouse.engine.session import spark_session
from ml.reproduce import read

EPILOG = (
    "Example: lakehouse reproduce 0123456789abcdef0123456789abcdef (exit code 1 when it is not identical)"
)


def reproduce(
    run_id: Annotated[str, typer.Argument(help="A training run's id, as `lakehouse train` prints it.")],
    as_json: AsJson = False,
) -> None:
    """Say whether a run's training set is still what it was, or what differs, by column."""
    report = read(spark_session(), run_id, progress)
    if as_json:
        print_json(report)
    else:
        facts(
            {
                "training set": report.table,
                "rows": report.row_count,
                "content hash": report.content_hash,
                "result": "identical" if report.identical else "NOT identical",
            }
        )
        if report.differences:
            rows = [[found.what, found.name, found.logged, found.found] for found in report.differences]
            table("Differences", ["what", "name", "logged", "found"], rows)
    if not report.identical:
        raise typer.Exit(1)
