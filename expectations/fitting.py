"""Errors of a suite's own SQL, told with the table that it is about."""

from collections.abc import Generator
from contextlib import contextmanager

from pyspark.errors import AnalysisException, PySparkException

from lakehouse.errors import LakehouseError


@contextmanager
def fitting(table: str) -> Generator[None]:
    """Tell what the suite of a table expects that is not there."""
    try:
        yield
    except AnalysisException as error:
        told = str(error).strip().splitlines()[0]
        raise LakehouseError(
            f"the suite of {table} does not fit the table: {told}",
            "compare the columns it names with the table's",
        ) from error
    except PySparkException as error:
        told = str(error).strip().splitlines()[0]
        raise LakehouseError(
            f"{table}: its suite could not be computed: {told}",
            "look at the conditions of its suite, and at the columns' types",
        ) from error
