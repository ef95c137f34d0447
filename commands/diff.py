"""`lakehouse diff`: how the training sets of two runs differ."""

from typing import Annotated

import typer

from commands.output import AsJson, facts, print_json, progress, table
from lakehouse.engine.session import spark_session
from ml.reproduce import diff as diff_runs

EPILOG = "Example: lakehouse diff FIRST_RUN_ID SECOND_RUN_ID"


def diff(
    run_a: Annotated[str, typer.Argument(help="The first run's id.")],
    run_b: Annotated[str, typer.Argument(help="The second run's id.")],
    as_json: AsJson = False,
) -> None:
    """Compare two training sets by rows added, removed and changed, and by column."""
    progress("reading both training sets")
    found = diff_runs(spark_session(), run_a, run_b)
    if as_json:
        print_json(found)
        return
    facts(
        {
            "rows": f"{found.rows_a} in the first, {found.rows_b} in the second",
            "added": found.rows_added,
            "removed": found.rows_removed,
            "changed": found.rows_changed,
        }
    )
    samples = {name: ", ".join(keys) for name, keys in found.samples.items()}
    rows = [[name, count, samples.get(name, "")] for name, count in found.changed_columns.items()]
    rows += [["(added)", found.rows_added, samples["(added)"]]] if found.rows_added else []
    rows += [["(removed)", found.rows_removed, samples["(removed)"]]] if found.rows_removed else []
    if rows:
        table("Changes by column", ["column", "rows", "for example"], rows)
