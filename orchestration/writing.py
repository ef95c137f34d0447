"""Steps that write to production do so one at a time, whichever run, command or clone they belong to.

A step takes the lock, and not a run: what a step reads it looks up when it begins, so that other work may go
in between two steps, and a run does not keep the others waiting while a model trains.
"""

from collections.abc import Generator
from contextlib import contextmanager

import dagster as dg

from lakehouse.production import production
from orchestration.retries import MOST_RETRIES, may_pass, pause_seconds


@contextmanager
def writing(context: dg.AssetExecutionContext | dg.OpExecutionContext) -> Generator[None]:
    """Keep other writers out while a step writes; its log says for whom it waits.

    What may pass, such as an engine that died, is tried again after a while; what will not, such as a failed
    gate, is not.
    """
    operation = context.op_execution_context if isinstance(context, dg.AssetExecutionContext) else context
    try:
        with production(
            f"step {operation.op.name} of Dagster's run {context.run.run_id[:8]}", context.log.info
        ):
            yield
    except Exception as error:
        if not may_pass(error):
            raise
        raise dg.RetryRequested(MOST_RETRIES, pause_seconds(operation.retry_number)) from error
