"""The plugin by which a bare `dbt run` finds the engine: dbt loads every top-level module named `dbt_*`."""

import warnings

from dbt.flags import get_flags
from dbt.plugins.manager import dbtPlugin

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
        if self.project_name != "lakehouse" or command in OFFLINE:
            return
        # dbt-spark asks each session for Hive's catalog; the engine has it, and warns that it is fixed.
        warnings.filterwarnings("ignore", message="Failed to set spark.sql.catalogImplementation")
        # Imported late: dbt loads this module for every command, also those that need no Spark.
        from lakehouse.engine.session import spark_session

        spark_session()


plugins = [LakehouseEngine]
