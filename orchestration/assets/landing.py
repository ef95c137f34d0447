"""The landing zone: files that others deliver. The graph observes them, and never writes them."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from datetime import date

import dagster as dg

from lakehouse.ingest.source import Delivery, Source, load_sources
from lakehouse.settings import settings
from orchestration.owners import as_owner
from orchestration.partitions import FIRST_DAY, LAST_DAY
from orchestration.table_metadata import column_schema


def landing_key(source: str) -> dg.AssetKey:
    """The asset of a source's files."""
    return dg.AssetKey(["landing", source])


def deliveries_by_day(source: Source) -> dict[date, list[Delivery]]:
    """The files of a source that lie in the landing zone, by local day."""
    found: defaultdict[date, list[Delivery]] = defaultdict(list)
    for delivery in source.deliveries(settings().landing_dir):
        if delivery.day >= FIRST_DAY and (LAST_DAY is None or delivery.day <= LAST_DAY):
            found[delivery.day].append(delivery)
    return dict(found)


def digest(deliveries: list[Delivery]) -> str:
    """Names, sizes and times of files as one short text, which changes when any of them does."""
    seen = hashlib.sha256()
    for delivery in sorted(deliveries, key=lambda each: each.batch_id):
        status = delivery.path.stat()
        seen.update(f"{delivery.batch_id} {status.st_size} {status.st_mtime_ns}\n".encode())
    return seen.hexdigest()[:16]


def landing_assets() -> list[dg.AssetsDefinition]:
    """One observed asset a declared source; an observation lists folders, and needs no engine."""
    sources = load_sources()

    @dg.multi_observable_source_asset(
        name="landing", specs=[_spec(source) for source in sources.values()], can_subset=True
    )
    def observe(context: dg.AssetExecutionContext) -> Iterator[dg.ObserveResult]:
        for name, source in sources.items():
            if landing_key(name) in context.selected_asset_keys:
                yield _observed(source)

    return [observe]


def _spec(source: Source) -> dg.AssetSpec:
    return dg.AssetSpec(
        landing_key(source.name),
        group_name="landing",
        description=f"{source.description}\n\nFiles `{source.files}` in the landing zone.",
        owners=[as_owner(source.owner)],
        kinds={"file", "json" if source.format == "jsonl" else source.format},
        metadata={
            "arrives": source.arrives,
            "time_zone": source.time_zone,
            **column_schema({each.name: (each.type, each.description) for each in source.columns}),
        },
    )


def _observed(source: Source) -> dg.ObserveResult:
    by_day = deliveries_by_day(source)
    files = [delivery for found in by_day.values() for delivery in found]
    days = {"first_day": min(by_day).isoformat(), "last_day": max(by_day).isoformat()} if by_day else {}
    return dg.ObserveResult(
        asset_key=landing_key(source.name),
        data_version=dg.DataVersion(digest(files)),
        metadata={"files": len(files), "days": len(by_day), **days},
    )
