"""Predictions: one asset per spec, the scores of a day's rows by the champion; a range in one go.

A spec without a champion scores nothing yet: its asset is skipped and says so, and the run goes on.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from expectations.gate import require_passed
from lakehouse.dbt.manifest import current_models
from lakehouse.dbt.predictions import declaration
from lakehouse.engine.session import spark_session
from ml.spec import Spec, load_spec, spec_names
from orchestration.assets.models import champion_key
from orchestration.column_lineage import show_column_lineage
from orchestration.owners import ML
from orchestration.partitions import DAYS, ONE_RUN, days_of
from orchestration.rescoring import days_to_score_again, described, features_metadata
from orchestration.run import SKIPPED
from orchestration.table_metadata import column_schema, show_rows_by_day, table_metadata
from orchestration.translator import published_key, table_key
from orchestration.writing import writing


def predictions_asset(spec: Spec) -> dg.AssetsDefinition:
    """The scores of a spec's champion."""
    key = table_key(spec.predictions_table)
    columns = declaration(current_models().node(spec.features_model)).columns

    @dg.asset(
        key=key,
        deps=[champion_key(spec), published_key(spec.features_model)],
        group_name="predictions",
        description=(
            f"{spec.description}: the champion's scores. Insert-only, each with the model and feature "
            "versions that made it; the same score twice is one row. Skipped as long as there is no champion."
        ),
        owners=[ML],
        kinds={"pytorch", "spark", "deltalake"},
        metadata=column_schema({each.name: (each.type, each.text) for each in columns}),
        partitions_def=DAYS,
        backfill_policy=ONE_RUN,
        output_required=False,
    )
    def score_days(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        # torch and MLflow take seconds to import, and whoever only looks at the graph doesn't need them.
        from ml.data.columns import columns_of
        from ml.monitoring.alarms import keep_reference
        from ml.scoring.score import score
        from ml.tracking.registry import CHAMPION, aliases

        if CHAMPION not in aliases(spec.registered_model):
            reason = (
                f"model {spec.registered_model} has no champion yet, so nothing is scored; "
                f"train it: `lakehouse train --spec {spec.name} --as-of DAY`"
            )
            context.log.warning(reason)
            context.log_event(dg.AssetObservation(key, metadata={SKIPPED: reason}))
            return
        require_passed(spark_session(), "features")
        with writing(context):
            again = days_to_score_again(context.instance, spec, days_of(context))
            asked, *corrected = [
                score(spark_session(), spec, first, last, progress=context.log.info)
                for first, last in (days_of(context), *again)
            ]
            if spec.monitoring.drift_model is not None:
                keep_reference(spark_session(), spec, CHAMPION, context.log.info)
        day = columns_of(current_models(), spec.features_model).partition
        show_column_lineage(context, key, asked.origins)
        show_rows_by_day(context, key, spec.predictions_table, day)
        yield dg.MaterializeResult(
            metadata={
                **table_metadata(spec.predictions_table),
                "rows_scored": asked.rows_scored,
                "rows_written": asked.rows_written,
                **({} if asked.not_due is None else {"not_due": asked.not_due}),
                **(
                    {
                        "scored_again": described(again),
                        "rows_scored_again": sum(each.rows_written for each in corrected),
                    }
                    if again
                    else {}
                ),
                "model_version": asked.model_version,
                **features_metadata(asked.features),
            }
        )

    return score_days


def predictions_assets() -> list[dg.AssetsDefinition]:
    """One asset per spec."""
    return [predictions_asset(load_spec(name)) for name in spec_names()]
