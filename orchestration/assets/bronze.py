"""Bronze: one asset a source, holding what was delivered for its days, each batch once."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg

from lakehouse.engine.session import spark_session
from lakehouse.errors import LakehouseError
from lakehouse.ingest.land import DELIVERIES, IngestReport, ingest
from lakehouse.ingest.source import Source, load_sources
from orchestration.assets.landing import landing_key
from orchestration.owners import PIPELINES, as_owner
from orchestration.partitions import DAYS, ONE_RUN, days_of
from orchestration.table_metadata import column_schema, table_metadata

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
    """One asset a declared source, landed together: the ledger of deliveries then takes one commit."""
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
        report = ingest(
            spark_session(), wanted or None, days_of(context), also_pending=True, progress=context.log.info
        )
        for name in wanted:
            # A refused file is named by its path below the landing zone.
            folder = Path(sources[name].files).parent
            refused = [each for each in report.refused if Path(each.file).parent == folder]
            yield dg.AssetCheckResult(
                asset_key=bronze_key(name),
                check_name=DELIVERIES_ACCEPTED,
                passed=not refused,
                metadata={"refused": [f"{each.file}: {each.reason}" for each in refused]},
            )
            if not refused:
                yield dg.MaterializeResult(asset_key=bronze_key(name), metadata=_landed(name, report))
        if bronze_key(DELIVERIES) in context.selected_asset_keys:
            yield dg.MaterializeResult(
                asset_key=bronze_key(DELIVERIES), metadata=table_metadata(f"bronze.{DELIVERIES}")
            )
        if report.refused:
            raise LakehouseError(
                "; ".join(f"{each.file} was refused: {each.reason}" for each in report.refused),
                "have it delivered again, right; all other files have landed",
            )

    return [land]


def _landed(source: str, report: IngestReport) -> dict[str, Any]:
    batches = [batch for batch in report.landed if batch.source == source]
    return {
        **table_metadata(f"bronze.{source}"),
        "batches_landed": len(batches),
        "rows_landed": sum(batch.rows for batch in batches),
    }
