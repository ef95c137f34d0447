"""dbt's models: one definition for each stretch between two gates, all partitioned by day.

One definition is one `dbt build`. A gate inside one would stop nothing in it: dbt goes on by its own graph.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster_dbt import dbt_assets

from expectations.gate import require_passed
from expectations.suite import Gate
from lakehouse.dbt.project import manifest
from lakehouse.engine.session import spark_session
from orchestration.partitions import DAYS, ONE_RUN, days_of
from orchestration.resources import EVERY_ROW, EngineDbt
from orchestration.translator import Translator

# dbt tag → the gates that must have passed before its models are built. Marts have none: they read what is
# published, and how good past scores were is worth seeing while a gate is red.
STRETCHES: dict[str, tuple[Gate, ...]] = {
    "features": ("bronze",),
    "training": ("features",),
    "marts": (),
}


def _dbt_definition(tag: str, gates: tuple[Gate, ...]) -> dg.AssetsDefinition:
    @dbt_assets(
        manifest=manifest(),
        select=f"tag:{tag}",
        exclude=EVERY_ROW,
        name=f"dbt_{tag}",
        dagster_dbt_translator=Translator(),
        partitions_def=DAYS,
        backfill_policy=ONE_RUN,
    )
    def build(context: dg.AssetExecutionContext, dbt: EngineDbt) -> Iterator[Any]:
        for gate in gates:
            require_passed(spark_session(), gate)
        yield from dbt.build(context, days_of(context))

    return build


def dbt_definitions() -> list[dg.AssetsDefinition]:
    """All models and seeds of the project, in the order in which a run builds them."""
    return [_dbt_definition(tag, gates) for tag, gates in STRETCHES.items()]
