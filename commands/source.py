"""`lakehouse source`: propose a source's declaration from a sample, and try a source before it lands."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commands.output import AsJson, facts, print_json, progress, table
from lakehouse.errors import LakehouseError

if TYPE_CHECKING:
    from lakehouse.ingest.trial.report import Trial

EPILOG = (
    "Examples: lakehouse source new readings --file readings.csv --write   ·   "
    "lakehouse source new orders --table public.orders --database-url SHOP_URL   ·   "
    "lakehouse source check readings --file readings.csv"
)

app = typer.Typer()


@app.command("new")
def new(
    name: Annotated[str, typer.Argument(help="What the source is to be called.")],
    file: Annotated[
        Path | None,
        typer.Option(help="A file that was delivered: CSV, JSON lines or Parquet."),
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="The address of an API's list of records; it is asked for once.")
    ] = None,
    from_table: Annotated[
        str | None, typer.Option("--table", help="A table of a database; with --database-url.")
    ] = None,
    database_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL|VARIABLE", help="Its JDBC URL without secrets, or the variable that holds it."
        ),
    ] = None,
    user_env: Annotated[
        str | None, typer.Option(metavar="VARIABLE", help="The variable that holds the database's user.")
    ] = None,
    password_env: Annotated[
        str | None, typer.Option(metavar="VARIABLE", help="The variable that holds the password.")
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Write sources/NAME.yml, if it is not there.")
    ] = False,
) -> None:
    """Propose the declaration of a source from a sample: what nobody can know is a TODO in it.

    The first MiB of a file is looked at, one answer of an API, or the columns of a table. It is printed, or
    written to sources/NAME.yml.
    """
    _check(name, [file, url, from_table], from_table, [database_url, user_env, password_env])

    from lakehouse.ingest.propose.proposal import declaration
    from lakehouse.settings import PROJECT_ROOT

    path = PROJECT_ROOT / "sources" / f"{name}.yml"
    if write and path.exists():
        raise LakehouseError(f"{path} is there already", "give another name, or remove it first")
    if file is not None:
        from lakehouse.ingest.propose.files import propose_file

        proposal = propose_file(name, file)
    elif url is not None:
        from lakehouse.ingest.propose.api import propose_api

        proposal = propose_api(name, url)
    else:
        from lakehouse.engine.session import spark_session
        from lakehouse.ingest.propose.table import propose_table

        proposal = propose_table(
            spark_session(),
            name,
            from_table or "",
            database_url or "",
            user_env=user_env,
            password_env=password_env,
        )
    text = declaration(name, proposal)
    if not write:
        typer.echo(text, nl=False)
        return
    try:
        with path.open("x") as declared:
            declared.write(text)
    except FileExistsError:
        raise LakehouseError(f"{path} is there already", "give another name, or remove it first") from None
    progress(f"{path}: fill in each TODO, without which no source loads; then: lakehouse source check {name}")


def _check(name: str, samples: list[object], table: str | None, of_database: list[str | None]) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise LakehouseError(f"{name!r} cannot be a source's name", "use lower case, digits and underscores")
    if sum(sample is not None for sample in samples) != 1:
        raise LakehouseError(
            "a declaration is proposed from one sample", "give one of --file, --url, --table"
        )
    if (table is not None) != (of_database[0] is not None) or (table is None and any(of_database)):
        raise LakehouseError(
            "--table, --database-url, --user-env and --password-env belong together",
            "give --table and --database-url, and the variables of user and password where it needs them",
        )


@app.command("check")
def check(
    name: Annotated[str, typer.Argument(help="The source, as sources/NAME.yml declares it.")],
    file: Annotated[
        Path | None,
        typer.Option(help="A file of any name; the newest delivery in the landing zone by default."),
    ] = None,
    rows: Annotated[int, typer.Option(min=0, max=1000, help="Show so many rows of each kind.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Try a source without landing anything: what would land, what would not, and why.

    A file is read by the same job as by `lakehouse ingest`, all of it; of a database and a topic the first
    rows that a load would read. The exit code is 1 if it would be refused.
    """
    from lakehouse.ingest.declarations import load_source
    from lakehouse.settings import PROJECT_ROOT, settings

    # That one alone: another one, which is being written, is not in the way.
    path = PROJECT_ROOT / "sources" / f"{name}.yml"
    if not path.is_file():
        names = ", ".join(sorted(each.stem for each in path.parent.glob("*.yml")))
        raise LakehouseError(f"unknown source {name}", f"declared in sources/ are {names}")
    source = load_source(path)
    if file is not None and not source.files:
        raise LakehouseError(f"{name} delivers no files", "leave --file out")

    from lakehouse.engine.session import spark_session

    if source.database is not None:
        from lakehouse.ingest.trial.database import try_database

        trial = try_database(spark_session(), source, rows)
    elif source.stream is not None:
        from lakehouse.ingest.trial.topic import try_topic

        trial = try_topic(spark_session(), source, rows)
    else:
        from lakehouse.ingest.trial.files import try_file

        trial = try_file(spark_session(), source, file, settings().landing_dir, rows)
    if as_json:
        print_json(trial)
    else:
        _show(trial)
    if trial.refused:
        raise typer.Exit(1)


def _show(trial: "Trial") -> None:
    looked = trial.rows + trial.unreadable
    said: dict[str, object] = {
        "looked at": trial.looked_at,
        "rows": f"{trial.rows} can be read, {trial.unreadable} cannot",
    }
    if trial.would_read is not None:
        said["an ingestion reads"] = f"{trial.would_read} rows; {looked} were looked at"
    if trial.digest:
        said["sha256"] = trial.digest
    if trial.new_columns:
        said["new columns"] = ", ".join(f"{name} {sql}" for name, sql in trial.new_columns.items())
    facts(said)
    if trial.sample:
        columns = list(trial.sample[0])
        table("Rows", columns, [[row[column] for column in columns] for row in trial.sample])
    if trial.unreadable_rows:
        cells = [(row.place, row.reason, row.raw) for row in trial.unreadable_rows]
        table("Rows that cannot be read", ["line", "reason", "raw"], cells)
    for note in trial.notes:
        facts({"note": note})
    for why in trial.waiting:
        facts({"would wait": why})
    for why in trial.refused:
        facts({"would be refused": why})
    if not trial.refused and not trial.waiting:
        facts({"would be refused": "nothing"})
