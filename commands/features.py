"""`lakehouse features`: bring released features online, read them by entity, and declare them to Feast."""

import json
from typing import Annotated, Any

import typer

from commands.days import First, Last, days_of
from commands.output import AsJson, facts, print_json, progress
from commands.output import table as print_table
from lakehouse.errors import LakehouseError

EPILOG = "Example: lakehouse features push && lakehouse features check"

app = typer.Typer()

TableName = Annotated[
    str | None, typer.Option("--table", help="Only this one, by dbt's name; all that are online by default.")
]


@app.command(epilog="Example: lakehouse features apply")
def apply(as_json: AsJson = False) -> None:
    """Write Feast's definitions, made from dbt's YAML, into its registry."""
    from lakehouse.dbt.manifest import current_models
    from lakehouse.engine.session import spark_session
    from lakehouse.online.feast_repo import apply as apply_definitions
    from ml.data.feature_services import feature_services

    models = current_models()
    # Feast reads by the session that is active.
    spark_session()
    done = apply_definitions(models, feature_services(models))
    views = {view.name: len(view.features) for view in done.views}
    services = {
        each.name: sum(len(part.features) for part in each.feature_view_projections) for each in done.services
    }
    if as_json:
        print_json({"feature_views": views, "feature_services": services})
        return
    rows = [("feature view", name, count) for name, count in views.items()]
    rows += [("feature service", name, count) for name, count in services.items()]
    print_table("Feast", ["kind", "name", "features"], rows)


@app.command(epilog="Example: lakehouse features push --full")
def push(
    table: TableName = None,
    first: First = None,
    last: Last = None,
    full: Annotated[bool, typer.Option("--full", help="Write all days again, from Delta alone.")] = False,
    as_json: AsJson = False,
) -> None:
    """Push what a release changed: the days within the time to live, and those of --from and --to."""
    days = days_of(None, first, last)
    if days is not None and table is None:
        raise LakehouseError("--from and --to need a table", "give --table, too")

    from lakehouse.dbt.manifest import current_models
    from lakehouse.engine.session import spark_session
    from lakehouse.online.push import push as push_table
    from lakehouse.online.tables import online_table, online_tables

    models = current_models()
    tables = [online_table(models, table)] if table else online_tables(models)
    done = [push_table(spark_session(), each, asked=days, full=full, progress=progress) for each in tables]
    if as_json:
        print_json(done)
        return
    rows = [
        (
            each.table,
            each.rows,
            each.removed,
            ", ".join(each.days) or "nothing changed",
            round(each.seconds, 1),
        )
        for each in done
    ]
    print_table("Online", ["published", "rows", "removed", "days", "seconds"], rows)


@app.command(epilog="Example: lakehouse features get flight_features flight_id=B6-17-JFK-201310010600")
def get(
    table: Annotated[str, typer.Argument(help="dbt's name of the table, or schema.table.")],
    key: Annotated[list[str], typer.Argument(help="COLUMN=VALUE of each entity column.")],
    feast: Annotated[bool, typer.Option("--feast", help="Read through Feast's API.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read the row of an entity from the online store."""
    given = _pairs(key)

    from lakehouse.dbt.manifest import current_models
    from lakehouse.online.store import open_store
    from lakehouse.online.tables import online_table

    models = current_models()
    known = online_table(models, table)
    columns = models.node(known.model)["columns"]
    entity = {name: _typed(columns.get(name, {}).get("data_type"), value) for name, value in given.items()}
    if entity.keys() != set(known.entity):
        raise LakehouseError(
            f"the entity of {known.model} is {', '.join(known.entity)}, not {', '.join(sorted(entity))}",
            f"write it as {' '.join(f'{name}=…' for name in known.entity)}",
        )
    store = open_store()
    try:
        (row,) = store.rows(known.name, [entity])
    finally:
        store.close()
    if row is None:
        raise LakehouseError(
            f"{known.name} has no {json.dumps(entity)} online",
            "it is unknown, or expired: `lakehouse features push --from DAY --to DAY` brings older days",
        )
    values: dict[str, Any] = dict(row.values)
    if feast:
        from lakehouse.online.feast_repo import read_through_feast

        values = read_through_feast(known.model, entity)
    if as_json:
        print_json({"table": row.table, "release_id": row.release_id, "values": values})
    else:
        facts({"table": row.table, "release": row.release_id, **values})


def _pairs(pairs: list[str]) -> dict[str, str]:
    """Columns and their values' texts."""
    found: dict[str, str] = {}
    for pair in pairs:
        name, is_pair, value = pair.partition("=")
        if not is_pair or not name:
            raise LakehouseError(f"{pair!r} is not an entity's column", "write it as COLUMN=VALUE")
        found[name] = value
    return found


def _typed(data_type: str | None, text: str) -> str | int:
    """A value of an entity's column; days and times are named by their text."""
    if data_type not in ("int", "bigint", "smallint", "tinyint"):
        return text
    try:
        return int(text)
    except ValueError as error:
        raise LakehouseError(f"{text!r} is not a whole number", "the entity's column has numbers") from error


@app.command(epilog="Example: lakehouse features check --table flight_features")
def check(table: TableName = None, as_json: AsJson = False) -> None:
    """Compare rows of a day, online and as published, to the bit."""
    from lakehouse.dbt.manifest import current_models
    from lakehouse.engine.session import spark_session
    from lakehouse.online.compare import compare
    from lakehouse.online.tables import online_table, online_tables

    models = current_models()
    tables = [online_table(models, table)] if table else online_tables(models)
    done = [compare(spark_session(), each) for each in tables]
    if as_json:
        print_json(done)
    for each in done:
        if not as_json:
            facts(
                {
                    "table": each.table,
                    "online": "this release"
                    if each.release_id == each.online_release_id
                    else f"release {each.online_release_id}",
                    "day": each.day or "none",
                    "rows compared": each.rows,
                    "rows that differ": each.differing,
                }
            )
    wrong = [each for each in done if not each.is_same]
    if wrong:
        raise LakehouseError(
            f"{wrong[0].table} is not what is online: "
            + ("; ".join(wrong[0].examples) or f"release {wrong[0].online_release_id} was pushed last"),
            "`lakehouse features push --full` writes it again from Delta",
        )
