"""OpenLineage events: a job read tables at versions and made tables at versions; posted to one receiver.

They are made from our own knowledge, versions and all, as Spark's listener loses columns of most statements
and names files. A receiver that is away never stops a build: what could not be sent is said, and is lost.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from lakehouse.settings import settings

if TYPE_CHECKING:
    from openlineage.client.event_v2 import RunEvent

    from lakehouse.lineage.columns import Origin

# Where events say that they come from; it is a name, and nothing is loaded from there.
PRODUCER = "urn:lakehouse:lineage"
_SECONDS = 5.0


@dataclass(frozen=True)
class Table:
    """A table that a job read or made.

    Args:
        name: `schema.table`.
        version: Delta's; None of a view, or where it is not known.
        columns: name to type and description, of a table that was made.
        origins: its columns, each with the tables and columns that it comes from, where that is known.
    """

    name: str
    version: int | None = None
    columns: Mapping[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    origins: "Mapping[str, Sequence[Origin]]" = field(default_factory=dict[str, "Sequence[Origin]"])


@dataclass(frozen=True)
class JobRun:
    """A job of a run, with what it read and made.

    Args:
        job: its name; of an asset, its key.
        run_id: of the run that the job was a part of, in Dagster.
        outcome: how it ended.
        at: when, UTC.
    """

    job: str
    run_id: str
    inputs: tuple[Table, ...]
    outputs: tuple[Table, ...]
    outcome: Literal["COMPLETE", "FAIL"]
    at: datetime
    started_at: datetime | None = None


def job_run_id(run: JobRun) -> str:
    """The same run of a job is the same again, so that an event that is sent twice is one."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"lakehouse:{run.run_id}:{run.job}"))


def events(runs: Sequence[JobRun]) -> "list[RunEvent]":
    """Start and end of each job, as OpenLineage has them."""
    from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
    from openlineage.client.facet_v2 import parent_run, set_producer

    set_producer(PRODUCER)
    namespace = settings().openlineage_namespace
    made: list[RunEvent] = []
    for run in runs:
        parent = parent_run.ParentRunFacet(
            run=parent_run.Run(runId=run.run_id),
            job=parent_run.Job(namespace=namespace, name="dagster"),
        )
        inputs = [InputDataset(namespace, each.name, facets=_facets(each)) for each in run.inputs]
        outputs = [OutputDataset(namespace, each.name, facets=_facets(each)) for each in run.outputs]
        for state, at in (("START", run.started_at or run.at), (run.outcome, run.at)):
            made.append(
                RunEvent(
                    eventTime=at.astimezone(UTC).isoformat(),
                    producer=PRODUCER,
                    run=Run(runId=job_run_id(run), facets={"parent": parent}),
                    job=Job(namespace=namespace, name=run.job),
                    eventType=RunState[state],
                    inputs=inputs,
                    outputs=outputs if state != "START" else [],
                )
            )
    return made


def _facets(table: Table) -> dict[str, Any]:
    from openlineage.client.facet_v2 import (
        column_lineage_dataset,
        dataset_version_dataset,
        schema_dataset,
    )

    facets: dict[str, Any] = {}
    if table.version is not None:
        facets["version"] = dataset_version_dataset.DatasetVersionDatasetFacet(
            datasetVersion=str(table.version)
        )
    if table.columns:
        fields = [
            schema_dataset.SchemaDatasetFacetFields(name=name, type=kind, description=text or None)
            for name, (kind, text) in table.columns.items()
        ]
        facets["schema"] = schema_dataset.SchemaDatasetFacet(fields=fields)
    if table.origins:
        facets["columnLineage"] = column_lineage_dataset.ColumnLineageDatasetFacet(
            fields={
                name: column_lineage_dataset.Fields(
                    inputFields=[
                        column_lineage_dataset.InputField(settings().openlineage_namespace, origin, column)
                        for origin, column in found
                    ]
                )
                for name, found in table.origins.items()
            }
        )
    return facets


def send(runs: Sequence[JobRun]) -> str | None:
    """Post the events of some jobs; nothing without the setting LAKEHOUSE_OPENLINEAGE_URL.

    Returns:
        why some could not be sent; None where all were, or none is wanted.
    """
    url = settings().openlineage_url
    if url is None or not runs:
        return None
    import requests
    from openlineage.client import OpenLineageClient
    from openlineage.client.transport.http import HttpConfig, HttpTransport

    config = HttpConfig.from_dict({"type": "http", "url": url, "timeout": _SECONDS, "retry": {"total": 0}})
    client = OpenLineageClient(transport=HttpTransport(config))
    made = events(runs)
    for number, event in enumerate(made):
        try:
            client.emit(event)
        except requests.RequestException as error:
            # The first failure is the last try: each would wait as long.
            return f"{len(made) - number} of {len(made)} lineage events were not taken by {url}: {error}"
    return None
