"""`lakehouse diff`: how two training runs differ."""

from typing import Annotated

import typer

from commands.output import AsJson, facts, print_json, progress, table
from commands.reproduce import show_changes

EPILOG = "Example: lakehouse diff FIRST_RUN_ID SECOND_RUN_ID"


def diff(
    run_a: Annotated[str, typer.Argument(help="The first run's id.")],
    run_b: Annotated[str, typer.Argument(help="The second run's id.")],
    as_json: AsJson = False,
) -> None:
    """Compare two runs: training sets by row and column, then sources, settings, code, software, metrics."""
    from lakehouse.engine.session import spark_session
    from ml.reproduction.diff import diff as diff_runs
    from ml.reproduction.diff import log_picture

    progress("reading both training sets")
    found = diff_runs(spark_session(), run_a, run_b)
    picture = log_picture(found)
    progress(f"drawn with the second run in MLflow: {picture}")
    if as_json:
        print_json(found)
        return
    rows = found.rows
    facts(
        {
            "rows": f"{rows.rows_a} in the first, {rows.rows_b} in the second",
            "added": rows.rows_added,
            "removed": rows.rows_removed,
            "changed": rows.rows_changed,
            **({"columns added": ", ".join(rows.columns_added)} if rows.columns_added else {}),
            **({"columns removed": ", ".join(rows.columns_removed)} if rows.columns_removed else {}),
        }
    )
    counted = dict(rows.changed_columns)
    counted |= {"(added)": rows.rows_added} if rows.rows_added else {}
    counted |= {"(removed)": rows.rows_removed} if rows.rows_removed else {}
    if counted:
        table(
            "Changes by column",
            ["column", "rows", "for example"],
            [[name, count, ", ".join(rows.samples[name])] for name, count in counted.items()],
        )
    show_changes("What made them", found.changes)
