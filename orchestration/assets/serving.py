"""What was scored online: the service's journal, put into Delta before the day's scores and their quality."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from lakehouse.dbt.manifest import current_models
from lakehouse.engine.session import spark_session
from lakehouse.online.store import OnlineStoreUnavailable, open_store
from ml.spec import Spec, load_spec, spec_names
from orchestration.owners import ML
from orchestration.table_metadata import table_metadata
from orchestration.translator import table_key
from orchestration.writing import writing

if TYPE_CHECKING:
    from ml.serving.flush import Flushed

# The table that `ml.serving.flush` writes.
SCORES = table_key("serving.scores")


def serving_assets() -> list[dg.AssetsDefinition]:
    """One asset: all services write into one journal."""
    specs = [load_spec(name) for name in spec_names()]

    @dg.asset(
        key=SCORES,
        group_name="serving",
        description=(
            "Every score that `lakehouse serve` made, moved here from its journal, each once. Entities' "
            "scores are predictions as well, so that quality and explanations cover them."
        ),
        owners=[ML],
        kinds={"spark", "deltalake"},
    )
    def flush_journal(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        # torch takes seconds to import, and whoever only looks at the graph doesn't need it.
        from ml.serving.flush import TABLE, flush

        with writing(context):
            done = flush(spark_session(), specs, current_models(), context.log.info)
        return dg.MaterializeResult(
            metadata={
                **_described(done),
                **_releases(specs),
                **(table_metadata(TABLE) if done.read else {}),
            }
        )

    return [flush_journal]


def _described(done: "Flushed") -> dict[str, Any]:
    """Rows and latency of a flush; the lag is how long the oldest score has waited for it."""
    waited = {} if done.oldest is None else {"lag_seconds": (datetime.now(UTC) - done.oldest).total_seconds()}
    latency = (
        {} if done.p50_ms is None or done.p99_ms is None else {"p50_ms": done.p50_ms, "p99_ms": done.p99_ms}
    )
    return {
        "rows_read": done.read,
        "rows_merged": done.logged,
        **{f"new_in_{table}": rows for table, rows in done.predictions.items()},
        "segments_removed": done.segments_removed,
        "segments_still_written": done.segments_left,
        **({"releases_scored": ", ".join(done.releases)} if done.releases else {}),
        **waited,
        **latency,
    }


def _releases(specs: list[Spec]) -> dict[str, Any]:
    """The release of each table of features that the online store has."""
    models = current_models()
    tables = sorted({models.table(spec.features_model) for spec in specs})
    store = open_store()
    try:
        return {f"online_release_of_{table}": store.release(table) or "none" for table in tables}
    except OnlineStoreUnavailable as error:
        return {"online_store": error.what}
    finally:
        store.close()
