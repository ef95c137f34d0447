"""The gates: each checks what was just built, and publishes it only then.

`gates/NAME` runs Great Expectations and fails when something failed; `published/TABLE` releases what passed.
The gate's state is in Delta (`lakehouse.gate_results`): it stops the next run too. Asset checks only show it.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import dagster as dg

from expectations.gate import GateOutcome, SuiteResult, check, release
from expectations.suite import Gate
from expectations.suites import suites_of
from lakehouse.addresses import data_docs
from lakehouse.dbt.manifest import manifest
from lakehouse.engine.session import spark_session
from orchestration.column_lineage import same_columns, show_column_lineage
from orchestration.owners import PIPELINES
from orchestration.partitions import DAYS, ONE_RUN, days_of, each_day
from orchestration.requirements import require
from orchestration.translator import published_key, table_key
from orchestration.writing import writing

CHECK_NAME = "great_expectations"

# Bronze is read as it is: it has nothing to publish.
_PUBLISHING: tuple[Gate, ...] = ("features", "training")


def gate_key(gate: Gate) -> dg.AssetKey:
    """The asset of a gate's check."""
    return dg.AssetKey(["gates", gate])


def tables_of(gate: Gate) -> list[str]:
    """The tables that a gate checks, `schema.table`."""
    return [suite.table for suite in suites_of(gate)]


def _gate(gate: Gate) -> dg.AssetsDefinition:
    tables = tables_of(gate)

    # The checks belong to the tables, and a selection of a table takes its checks along: the gate can be
    # asked for them alone.
    @dg.multi_asset(
        name=f"gate_{gate}",
        specs=[
            dg.AssetSpec(
                gate_key(gate),
                deps=[table_key(table) for table in tables],
                group_name="gates",
                description=(
                    f"Great Expectations on the {gate} tables as they are now. What it found is in "
                    "`lakehouse.gate_results` and in Data Docs; when anything failed, nothing after it goes "
                    "on, in this run or a later one, until it passes or `lakehouse override` lets it through."
                ),
                owners=[PIPELINES],
                kinds={"python", "greatexpectations"},
            )
        ],
        check_specs=[
            dg.AssetCheckSpec(
                CHECK_NAME,
                asset=table_key(table),
                description=f"The {gate} gate's suite of {table}.",
            )
            for table in tables
        ],
        partitions_def=DAYS,
        backfill_policy=ONE_RUN,
        can_subset=True,
        allow_arbitrary_check_specs=True,
    )
    def run(context: dg.AssetExecutionContext) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[Any]]:
        first, last = days_of(context)
        whole = gate_key(gate) in context.selected_asset_keys
        # The checks of some tables may be there alone, taken along by a selection of these.
        wanted = {
            table
            for table in tables
            if whole or dg.AssetCheckKey(table_key(table), CHECK_NAME) in context.selected_asset_check_keys
        }
        with writing(context):
            outcome = check(spark_session(), gate, each_day((first, last)), context.run.run_id, wanted)
        yield from _check_results(outcome, wanted)
        require(spark_session(), gate, wanted)
        if whole:
            yield dg.MaterializeResult(
                asset_key=gate_key(gate),
                metadata={"suites": len(outcome.results), "days": f"{first} … {last}"},
            )

    return run


def _check_results(outcome: GateOutcome, tables: Collection[str]) -> Iterator[dg.AssetCheckResult]:
    for result in outcome.results:
        if result.table.name in tables:
            yield dg.AssetCheckResult(
                asset_key=table_key(result.table.name),
                check_name=CHECK_NAME,
                passed=result.passed,
                metadata=_shown(result),
            )


def _shown(result: SuiteResult) -> dict[str, Any]:
    """What the UI shows of a suite's result. A ranged run's checks have no partition: the days stand here."""
    return {
        "days": f"{min(result.days)} … {max(result.days)}" if result.days else "the whole table",
        "delta_table_id": result.table.table_id,
        "delta_version": result.table.version,
        "rows": result.rows,
        "expectations": result.expectations,
        "failures": dg.MetadataValue.md("\n".join(f"- {failure}" for failure in result.failures) or "none"),
        "data_docs": dg.MetadataValue.url(data_docs(result.docs_url)),
    }


def published_tables_of(gate: Gate) -> list[str]:
    """The tables of a gate whose publication others wait for: those that no other table of the gate reads.

    All tables of the gate are published at once; the others' views have no asset of their own, as nothing in
    the graph stands on them.
    """
    nodes = {
        f"{node['schema']}.{node['alias']}": node
        for node in manifest()["nodes"].values()
        if node["resource_type"] == "model"
    }
    tables = tables_of(gate)
    read_within = {parent for table in tables for parent in nodes[table]["depends_on"]["nodes"]}
    return [table for table in tables if nodes[table]["unique_id"] not in read_within]


def _publication(gate: Gate) -> dg.AssetsDefinition:
    tables = published_tables_of(gate)

    @dg.multi_asset(
        name=f"publish_{gate}",
        specs=[
            dg.AssetSpec(
                published_key(table),
                deps=[gate_key(gate), table_key(table)],
                group_name="published",
                description=(
                    f"`published.{table.split('.')[-1]}`: the version of `{table}` that passed the {gate} "
                    "gate, which training, scoring and dashboards read."
                ),
                owners=[PIPELINES],
                kinds={"spark", "view"},
            )
            for table in tables
        ],
        partitions_def=DAYS,
        backfill_policy=ONE_RUN,
    )
    def publish(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        with writing(context):
            released = release(spark_session(), gate, context.run.run_id)
        for version in released:
            if version.name in tables:
                same = same_columns(version.name)
                show_column_lineage(context, published_key(version.name), same)
                yield dg.MaterializeResult(
                    asset_key=published_key(version.name),
                    metadata={
                        "delta_table_id": version.table_id,
                        "delta_version": version.version,
                        "dagster/table_name": f"published.{version.name.split('.')[-1]}",
                    },
                )

    return publish


def gate_assets() -> Sequence[dg.AssetsDefinition]:
    """The checks of all gates, and the releases of those that publish."""
    checks: list[Gate] = ["bronze", "features", "training"]
    return [*map(_gate, checks), *map(_publication, _PUBLISHING)]
