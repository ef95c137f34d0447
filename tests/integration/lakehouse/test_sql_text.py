"""Text of users stands in SQL as it is: quotes, escapes and Spark's own `${…}` change nothing of it."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from lakehouse.delta.table import sql_text

PIECES = [
    "'",
    '"',
    "\\",
    "\\'",
    "--",
    "/*",
    "*/",
    ";",
    "`",
    "\n",
    "\r\n",
    "\t",
    "\0",
    "\\u0027",
    "\\47",
    "%",
    "_",
]
VARIABLES = ["${spark.app.name}", "${env:PATH}", "${system:user.dir}", "$", "${", "}", "{{", "\\${env:PATH}"]
TEXTS = st.lists(st.sampled_from([*PIECES, *VARIABLES]) | st.text(max_size=3), max_size=6).map("".join)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(TEXTS, min_size=50, max_size=50))
def test_a_text_comes_back_from_sql_as_it_was(spark: SparkSession, texts: list[str]) -> None:
    texts = [*texts, *VARIABLES, *PIECES]
    row = spark.sql(f"select array({', '.join(map(sql_text, texts))}) as texts").first()
    assert row is not None and row["texts"] == texts


def test_the_engine_puts_no_variable_of_its_environment_into_sql(spark: SparkSession) -> None:
    row = spark.sql("select '${env:PATH}' as path, '${spark.app.name}' as name").first()
    assert row is not None and tuple(row) == ("${env:PATH}", "${spark.app.name}")


def test_text_is_safe_on_an_engine_that_would(spark: SparkSession) -> None:
    spark.conf.set("spark.sql.variable.substitute", "true")
    try:
        row = spark.sql(f"select {sql_text('${env:PATH}')} as safe, '${{env:PATH}}' as not_safe").first()
    finally:
        spark.conf.unset("spark.sql.variable.substitute")
    assert row is not None and row["safe"] == "${env:PATH}" != row["not_safe"]
