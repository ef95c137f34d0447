"""`lakehouse rollback`: the champion before this one is the champion again."""

from commands.output import AsJson, facts, print_json
from commands.specs import SpecName, chosen_spec

EPILOG = "Example: lakehouse rollback --spec arrival_delay"


def rollback(
    spec: SpecName = None,
    as_json: AsJson = False,
) -> None:
    """Make the version that was champion before the champion again; what was scored stays."""
    from ml.tracking.registry import rollback as roll_back

    before, now = roll_back(chosen_spec(spec).registered_model)
    if as_json:
        print_json({"champion": now, "before": before})
    else:
        facts({"champion": now, "before": before})
