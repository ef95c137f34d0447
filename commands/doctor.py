"""`lakehouse doctor`: what this machine needs, checked before it is missed."""

import typer

from commands.output import AsJson, print_json, table
from lakehouse.doctor import check_machine

EPILOG = "Example: lakehouse doctor --json"


def doctor(as_json: AsJson = False) -> None:
    """Check Python, Java, JARs, memory, disk and ports; exit code 1 when something is missing."""
    findings = check_machine()
    if as_json:
        print_json(findings)
    else:
        table(
            "This machine",
            ["", "what", "found", "what to do"],
            [("ok" if f.ok else "MISSING", f.what, f.found, "" if f.ok else f.hint) for f in findings],
        )
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)
