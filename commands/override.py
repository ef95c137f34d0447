"""`lakehouse override`: let a failed table through, by name and with a reason."""

from typing import Annotated

import typer

from commands.output import AsJson, facts, print_json

EPILOG = 'Example: lakehouse override features.flight_features --version 12 --by "A. Lin" --reason storm'


def override(
    table: Annotated[str, typer.Argument(help="schema.table, as the failed check names it.")],
    version: Annotated[int, typer.Option(min=0, help="The version whose failed check is let through.")],
    by: Annotated[str, typer.Option(help="Who takes the responsibility.")],
    reason: Annotated[str, typer.Option(help="Why the table is good enough.")],
    as_json: AsJson = False,
) -> None:
    """Let a table through although its check failed; name and reason are kept in lakehouse.gate_results."""
    from expectations.gate import gate_of
    from expectations.gate import override as override_gate
    from expectations.suite import PUBLISHING
    from lakehouse.engine.session import spark_session

    overridden = override_gate(spark_session(), table, version, by, reason)
    if as_json:
        print_json({"overridden": overridden, "by": by, "reason": reason})
    else:
        gate = gate_of(table)
        what_next = f"lakehouse release {gate}" if gate in PUBLISHING else "build: it reads this version now"
        facts({"overridden": overridden, "by": by, "reason": reason, "next": what_next})
