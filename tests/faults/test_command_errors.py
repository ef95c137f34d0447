"""An error of Spark in the middle of a command, as its user and a program see it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_an_error_of_spark_is_a_message_with_an_exit_code_of_its_own(
    spark, schema: str, options: list[str]
) -> None:
    """A version that never was: Delta refuses it when the view is made."""
    spark.sql("create schema if not exists bronze")
    spark.sql(f"create table {schema}.pinned using delta as select 1 as id")
    arguments = [f"{schema}_past", "--select", "us_holidays", "--pin", f"{schema}.pinned@99"]
    done = subprocess.run(
        [Path(sys.executable).with_name("lakehouse"), "time-travel", *arguments, *options],
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 4, done.stderr
    assert "DELTA_VERSION_NOT_FOUND" in done.stderr
    for stack in ("Traceback", "JVM stacktrace", "org.apache.spark.sql", "\n+- "):
        assert stack not in done.stderr
    if options:
        assert "DELTA_VERSION_NOT_FOUND" in json.loads(done.stdout)["error"]["what"]
    else:
        assert done.stdout == ""
    assert not spark.catalog.databaseExists(f"{schema}_past"), "what was begun is taken away"
