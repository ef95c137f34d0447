"""The landing zone: files that others deliver. The graph observes them, and never writes them."""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg
from dagster._core.definitions.data_version import DATA_VERSION_TAG

from lakehouse.ingest.complete import look
from lakehouse.ingest.declarations import load_sources
from lakehouse.ingest.delivery import Delivery
from lakehouse.ingest.source import Source
from lakehouse.settings import settings
from orchestration.owners import as_owner
from orchestration.partitions import graph_days
from orchestration.state import by_day, digest, names_of
from orchestration.table_metadata import column_schema

# Files of days that the graph does not have; LAKEHOUSE_FIRST_DAY and LAKEHOUSE_LAST_DAY say which it has.
OUTSIDE = "outside_the_graph"


def landing_key(source: str) -> dg.AssetKey:
    """The asset of a source's files."""
    return dg.AssetKey(["landing", source])


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
        description=f"{source.description}\n\n{_where(source)}",
        owners=[as_owner(source.owner)],
        kinds=_kinds(source),
        metadata={
            "arrives": source.arrives,
            "time_zone": source.time_zone,
            **column_schema({each.name: (each.type, each.description) for each in source.columns}),
        },
    )


def _where(source: Source) -> str:
    if source.stream is not None:
        return f"Topic `{source.stream.topic}`."
    return "Rows of a database." if source.database else f"Files `{source.files}` in the landing zone."


def _kinds(source: Source) -> set[str]:
    if source.database is not None:
        return {"database"}
    if source.stream is not None:
        return {"kafka", source.stream.value}
    return {"file", "json" if source.format == "jsonl" else source.suffix.removeprefix(".")}


def _observed(source: Source) -> dg.ObserveResult:
    metadata, version = _seen(source.deliveries(settings().landing_dir))
    return dg.ObserveResult(asset_key=landing_key(source.name), data_version=version, metadata=metadata)


def observation(source: str, files: Sequence[Delivery]) -> dg.AssetObservation:
    """What lies there of a source, as an event that belongs to no run."""
    metadata, version = _seen(files)
    return dg.AssetObservation(landing_key(source), metadata=metadata, tags={DATA_VERSION_TAG: version.value})


def _seen(found: Sequence[Delivery]) -> tuple[dict[str, Any], dg.DataVersion]:
    first, last = graph_days()
    inside = [each for each in found if first <= each.day <= last]
    outside = [each for each in found if not first <= each.day <= last]
    days = sorted(by_day(inside))
    metadata: dict[str, Any] = {
        "files": len(inside),
        "bytes": sum(look(each.path).size for each in inside),
        "days": len(days),
        **({"first_day": days[0].isoformat(), "last_day": days[-1].isoformat()} if days else {}),
        **({OUTSIDE: names_of(outside)} if outside else {}),
    }
    return metadata, dg.DataVersion(digest(inside))
