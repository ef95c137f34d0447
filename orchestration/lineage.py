"""Lineage events of a run: what each asset read and made, at which versions, when the run has ended."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from lakehouse.dbt.graph import table_of
from lakehouse.dbt.manifest import DbtModels, current_models
from lakehouse.dbt.notes import as_commits
from lakehouse.delta.files import local_description
from lakehouse.delta.table import local_commits
from lakehouse.lineage.openlineage import JobRun, Table, send
from lakehouse.settings import settings
from orchestration.column_lineage import origins_of

# So many of a table's newest commits are looked at: a run is told soon after its end.
_COMMITS = 20
_ENDED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE)


def job_runs(instance: dg.DagsterInstance, run_id: str, models: DbtModels | None = None) -> list[JobRun]:
    """The assets that a run materialized, as jobs.

    What a table of dbt's was made from, the note of its commit says, with versions; of any other asset, the
    graph says it, and the versions are those that its inputs had last.
    """
    found: dict[str, tuple[float, Mapping[str, Any]]] = {}
    for record in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION):
        event = record.dagster_event
        if event is None:
            continue
        made = event.step_materialization_data.materialization
        metadata = {name: value.value for name, value in made.metadata.items()}
        # A range of days is an event each: the last one has all.
        before = found.get(made.asset_key.to_user_string(), (0.0, {}))[1]
        found[made.asset_key.to_user_string()] = (record.timestamp, {**before, **metadata})
    versions = {key: _version(metadata) for key, (_, metadata) in found.items()}
    stats = instance.get_run_stats(run_id)
    started = None if stats.start_time is None else datetime.fromtimestamp(stats.start_time, UTC)
    parents = _parents()
    models = models or current_models()
    return [
        JobRun(
            job=key,
            run_id=run_id,
            inputs=tuple(_inputs(instance, models, key, parents.get(key, ()), versions)),
            outputs=(_output(key, versions[key], metadata),),
            outcome="COMPLETE",
            at=datetime.fromtimestamp(at, UTC),
            started_at=started,
        )
        for key, (at, metadata) in sorted(found.items())
    ]


def _parents() -> dict[str, tuple[str, ...]]:
    """What each asset of the graph is made from, without what only orders steps: gates are no tables."""
    from orchestration.definitions import defs

    graph = defs.resolve_asset_graph()
    return {
        node.key.to_user_string(): tuple(
            sorted(key.to_user_string() for key in node.parent_keys if key.path[0] != "gates")
        )
        for node in graph.asset_nodes
    }


def _inputs(
    instance: dg.DagsterInstance,
    models: DbtModels,
    key: str,
    parents: tuple[str, ...],
    versions: Mapping[str, int | None],
) -> Iterator[Table]:
    read = _noted(models, key, versions[key])
    for parent in read or parents:
        table = _table(parent)
        if read is not None:
            yield Table(table, read[parent])
        elif parent in versions:
            yield Table(table, versions[parent])
        else:
            last = instance.get_latest_materialization_event(dg.AssetKey.from_user_string(parent))
            made = None if last is None else last.asset_materialization
            known = {} if made is None else {name: value.value for name, value in made.metadata.items()}
            yield Table(table, _version(known))


def _noted(models: DbtModels, key: str, version: int | None) -> dict[str, int] | None:
    """The tables that a version of a dbt model was built from, with theirs; None of what is no such table.

    A build that finds no new day commits nothing, and maintenance commits without a note: the newest note up
    to that version counts.
    """
    table = _table(key)
    if version is None or all(table_of(node) != table for node in models):
        return None
    commits = as_commits(local_commits(table, _COMMITS) or [])
    note = next((each for each in commits if each.version <= version and each.note is not None), None)
    if note is None:
        return None
    read = {models.table_read(name): seen for name, seen in note.read.items() if seen is not None}
    return {name: int(seen["version"]) for name, seen in read.items() if name is not None} or None


def _output(key: str, version: int | None, metadata: Mapping[str, Any]) -> Table:
    described = local_description(_table(key))
    columns = (
        {} if described is None else {each.name: (each.type, each.comment) for each in described.columns}
    )
    return Table(_table(key), version, columns, origins_of(metadata))


def _table(key: str) -> str:
    return key.replace("/", ".")


def _version(metadata: Mapping[str, Any]) -> int | None:
    found = metadata.get("delta_version")
    return None if found is None else int(found)


def send_run(instance: dg.DagsterInstance, run_id: str) -> str | None:
    """Send the lineage of a run; gives why that did not work. Nothing without LAKEHOUSE_OPENLINEAGE_URL."""
    return None if settings().openlineage_url is None else send(job_runs(instance, run_id))


@dg.sensor(
    name="lineage_events",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Posts the lineage of runs that ended to LAKEHOUSE_OPENLINEAGE_URL, where that is set.",
)
def lineage_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Send what ended since the last look; where nobody takes it, say so and go on."""
    if settings().openlineage_url is None:
        return dg.SkipReason("LAKEHOUSE_OPENLINEAGE_URL is not set")
    cursor = context.cursor
    filters = dg.RunsFilter(
        statuses=list(_ENDED),
        updated_after=None if cursor is None else datetime.fromisoformat(cursor),
    )
    runs = context.instance.get_run_records(filters, limit=20, order_by="update_timestamp", ascending=True)
    if cursor is None:
        # From now on: what ended before anybody listened is history.
        newest = context.instance.get_run_records(filters, limit=1, order_by="update_timestamp")
        at = newest[0].update_timestamp if newest else datetime.fromtimestamp(0, UTC)
        return dg.SensorResult(skip_reason="listening from now on", cursor=at.isoformat())
    for told, record in enumerate(runs):
        said = send_run(context.instance, record.dagster_run.run_id)
        if said is not None:
            # Each may take the receiver's whole time-out, and this sensor has one, too: the others are lost.
            context.log.warning(f"{said}; {len(runs) - told} runs are not told")
            break
    return dg.SensorResult(
        skip_reason=f"{len(runs)} runs ended",
        cursor=runs[-1].update_timestamp.isoformat() if runs else cursor,
    )
