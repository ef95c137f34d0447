"""`lakehouse release`: publish the tables of a gate that passed."""

from typing import Annotated

import typer

from commands.output import AsJson, print_json, progress, table

EPILOG = "Example: lakehouse check features && lakehouse release features"


def release(
    gate: Annotated[str, typer.Argument(help="features or training.")],
    run_id: Annotated[str, typer.Option(help="What the release is recorded under.")] = "by hand",
    as_json: AsJson = False,
) -> None:
    """Publish the last checked version of each of the gate's tables; refused when a check failed."""
    from expectations.gate import as_gate
    from expectations.gate import release as release_gate
    from lakehouse.delta.publications import view_name
    from lakehouse.engine.session import spark_session
    from lakehouse.production import production

    wanted = as_gate(gate)
    with production(f"lakehouse release {wanted}", progress):
        released = release_gate(spark_session(), wanted, run_id)
    if as_json:
        print_json({"gate": gate, "published": released})
    else:
        rows = [(view_name(version.name), version.name, version.version) for version in released]
        table(f"Published by gate {gate}", ["view", "table", "version"], rows)
