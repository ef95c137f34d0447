"""The plugin by which a bare `dbt run` finds the engine: dbt loads every top-level module named `dbt_*`."""

import os
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from dbt.flags import get_flags
from dbt.plugins.manager import dbtPlugin
from dbt_common.exceptions import DbtRuntimeError

from lakehouse.dbt import inherited_columns, predictions, reference
from lakehouse.dbt.project import FEW_DAYS
from lakehouse.engine.messages import without_plan
from lakehouse.errors import LakehouseError
from lakehouse.private import make_private

# Commands that never open a connection; for all others the engine is made sure of.
OFFLINE = {"parse", "list", "ls", "deps", "clean", "init", "serve"}


class LakehouseEngine(dbtPlugin):
    """Sets SPARK_REMOTE in dbt's process before the first query; does nothing for other projects."""

    def initialize(self) -> None:
        """Start or find the engine.

        Raises:
            LakehouseError: it cannot start, or has another fingerprint; dbt shows the message.
        """
        command = str(getattr(get_flags(), "WHICH", ""))
        if self.project_name != "lakehouse":
            return
        make_private()
        _fill_in_columns()
        if command in OFFLINE:
            return
        # dbt-spark asks each session for Hive's catalog; the engine has it, and warns that it is fixed.
        warnings.filterwarnings("ignore", message="Failed to set spark.sql.catalogImplementation")
        # Imported late: dbt loads this module for every command, also those that need no Spark.
        from lakehouse.dbt import adapter
        from lakehouse.engine.session import spark_session

        session = spark_session()
        if os.environ.get(FEW_DAYS):
            # One class for a whole stage takes longer to write and to compile than a day's rows take without.
            session.conf.set("spark.sql.codegen.wholeStage", "false")
        _tell_errors_without_plans()
        adapter.install()
        _offer_seeds_as_text()
        if command == "generate":
            _tell_rows_and_bytes()


def _fill_in_columns() -> None:
    """Let each command find the columns that YAML leaves to other YAML, as soon as dbt has parsed.

    dbt has a hook for a manifest that it has written; commands that write none don't call it, as `docs
    generate`.
    """
    from dbt.contracts.graph.manifest import Manifest
    from dbt.parser.manifest import ManifestLoader

    parse: Callable[..., Manifest] = ManifestLoader.get_full_manifest
    if parse.__name__ == "filled":
        return

    def filled(_: type[ManifestLoader], *arguments: Any, **options: Any) -> Manifest:
        manifest = parse(*arguments, **options)
        try:
            inherited_columns.fill_in(manifest)
            predictions.fill_in(manifest)
            reference.fill_in(manifest)
        except LakehouseError as error:
            raise DbtRuntimeError(str(error)) from error
        return manifest

    setattr(ManifestLoader, "get_full_manifest", classmethod(filled))  # noqa: B010 - a method of its class


def _tell_errors_without_plans() -> None:
    from dbt.adapters.spark.session import Cursor

    execute: Callable[..., None] = Cursor.execute
    if execute.__name__ == "readable":
        return

    def readable(self: Cursor, sql: str, *parameters: Any) -> None:
        try:
            execute(self, sql, *parameters)
        except DbtRuntimeError as error:
            raise DbtRuntimeError(without_plan(str(error.msg))) from error

    Cursor.execute = readable


def _offer_seeds_as_text() -> None:
    """Let macros ask `adapter.seed_as_text(path, delimiter)`: a seed's rows as they stand in its file.

    dbt's own reader makes numbers, dates and booleans of all columns that it is not told to leave alone, and
    a macro cannot tell it. An empty value is NULL, as it is there.
    """
    from agate import Table
    from dbt.adapters.base.meta import available
    from dbt.adapters.spark.impl import SparkAdapter
    from dbt_common.clients import agate_helper

    def seed_as_text(_: SparkAdapter, path: str, delimiter: str) -> Table:
        names = agate_helper.from_csv(path, text_columns=(), delimiter=delimiter).column_names
        return agate_helper.from_csv(path, text_columns=names, delimiter=delimiter)

    setattr(SparkAdapter, seed_as_text.__name__, available.parse_none(seed_as_text))
    SparkAdapter._available_ |= {seed_as_text.__name__}  # pyright: ignore[reportPrivateUsage]


def _tell_rows_and_bytes() -> None:
    """Let `dbt docs generate` show rows and bytes of Delta tables; Spark does not tell them."""
    from dbt.adapters.base.relation import BaseRelation
    from dbt.adapters.spark.column import SparkColumn
    from dbt.adapters.spark.impl import SparkAdapter

    from lakehouse.delta.files import local_files

    def with_statistics(read: Callable[..., list[SparkColumn]]) -> Callable[..., list[SparkColumn]]:
        def columns(self: SparkAdapter, relation: BaseRelation) -> list[SparkColumn]:
            found = local_files(f"{relation.schema}.{relation.identifier}")
            if found is None:
                return read(self, relation)
            told = SparkColumn.convert_table_stats(f"{found.size_bytes} bytes, {found.rows} rows")
            return [replace(column, table_stats=told) for column in read(self, relation)]

        return columns

    # The catalog takes columns from the listing of the schema, which often has none of a Delta table; then it
    # describes the table.
    SparkAdapter.parse_columns_from_information = with_statistics(SparkAdapter.parse_columns_from_information)
    SparkAdapter.get_columns_in_relation = with_statistics(SparkAdapter.get_columns_in_relation)


plugins = [LakehouseEngine]
