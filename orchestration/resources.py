"""dbt as a resource of the graph: the same command line that analysts use, on the same engine."""

import json
import os
import re
import shutil
import signal
import sys
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliResource
from dagster_dbt.errors import DagsterDbtCliRuntimeError
from packaging.version import Version

from lakehouse.dbt.manifest import manifest
from lakehouse.dbt.project import FEW_DAYS, PROD_TARGET_DIR
from lakehouse.engine.session import connect_environment
from lakehouse.settings import PROJECT_ROOT, settings
from orchestration.column_lineage import show_model_lineage
from orchestration.gated_tests import left_to_gates
from orchestration.partitions import days_of_run
from orchestration.table_metadata import show_rows_by_day, table_metadata

# A run with this tag, set to "true", makes the tables that it builds anew: after a change of SQL or columns.
FULL_REFRESH_TAG = "lakehouse/full_refresh"
# Steps of the graph whose dbt artifacts stay, to look at: about three weeks of days.
KEPT_STEPS = 60
# A run that is asked for no more days than these is a short one.
SHORT_DAYS = 8
# What is a Delta table.
_TABLES = ("incremental", "table", "snapshot", "seed")


def left_out() -> str:
    """The data tests that the graph does not run, as dbt selects them."""
    # Tests of views and seeds as a whole are for development, where `dbt build` runs them.
    return " ".join(["tag:every_row", *left_to_gates(manifest())])


class EngineDbt(DbtCliResource):
    """`dbt build` in a process of its own, against the running engine.

    The engine's address and token reach dbt by the environment; the plugin `dbt_lakehouse` finds it by them.
    """

    @cached_property
    def _cli_version(self) -> Version:
        # The stock way starts `dbt --version`, which takes seconds and asks PyPI for a newer one.
        return Version(metadata.version("dbt-core"))

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> Any:
        # The stock way parses the project's macros in this process, to ask the adapter for row counts and
        # columns later. Ours come from Delta's log.
        return None

    def build(self, context: dg.AssetExecutionContext) -> Iterator[Any]:
        """Build and test the selected models; yields dagster-dbt's events, tables described.

        The run's days ask for nothing here: what is computed is what was reached. Unit tests are left to
        development: they look at SQL, not at data. Where another writer came first, the build is done again,
        once: what has committed finds nothing to do then.
        """
        told: set[str] = set()
        try:
            yield from self._build(context, told)
        except DagsterDbtCliRuntimeError:
            failed = _run_results(self.target_path_of(context))
            if not lost_to_another_writer(failed):
                raise
            context.log.warning("another writer came first: what failed is built again, once")
            yield from self._build(context, told)

    def _build(self, context: dg.AssetExecutionContext, told: set[str]) -> Iterator[Any]:
        """One `dbt build`.

        Args:
            told: unique ids of the nodes that Dagster has an event of; added to, and not told again.
        """
        connect_environment()
        target = self.target_path_of(context)
        _copy_parse_cache(target)
        _forget_older(target.parent)
        arguments = [
            "build",
            "--exclude-resource-type",
            "unit_test",
            # Said of the definition as well; a run of some of its assets needs it here.
            "--exclude",
            left_out(),
            # A test of two tables runs where the later one is built.
            "--indirect-selection",
            "buildable",
        ]
        if context.run.tags.get(FULL_REFRESH_TAG) == "true":
            arguments.append("--full-refresh")
        variables = {
            # Data tests look at the days that the build replaced.
            "LAKEHOUSE_TEST_BUILT_DAYS": "1",
            # A day's statements are over before Spark's classes for them have paid.
            **({FEW_DAYS: "1"} if _is_short(context) else {}),
            # Escape codes belong on a terminal, not in a log.
            "DBT_USE_COLORS": str(sys.stdout.isatty()).lower(),
        }
        with _in_environment(variables):
            invocation = self.cli(arguments, context=context, target_path=target)
        try:
            for event in invocation.stream():
                node = str(event.metadata["unique_id"].value)
                if node in told:
                    continue
                told.add(node)
                if isinstance(event, dg.Output):
                    event = _described(context, event, invocation.manifest, target)
                yield event
            _require_all_told(invocation.get_artifact("run_results.json"), told)
        finally:
            # Whatever ends this step ends its dbt: it would go on building for nobody.
            if invocation.process.poll() is None:
                invocation.process.send_signal(signal.SIGINT)
                invocation.process.wait(invocation.termination_timeout_seconds)

    @staticmethod
    def target_path_of(context: dg.AssetExecutionContext) -> Path:
        """Where dbt leaves its log and artifacts of this step."""
        return (
            settings().dagster_home
            / "dbt"
            / f"{context.run.run_id[:8]}-{context.op_execution_context.op.name}"
        )


