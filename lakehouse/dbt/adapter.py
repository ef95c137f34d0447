"""What macros ask of Python, as methods that the plugin adds to dbt's adapter: above all `this_build`.

A method of the adapter is the one way from a macro to Python. What it returns is part of the protocol by
which archived projects are built again: later versions may add to it, and take nothing away.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from lakehouse.dbt.build import Asked, Build, asked_days
from lakehouse.dbt.graph import Graph
from lakehouse.dbt.reads import Options, Reads
from lakehouse.dbt.snapshot import Snapshot, resolve
from lakehouse.delta.files import local_description as description_in_log
from lakehouse.engine.session import spark_session
from lakehouse.errors import LakehouseError
from lakehouse.ingest.declarations import load_sources

_Given = ParamSpec("_Given")
_Found = TypeVar("_Found")


# Commands that build, and those that read tables; all others only look at the project.
BUILDS = ("run", "build", "retry", "snapshot", "seed")
READS = (*BUILDS, "compile", "show", "run-operation")


@dataclass(frozen=True)
class _Connection:
    """dbt-spark's adapter, as a build needs it."""

    adapter: Any

    def query(self, sql: str) -> Sequence[Mapping[str, Any]]:
        _, rows = self.adapter.execute(sql, fetch=True)
        return [dict(zip(rows.column_names, row.values(), strict=True)) for row in rows.rows]

    def kind(self, table: str) -> str | None:
        schema, _, name = table.partition(".")
        found = self.adapter.get_relation(None, schema, name)
        return None if found is None else "view" if found.is_view else "table"

    def macros(self) -> Mapping[str, Mapping[str, Any]]:
        return {
            name: {
                "sql": macro.macro_sql,
                "path": macro.original_file_path,
                "package": macro.package_name,
                "macros": macro.depends_on.macros,
            }
            for name, macro in self.adapter.get_macro_resolver().macros.items()
        }


class BuildForMacros:
    """A build, its errors as dbt shows them: those of the model in which they are met."""

    def __init__(self, build: Build) -> None:
        self.begin = _told_by_dbt(build.begin)
        self.end = _told_by_dbt(build.end)
        self.table = _told_by_dbt(build.table)
        self.view_sql = _told_by_dbt(build.view_sql)
        self.superseded = _told_by_dbt(build.superseded)
        self.delivered_until = _told_by_dbt(build.delivered_until)
        self.days_of = _told_by_dbt(build.days_of)
        self.in_days = _told_by_dbt(build.in_days)
        self.first_day = _told_by_dbt(build.first_day)
        self.plan = _told_by_dbt(build.plan)
        self.days_built = _told_by_dbt(build.days_built)
        self.preview = _told_by_dbt(build.preview)


def _told_by_dbt(method: Callable[_Given, _Found]) -> Callable[_Given, _Found]:
    def told(*args: _Given.args, **kwargs: _Given.kwargs) -> _Found:
        from dbt_common.exceptions import CompilationError

        try:
            return method(*args, **kwargs)
        except LakehouseError as error:
            raise CompilationError(str(error)) from error

    return told


# The invocation under way, by dbt's id of it: a process may run several, one after the other.
_current: dict[str, BuildForMacros] = {}


def this_build(
    adapter: Any, invocation: str, graph: Mapping[str, Any], given: Mapping[str, Any]
) -> BuildForMacros:
    """The build of an invocation of dbt; the same one for all its models.

    Args:
        given: of the macro `this_build`.
    """
    found = _current.get(invocation)
    if found is None:
        found = _current.setdefault(invocation, BuildForMacros(_told_by_dbt(_build)(adapter, graph, given)))
        for earlier in [each for each in _current if each != invocation]:
            _current.pop(earlier, None)
    return found


def _build(adapter: Any, graph: Mapping[str, Any], given: Mapping[str, Any]) -> Build:
    project = Path(adapter.config.project_root)
    command = str(given["command"])
    options = Options(
        pins=bool(given["production"]) and command in READS and not given["empty"],
        builds=command in BUILDS,
        bronze=str(given["bronze"]),
        time_zone=str(given["time_zone"]),
        project=project,
    )

    def snapshot() -> Snapshot:
        return resolve(spark_session(), options.bronze, load_sources(project / "sources"))

    connection, known = _Connection(adapter), Graph(graph)
    return Build(
        connection,
        known,
        Reads(connection, known, options, snapshot),
        connection.macros(),
        options,
        Asked(command, bool(given["empty"]), asked_days(given["start_date"], given["end_date"])),
    )


def local_description(adapter: Any, relation: Any) -> dict[str, Any] | None:
    """A table's columns, comment and properties from Delta's log; None where Spark has to be asked.

    An increment asks for its table's columns several times: a statement each, otherwise.
    """
    if not relation.schema:
        return None
    found = description_in_log(f"{relation.schema}.{relation.identifier}")
    return None if found is None else asdict(found)


def install() -> None:
    """Add both to dbt-spark's adapter, and let its own look-up of columns read Delta's log, too."""
    from dbt.adapters.base.meta import available
    from dbt.adapters.spark.column import SparkColumn
    from dbt.adapters.spark.impl import SparkAdapter

    if hasattr(SparkAdapter, this_build.__name__):
        return
    for method in (this_build, local_description):
        setattr(SparkAdapter, method.__name__, available.parse_none(method))
        SparkAdapter._available_ |= {method.__name__}  # pyright: ignore[reportPrivateUsage]
    described: Callable[..., list[SparkColumn]] = SparkAdapter.get_columns_in_relation

    def get_columns_in_relation(self: SparkAdapter, relation: Any) -> list[SparkColumn]:
        found = local_description(self, relation)
        if found is None:
            return described(self, relation)
        return [
            SparkColumn(
                column=each["name"],
                dtype=each["type"],
                # The catalog of `dbt docs generate` is made of these.
                column_index=position,
                table_schema=relation.schema,
                table_name=relation.name,
                table_type=relation.type,
            )
            for position, each in enumerate(found["columns"])
        ]

    SparkAdapter.get_columns_in_relation = available(get_columns_in_relation)
