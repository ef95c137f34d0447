"""What may pass, and is tried again: an engine that died, and another writer that came first."""

from dagster_dbt.errors import DagsterDbtCliRuntimeError
from grpc import RpcError
from pyspark.errors import PySparkException

from lakehouse.delta.table import is_conflict
from lakehouse.engine import server
from lakehouse.errors import LakehouseError

MOST_RETRIES = 3
_FIRST_PAUSE_SECONDS = 10
_LONGEST_PAUSE_SECONDS = 300


def may_pass(error: BaseException) -> bool:
    """Whether what failed may succeed when it is done again as it is.

    A refusal (`LakehouseError`) says what a person has to do. What Spark says passes where another writer
    came first, or where there is no engine any more to say it; dbt's failure, where its engine is gone.
    """
    if isinstance(error, LakehouseError):
        return False
    if isinstance(error, PySparkException) and is_conflict(error):
        return True
    return isinstance(error, PySparkException | RpcError | DagsterDbtCliRuntimeError) and is_gone()


def is_gone() -> bool:
    """Whether no engine of ours answers any more; the next step starts one."""
    if server.is_foreign():
        return False
    try:
        return server.running() is None
    except LakehouseError:
        # One lives that cannot be read: a person has to look.
        return False


def pause_seconds(retry: int) -> int:
    """How long to wait before a retry.

    Args:
        retry: how many there were before it.

    >>> [pause_seconds(number) for number in (0, 1, 2, 9)]
    [10, 40, 160, 300]
    """
    return min(_FIRST_PAUSE_SECONDS * 4**retry, _LONGEST_PAUSE_SECONDS)
