"""`lakehouse rollback`: the champion before this one is the champion again."""

from typing import Annotated

import typer

from commands.output import AsJson, facts, print_json

EPILOG = "Example: lakehouse rollback"


def rollback(
    spec: Annotated[str, typer.Option(help="Which model: a file in ml/specs.")] = "arrival_delay",
    as_json: AsJson = False,
) -> None:
    """Make the version that was champion before the champion again; what was scored stays."""
    from ml.spec import load_spec
    from ml.tracking.registry import rollback as roll_back

    before, now = roll_back(load_spec(spec).registered_model)
    if as_json:
        print_json({"champion": now, "before": before})
    else:
        facts({"champion": now, "before": before})
