"""Bronze: one asset per source, holding what was delivered for its days, each batch once."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg

from lakehouse.dbt.manifest import manifest
from lakehouse.engine.session import spark_session
from lakehouse.errors import LakehouseError
from lakehouse.ingest.database.plan import end_of
from lakehouse.ingest.declarations import load_sources
from lakehouse.ingest.delivery import file_name
from lakehouse.ingest.land import DELIVERIES, IngestReport, Refusal, ingest
from lakehouse.ingest.source import Source
from lakehouse.settings import settings
from orchestration.assets.landing import landing_key
from orchestration.owners import PIPELINES, as_owner
from orchestration.partitions import DAYS, ONE_RUN, days_of
from orchestration.table_metadata import column_schema, table_metadata
from orchestration.writing import writing

DELIVERIES_ACCEPTED = "deliveries_accepted"


def bronze_key(source: str) -> dg.AssetKey:
    """The asset of a source's bronze table."""
    return dg.AssetKey(["bronze", source])


def _bronze_spec(source: Source) -> dg.AssetSpec:
    return dg.AssetSpec(
        bronze_key(source.name),
        deps=[landing_key(source.name)],
        group_name="bronze",
        description=f"{source.description}\n\nAs delivered, append-only; every row names its file.",
        owners=[as_owner(source.owner)],
        kinds={"python", "spark", "deltalake"},
        metadata=column_schema({each.name: (each.type, each.description) for each in source.columns}),
        skippable=True,
        freshness_policy=freshness_of(source.name),
    )


def freshness_of(source: str) -> dg.FreshnessPolicy | None:
    """How fresh a source's table has to be, as dbt's YAML says it; None where it says nothing.

    >>> freshness_of("airports") is None
    True
    """
    for node in manifest()["sources"].values():
        if node["schema"] == "bronze" and node["identifier"] == source:
            declared = node.get("freshness") or {}
            warn, fail = (_span(declared.get(each)) for each in ("warn_after", "error_after"))
            if warn is None and fail is None:
                return None
            # Dagster wants a point of failure: three times as late as what is worth a warning.
            fail = fail or (warn or timedelta()) * 3
            return dg.FreshnessPolicy.time_window(fail_window=fail, warn_window=warn)
    return None


def _span(declared: Mapping[str, Any] | None) -> timedelta | None:
    if not declared or not declared.get("count"):
        return None
    return timedelta(**{f"{declared['period']}s": int(declared["count"])})


def _ledger_spec(sources: Iterable[str]) -> dg.AssetSpec:
    return dg.AssetSpec(
        bronze_key(DELIVERIES),
        deps=[landing_key(name) for name in sources],
        group_name="bronze",
        description="The ledger: each delivery that landed, its rows, and until when it reaches.",
        owners=[PIPELINES],
        kinds={"python", "spark", "deltalake"},
        skippable=True,
    )


def _accepted_spec(source: Source) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        DELIVERIES_ACCEPTED,
        asset=bronze_key(source.name),
        description="Every delivered file is what its source declares, and landed.",
    )


def bronze_assets() -> list[dg.AssetsDefinition]:
    """One asset per declared source, landed together: the ledger of deliveries then takes one commit."""
    sources = load_sources()

    @dg.multi_asset(
        name="bronze",
        specs=[*map(_bronze_spec, sources.values()), _ledger_spec(list(sources))],
        check_specs=[_accepted_spec(source) for source in sources.values()],
        partitions_def=DAYS,
        backfill_policy=ONE_RUN,
        can_subset=True,
    )
    def land(
        context: dg.AssetExecutionContext,
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        wanted = [name for name in sources if bronze_key(name) in context.selected_asset_keys]
        first, last = days_of(context)
        with writing(context):
            # Not the run's days alone: what an earlier run did not get to, and what came late, would be left.
            report = ingest(
                spark_session(),
                wanted or None,
                (first, last),
                also_pending=True,
                progress=context.log.info,
            )
        broken: list[Refusal] = []
        for name in wanted:
            refused = refused_of(sources[name], report.refused)
            asked = [each for each, day in refused.items() if day is not None and first <= day <= last]
            broken += asked
            yield dg.AssetCheckResult(
                asset_key=bronze_key(name),
                check_name=DELIVERIES_ACCEPTED,
                passed=not refused,
                metadata={"refused": [f"{each.file}: {each.reason}" for each in refused]},
            )
            if not asked:
                yield dg.MaterializeResult(asset_key=bronze_key(name), metadata=landed(name, report, last))
        if bronze_key(DELIVERIES) in context.selected_asset_keys:
            yield dg.MaterializeResult(
                asset_key=bronze_key(DELIVERIES), metadata=table_metadata(f"bronze.{DELIVERIES}")
            )
        # A file of another day, or of none, fails the check and not the run.
        if broken:
            raise LakehouseError(
                "; ".join(f"{each.file} was refused: {each.reason}" for each in broken),
                "have it delivered again, right; all other files have landed",
            )

    return [land]


def refused_of(source: Source, refused: Iterable[Refusal]) -> dict[Refusal, date | None]:
    """The refused files of a source, each with its day; None where the name says none."""
    if source.database is not None:
        return {each: None for each in refused if each.file == source.name}
    if source.stream is not None:
        # Of a topic it is the records, which are of no day.
        return {each: None for each in refused if each.file.split()[0] == source.stream.topic}
    found: dict[Refusal, date | None] = {}
    for each in refused:
        path = source.root(settings().landing_dir) / source.path
        # A refused file is named as `file_name` does.
        named = file_name(path, settings().landing_dir)
        if each.file.rpartition("/")[0] == named.rpartition("/")[0]:
            delivery = source.delivery(path.with_name(each.file.rpartition("/")[2]))
            found[each] = delivery.day if delivery is not None else None
    return found


def landed(source: str, report: IngestReport, last: date | None = None) -> dict[str, Any]:
    """What a materialization of a source's table says of what landed.

    Args:
        last: the run's last day; without one, a source is to have told everything until now.
    """
    zone = load_sources()[source].time_zone
    return table_metadata(f"bronze.{source}") | measured(source, report, end_of(last, zone) if last else None)


def measured(source: str, report: IngestReport, until: datetime | None) -> dict[str, int | float]:
    """Volume and lag of a source as numbers, which Dagster plots over its materializations.

    Args:
        until: when it is to have told everything, or now where that is earlier.
    """
    batches = [batch for batch in report.landed if batch.source == source]
    found: dict[str, int | float] = {
        "batches_landed": len(batches),
        "rows_landed": sum(batch.rows for batch in batches),
        "rows_set_aside": sum(batch.quarantined for batch in batches),
    }
    now = datetime.now(UTC)
    expected = now if until is None else min(until, now)
    for frontier in report.frontiers:
        if frontier.source == source and frontier.delivered_until is not None:
            behind = (expected - frontier.delivered_until).total_seconds() / 3600
            found["hours_behind"] = round(max(0.0, behind), 3)
    for lag in report.lags:
        if lag.source == source:
            found["rows_behind"] = lag.rows_behind
            # With nothing unread there is no age: the line falls to zero instead of ending.
            found["minutes_behind"] = lag.minutes_behind or 0.0
    return found