def dbt_resource() -> EngineDbt:
    """dbt at the project's root, on the production target, by the executable of this environment."""
    return EngineDbt(
        project_dir=str(PROJECT_ROOT),
        profiles_dir=str(PROJECT_ROOT),
        target="prod",
        dbt_executable=str(Path(sys.executable).with_name("dbt")),
    )


def _is_short(context: dg.AssetExecutionContext) -> bool:
    """Whether a run was asked for few days, and makes nothing anew."""
    days = days_of_run(context)
    full = context.run.tags.get(FULL_REFRESH_TAG) == "true"
    return days is not None and not full and (days[1] - days[0]).days < SHORT_DAYS


@contextmanager
def _in_environment(variables: Mapping[str, str]) -> Generator[None]:
    """Variables that a process started meanwhile finds: the resource has no other way to hand them over."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _copy_parse_cache(target: Path) -> None:
    """Let dbt parse only what changed since the manifest of the production target was made."""
    cache = PROD_TARGET_DIR / "partial_parse.msgpack"
    if cache.is_file():
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(cache, target)


def _forget_older(folder: Path) -> None:
    """Keep what dbt left of the newest steps; each leaves megabytes, and a day has three.

    Steps write one at a time (`orchestration.writing`), so nobody else is at it.
    """
    left = sorted(folder.glob("*"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in left[KEPT_STEPS:]:
        shutil.rmtree(path)


def _run_results(target: Path) -> Mapping[str, Any]:
    """What dbt wrote of its last build; no results where it did not get that far."""
    path = target / "run_results.json"
    return json.loads(path.read_text()) if path.is_file() else {"results": []}


# Spark's names of errors by which a commit finds that another one came first.
_CONFLICT = re.compile(r"\bDELTA_(CONCURRENT_\w+|METADATA_CHANGED|PROTOCOL_CHANGED)\b")


def lost_to_another_writer(run_results: Mapping[str, Any]) -> bool:
    """Whether a build failed for nothing but commits of others, so that it can be done again."""
    failed = [each for each in run_results["results"] if each["status"] in ("error", "fail", "runtime error")]
    return bool(failed) and all(_CONFLICT.search(str(each["message"])) for each in failed)


def _require_all_told(run_results: Mapping[str, Any], told: Collection[str]) -> None:
    """Refuse a build that Dagster knows only in part: its events are read from dbt's output, line by line.

    Raises:
        dg.Failure: dbt ran nodes that no event came of.
    """
    ran = {result["unique_id"] for result in run_results["results"]}
    lost = sorted(node for node in ran - set(told) if not node.startswith("operation."))
    if lost:
        raise dg.Failure(
            f"dbt ran {len(lost)} nodes that Dagster got no event of: {', '.join(lost)}. "
            "Something writes over dbt's log on standard output, such as Spark's progress bar."
        )


def _described(
    context: dg.AssetExecutionContext, event: dg.Output[Any], manifest: Mapping[str, Any], target: Path
) -> dg.Output[Any]:
    """A model's event with what Delta's log says of its table, and for each day how many rows it has.

    From where its columns come, the SQL says that dbt has left in its target folder.

    dbt reports a model after its hooks and comments: the version is the last one of this build.
    """
    unique_id = event.metadata["unique_id"].value
    node = manifest["nodes"][unique_id]
    key = context.asset_key_for_output(event.output_name)
    if node["resource_type"] == "model":
        show_model_lineage(context, key, node, target, manifest)
    if node["config"]["materialized"] not in _TABLES:
        return event
    table = f"{node['schema']}.{node['alias']}"
    show_rows_by_day(context, key, table, node["config"].get("event_date"))
    return event.with_metadata({**event.metadata, **table_metadata(table)})
