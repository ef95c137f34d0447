"""A query's rows in one round trip."""

from typing import cast

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.connect.dataframe import DataFrame as ConnectFrame
from pyspark.sql.connect.plan import SQL, SubqueryAlias
from pyspark.sql.connect.session import SparkSession as ConnectSession
from pyspark.sql.connect.sql_formatter import SQLStringFormatter


def query(spark: SparkSession, sql: str, **frames: DataFrame) -> DataFrame:
    """What `spark.sql` gives for a query: this one is analysed with what is asked of it, and not once before.

    `spark.sql` sends each statement at once, as it may be a command. So this is for queries alone, and an
    error of theirs comes when rows are asked for.

    Args:
        frames: each stands in the SQL as `{name}`.
    """
    session = cast(ConnectSession, spark)
    formatter = SQLStringFormatter(session)
    text = formatter.format(sql, **frames) if frames else sql
    # As `spark.sql` has them.
    views = [
        SubqueryAlias(frame._plan, name)  # pyright: ignore[reportPrivateUsage]
        for frame, name in formatter._temp_views  # pyright: ignore[reportPrivateUsage]
    ]
    return ConnectFrame(SQL(text, [], {}, views), session)
