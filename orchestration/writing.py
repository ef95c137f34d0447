"""Steps that write to production do so one at a time, whichever run, command or clone they belong to.

A step takes the lock, and not a run: what a step reads it looks up when it begins, so that other work may go
in between two steps, and a run does not keep the others waiting while a model trains.
"""

from collections.abc import Generator
from contextlib import contextmanager

import dagster as dg

from lakehouse.production import production


@contextmanager
def writing(context: dg.AssetExecutionContext) -> Generator[None]:
    """Keep other writers out while a step writes; its log says for whom it waits."""
    step = context.op_execution_context.op.name
    with production(f"step {step} of Dagster's run {context.run.run_id[:8]}", context.log.info):
        yield
