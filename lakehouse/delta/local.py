"""Where a table's folder lies on this machine, for those who read it without Spark's client."""

import os
from pathlib import Path

from lakehouse.engine.server import is_ours
from lakehouse.settings import settings


def local_folder(name: str) -> Path | None:
    """The folder of a table in our engine's warehouse; None where it has none, or another server is used.

    What stands in Delta's log is read from there in milliseconds, without a statement of Spark.
    """
    remote = os.environ.get("SPARK_REMOTE")
    # Before there is a session, nobody has named another server.
    if (remote and not is_ours(remote)) or settings().tables is not None:
        return None
    schema, _, table = name.partition(".")
    folder = settings().tables_dir / f"{schema}.db" / table
    # An engine that died while it made the table leaves a log without a commit: that is no table yet.
    return folder if any((folder / "_delta_log").glob("*.json")) else None
