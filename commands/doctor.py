"""`lakehouse doctor`: what this machine needs, checked before it is missed."""

from typing import Annotated

import typer

from commands.output import AsJson, print_json, progress, table

EPILOG = "Example: lakehouse doctor --json"


def doctor(
    fix: Annotated[
        bool, typer.Option("--fix", help="Set the properties that keep older versions of tables readable.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check Python, Java, JARs, memory, disk, ports and tables; exit code 1 when something is missing."""
    from lakehouse.doctor import check_machine, fix_tables

    for name in fix_tables() if fix else ():
        progress(f"{name}: properties set")
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
