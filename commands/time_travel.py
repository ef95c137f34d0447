"""`lakehouse time-travel`: build dbt models from past versions of their inputs, in a schema of their own."""

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from commands.output import AsJson, facts, print_json, progress
from lakehouse.errors import LakehouseError

if TYPE_CHECKING:
    pass

EPILOG = (
    "Example: lakehouse time-travel first_actuals --select +flight_features --pin bronze.flight_actuals@1"
)


def time_travel(
    schema: Annotated[str, typer.Argument(help="A new schema, for the models and the views that they read.")],
    select: Annotated[list[str], typer.Option(help="dbt's selection; may be given more than once.")],
    as_of: Annotated[
        datetime | None,
        typer.Option(help="Read bronze as this warehouse had committed it by then (UTC); now by default."),
    ] = None,
    pin: Annotated[
        list[str] | None,
        typer.Option(help="TABLE@VERSION[#ID] of a bronze table, or of a model that is read, not built."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Build models as past versions of their inputs would have made them. Drop the schema when done."""
    from lakehouse.dbt.time_travel import build, complete_pins, sources_read
    from lakehouse.delta.table import TableVersion, table_id
    from lakehouse.engine.session import spark_session

    spark = spark_session()
    pins: list[TableVersion] = []
    for text in pin or []:
        found = re.fullmatch(r"(\w+\.\w+)@v?(\d+)(?:#([0-9a-f-]{36}))?", text)
        if found is None:
            raise LakehouseError(
                f"{text!r} is not a pin",
                "write it as bronze.flight_actuals@12, or with the table's id: @12#ID",
            )
        pins.append(TableVersion(found[1], found[3] or table_id(spark, found[1]), int(found[2])))
    instant = as_of.replace(tzinfo=UTC) if as_of else None
    needed = sources_read(select) if instant else None
    complete = complete_pins(spark, pins, instant, needed=needed)
    result = build(spark, schema, select, complete, progress=progress)
    if as_json:
        print_json(result)
    else:
        facts({"schema": result.schema, **{pinned.name: pinned.version for pinned in result.pins}})
