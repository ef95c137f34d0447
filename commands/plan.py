"""`lakehouse plan`: what a dbt build would do here, without doing it."""

from typing import TYPE_CHECKING, Annotated

import typer

from commands.output import AsJson, console, print_json, progress, table

if TYPE_CHECKING:
    from lakehouse.dbt.plan import PlannedModel

EPILOG = "Example: lakehouse plan --select flight_features+"

_MIB = 2**20


def plan(
    select: Annotated[
        list[str] | None,
        typer.Option(help="dbt's selection; may be given more than once. All models by default."),
    ] = None,
    target: Annotated[str, typer.Option(help="dev (your own schema) or prod.")] = "dev",
    full_refresh: Annotated[
        bool, typer.Option("--full-refresh", help="As `dbt build --full-refresh`.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Preview a build: models, how each is built, its days, and the files that it would rewrite."""
    from lakehouse.dbt.plan import plan_build

    progress("asking dbt for the models, and Delta's logs for what is new …")
    planned = plan_build(select or [], target=target, full_refresh=full_refresh)
    if as_json:
        print_json(planned)
        return
    table(
        f"dbt build --target {target}" + (" --full-refresh" if full_refresh else ""),
        ["model", "builds", "days", "because of", "files", "rows", "MiB"],
        [_row(each) for each in planned],
    )
    console.print("files, rows and MiB: what holds these days now, and is rewritten")


def _row(each: "PlannedModel") -> tuple[object, ...]:
    replaced = each.replaced
    return (
        each.table,
        _what(each),
        _days(each),
        ", ".join(f"{name} ({days})" for name, days in each.because.items()),
        replaced and replaced.files,
        replaced and f"{replaced.rows:,}",
        replaced and f"{replaced.size_bytes / _MIB:.1f}",
    )


def _what(each: "PlannedModel") -> str:
    what = "nothing to do" if each.idle else each.builds
    return f"{what}; SQL changed: --full-refresh is due" if each.sql_changed else what


def _days(each: "PlannedModel") -> str:
    if each.everything:
        return "all"
    return ", ".join(f"{first}" if first == last else f"{first} … {last}" for first, last in each.ranges)
