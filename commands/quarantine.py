"""`lakehouse quarantine`: rows that were set aside, why, and how they come in after all."""

from typing import Annotated

import typer

from commands.output import AsJson, facts, print_json, progress, table
from lakehouse.errors import LakehouseError

EPILOG = (
    "Examples: lakehouse quarantine show flight_actuals --batch flight_actuals_2013-10-01   ·   "
    'lakehouse quarantine release flight_actuals flight_actuals_2013-10-01 --by Ana --reason "a new format"'
)

app = typer.Typer()

Source = Annotated[str, typer.Argument(help="The source.")]


@app.command("list")
def list_batches(
    source: Annotated[str | None, typer.Option(help="Only this source.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the batches of which rows were set aside, unreadable or because they break a gate's rule."""
    from expectations.quarantine import held
    from lakehouse.engine.session import spark_session
    from lakehouse.ingest.ledger import Ledger, read_entries
    from lakehouse.ingest.set_aside import tables, unreadable
    from lakehouse.ingest.source import UNREADABLE

    spark = spark_session()
    found = unreadable(spark, Ledger(read_entries(spark=spark)), source)
    for name in tables(spark):
        if not name.endswith(UNREADABLE) and source in (None, name):
            found += held(spark, f"bronze.{name}")
    if as_json:
        print_json(found)
        return
    rows = [(each.source, each.kind, each.batch_id, each.rows, each.reason, each.released) for each in found]
    table("Quarantine", ["source", "kind", "batch", "rows", "most frequent reason", "released"], rows)


@app.command("show")
def show(
    source: Source,
    batch: Annotated[str | None, typer.Option(help="Only this batch.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Show so many rows of each kind.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show rows of a source that were set aside: line, reason, and the row as it was delivered."""
    from expectations.quarantine import held_rows
    from lakehouse.engine.session import spark_session
    from lakehouse.ingest.set_aside import unreadable_rows

    spark = spark_session()
    found = unreadable_rows(spark, source, batch, limit)
    found += held_rows(spark, f"bronze.{source}", batch, limit)
    if as_json:
        print_json(found)
        return
    rows = [(each.batch_id, each.kind, each.place, each.reason, each.raw) for each in found]
    table(f"Rows of {source} that were set aside", ["batch", "kind", "line", "reason", "row"], rows)


@app.command("release")
def release(
    source: Source,
    batch: Annotated[str, typer.Argument(help="The batch whose unreadable rows are to come in.")],
    by: Annotated[str, typer.Option(help="Who decides.")],
    reason: Annotated[str, typer.Option(help="Why.")],
    as_json: AsJson = False,
) -> None:
    """Land the unreadable rows of a batch that today's declaration can read, as the delivery BATCH_released.

    A second call lands nothing again. Rows that break a gate's rule are in bronze already: a changed rule
    lets them through, or an override.
    """
    from expectations.quarantine import held_rows
    from lakehouse.engine.session import spark_session
    from lakehouse.ingest.release.release import release as let_in
    from lakehouse.ingest.set_aside import unreadable_rows

    spark = spark_session()
    if not unreadable_rows(spark, source, batch, 1) and held_rows(spark, f"bronze.{source}", batch, 1):
        raise LakehouseError(
            f"rows of {batch} break a rule of the gate; they could be read, and are in bronze.{source}",
            "change the rule and check again, or let them through: lakehouse override",
        )
    done = let_in(spark, source, batch, by=by, reason=reason, progress=progress)
    if as_json:
        print_json(done)
        return
    landed = f"{done.rows} rows" if done.is_new else f"nothing: {done.rows} rows had landed before"
    facts({"batch": done.batch_id, "landed": landed, "file": done.file})
    if done.left:
        facts({"still unreadable": f"{done.left} rows"})
