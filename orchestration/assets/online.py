"""The online store: one asset per table, pushed after its release; a check compares rows with the release.

Which tables are online stands in dbt's YAML (`lakehouse.online.tables`). A push writes what changed within
the time to live, however many days the run has.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from lakehouse.alerts import raise_alert, resolve
from lakehouse.dbt.manifest import current_models
from lakehouse.engine.server import is_foreign
from lakehouse.engine.session import spark_session
from lakehouse.online.store import SQLITE, OnlineStoreUnavailable
from lakehouse.online.tables import OnlineTable, online_tables
from lakehouse.settings import settings
from orchestration.owners import ML
from orchestration.partitions import DAYS, ONE_RUN
from orchestration.run import SKIPPED
from orchestration.translator import published_key
from orchestration.writing import writing

if TYPE_CHECKING:
    from lakehouse.online.compare import Comparison

CHECK_NAME = "same_as_published"
_CHECKED = "Rows of one day are online as they are published, to the bit; each release has its day."
DIFFERS = "online store differs"


def online_key(table: OnlineTable) -> dg.AssetKey:
    """The asset of a table's rows in the online store."""
    return dg.AssetKey(["online_store", table.model])


def _online_asset(table: OnlineTable) -> dg.AssetsDefinition:
    key = online_key(table)

    @dg.asset(
        key=key,
        deps=[published_key(table.name)],
        group_name="online",
        description=(
            f"The rows of `published.{table.model}` by {', '.join(table.entity)}, for the service: of the "
            "days within the time to live, those that the release changed are written, the rest stays."
        ),
        owners=[ML],
        kinds={"python", "spark"},
        partitions_def=DAYS,
        backfill_policy=ONE_RUN,
        output_required=False,
        check_specs=[dg.AssetCheckSpec(CHECK_NAME, asset=key, description=_CHECKED)],
    )
    def push_rows(
        context: dg.AssetExecutionContext,
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        from lakehouse.online.compare import compare
        from lakehouse.online.push import push

        if settings().online_store == SQLITE and is_foreign():
            reason = (
                "SQLite is a file of this machine, and SPARK_REMOTE's tasks run elsewhere: nothing is online"
            )
            context.log.warning(reason)
            context.log_event(dg.AssetObservation(key, metadata={SKIPPED: reason}))
            yield _checked(key, passed=False, metadata={"why": reason})
            return
        try:
            # No release comes between the push and the comparison.
            with writing(context):
                done = push(spark_session(), table, progress=context.log.info)
                found = compare(spark_session(), table)
        except OnlineStoreUnavailable as error:
            # It may be back in a minute; what is not pushed is pushed by the next run, or by hand.
            raise dg.RetryRequested(max_retries=3, seconds_to_wait=30) from error
        _tell(found)
        yield dg.MaterializeResult(
            metadata={
                "release": done.release_id,
                "delta_table_id": done.table.table_id,
                "delta_version": done.table.version,
                "rows": done.rows,
                "rows_removed": done.removed,
                "days": ", ".join(done.days) or "nothing changed",
                "seconds": round(done.seconds, 2),
                **({} if done.lag_seconds is None else {"lag_seconds": round(done.lag_seconds, 1)}),
            }
        )
        yield _checked(
            key,
            passed=found.is_same,
            severity=dg.AssetCheckSeverity.ERROR,
            metadata={
                "day": found.day or "the table has no row",
                "rows_compared": found.rows,
                "rows_that_differ": found.differing,
                "release": found.release_id,
                "release_online": found.online_release_id or "none",
                "differences": dg.MarkdownMetadataValue(
                    "\n".join(f"- {each}" for each in found.examples) or "none"
                ),
            },
        )

    return push_rows


def _checked(
    key: dg.AssetKey,
    *,
    passed: bool,
    metadata: dict[str, Any],
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.WARN,
) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=key, check_name=CHECK_NAME, passed=passed, severity=severity, metadata=metadata
    )


def _tell(found: "Comparison") -> None:
    """People are told of a store that holds other rows than the release, until it no longer does."""
    if found.is_same:
        resolve(DIFFERS, found.table.name)
    else:
        what = f"{found.differing} of {found.rows} rows of {found.day} differ from {found.table}"
        raise_alert(DIFFERS, found.table.name, "; ".join([what, *found.examples]))


def online_assets() -> Sequence[dg.AssetsDefinition]:
    """The rows of each table that is online."""
    return [_online_asset(table) for table in online_tables(current_models())]
