"""Bronze: one asset per source, holding what was delivered for its days, each batch once."""

from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg

from lakehouse.engine.session import spark_session
from lakehouse.errors import LakehouseError
from lakehouse.ingest.land import DELIVERIES, IngestReport, Refusal, ingest
from lakehouse.ingest.source import Source, load_sources
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
    )


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
                yield dg.MaterializeResult(asset_key=bronze_key(name), metadata=_landed(name, report))
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
    found: dict[Refusal, date | None] = {}
    for each in refused:
        path = Path(each.file)
        # A refused file is named by its path below the landing zone.
        if path.parent == Path(source.files).parent:
            delivery = source.delivery(path)
            found[each] = delivery.day if delivery is not None else None
    return found


def _landed(source: str, report: IngestReport) -> dict[str, Any]:
    batches = [batch for batch in report.landed if batch.source == source]
    return {
        **table_metadata(f"bronze.{source}"),
        "batches_landed": len(batches),
        "rows_landed": sum(batch.rows for batch in batches),
    }
