"""A session's clone for a while: the same tables, views and rows, with settings that nobody else meets."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

from pyspark.sql.connect.dataframe import DataFrame as ConnectDataFrame
from pyspark.sql.connect.session import SparkSession as ConnectSession
from pyspark.sql.dataframe import DataFrame


@contextmanager
def with_settings(rows: DataFrame, values: Mapping[str, str]) -> Generator[DataFrame]:
    """The same rows in a clone of their session with other settings, which ends with the block.

    No other thread's statements run with these settings, as they would in the rows' own session. Only for
    reading: nobody interrupts the clone where this process is killed. It knows temporary views and local
    rows, but no frame that `localCheckpoint` keeps.
    """
    session: Any = rows.sparkSession
    plan: Any = rows._plan  # pyright: ignore[reportAttributeAccessIssue]
    clone: ConnectSession = session.cloneSession()
    try:
        for key, value in values.items():
            clone.conf.set(key, value)
        # As with the session: one interface, but no base class that a type checker sees.
        yield ConnectDataFrame(plan, clone)  # pyright: ignore[reportReturnType]
    finally:
        try:
            release(clone)
        finally:
            clone.client.close()


def release(session: ConnectSession) -> None:
    """Interrupt what a session runs, and close it.

    Spark fails to close a session whose interrupted statement has not noted its end yet; such a session holds
    nothing any more, and goes by Spark's own timeout.
    """
    if not session.interruptAll():
        session.client.release_session()
