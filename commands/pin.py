"""`lakehouse pin`, `unpin` and `pins`: versions held by name."""

import getpass
import re
from typing import Annotated

import typer

from commands.output import AsJson, facts, print_json
from commands.output import table as print_table
from lakehouse.errors import LakehouseError

EPILOG = 'Example: lakehouse pin audit-2013 features.flight_features@12 --reason "audit" && lakehouse pins'

Name = Annotated[str, typer.Argument(help="What the pin is called.")]


def pin(
    name: Name,
    table: Annotated[str, typer.Argument(help="schema.table@VERSION; without @VERSION, the newest one.")],
    reason: Annotated[str, typer.Option(help="Why it must not be lost.")],
    as_json: AsJson = False,
) -> None:
    """Hold a version of a table: `lakehouse vacuum` keeps it until it is let go."""
    from lakehouse.delta import pins as held
    from lakehouse.delta.table import at_version, current_version
    from lakehouse.engine.session import spark_session

    found = re.fullmatch(r"(\w+\.\w+)(?:@v?(\d+))?", table)
    if found is None:
        raise LakehouseError(f"{table!r} is not a table", "write it as features.flight_features@12")
    spark = spark_session()
    version = at_version(spark, found[1], int(found[2])) if found[2] else current_version(spark, found[1])
    made = held.pin(spark, name, version, reason, getpass.getuser())
    if as_json:
        print_json(made)
    else:
        facts({"pin": made.name, "holds": made.version, "reason": made.reason, "held by": made.held_by})


def unpin(name: Name, as_json: AsJson = False) -> None:
    """Let go what a pin holds."""
    from lakehouse.delta import pins as held
    from lakehouse.engine.session import spark_session

    released = held.unpin(spark_session(), name, getpass.getuser())
    if as_json:
        print_json(released)
    else:
        facts({"pin": released.name, "held": released.version, "now": "let go"})


def pins(as_json: AsJson = False) -> None:
    """List the versions that are held by name."""
    from lakehouse.delta import pins as held
    from lakehouse.engine.session import spark_session

    found = held.pins(spark_session())
    if as_json:
        print_json(found)
        return
    rows = [(each.name, each.version, each.reason, each.held_by, each.created_at) for each in found]
    print_table("Pins", ["name", "holds", "reason", "held by", "since"], rows)
