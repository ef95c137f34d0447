"""Data Docs: what each check found, as pages that a person opens in a browser."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

from expectations.pages import Listed, site_dir, without_network, write_index
from expectations.suite import Expectation, Suite
from expectations.validate import Validation
from lakehouse.delta.table import TableVersion
from lakehouse.engine.state import exclusive
from lakehouse.settings import settings

if TYPE_CHECKING:
    from great_expectations.core.expectation_suite import ExpectationSuite
    from great_expectations.core.expectation_validation_result import ExpectationSuiteValidationResult
    from great_expectations.core.run_identifier import RunIdentifier
    from great_expectations.data_context.data_context.abstract_data_context import AbstractDataContext
    from great_expectations.data_context.types.resource_identifiers import ValidationResultIdentifier

# Older results leave the pages (never `lakehouse.gate_results`): the list is written again at each check.
KEPT_RESULTS = 300
SITE, RESULTS = "local_site", "results"


@dataclass(frozen=True)
class Page:
    """A checked suite, to be shown."""

    suite: Suite
    version: TableVersion
    validation: Validation


def context() -> "AbstractDataContext":
    """A Great Expectations context of this process; it keeps suites, results and pages as files."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    def files(folder: str) -> dict[str, str]:
        return {
            "class_name": "TupleFilesystemStoreBackend",
            "base_directory": str(settings().data_docs_dir / folder),
        }

    defaults = InMemoryStoreBackendDefaults()
    defaults.stores["expectations_store"] = {
        "class_name": "ExpectationsStore",
        "store_backend": {**files("suites"), "filepath_suffix": ".json"},
    }
    defaults.stores["validation_results_store"] = {
        "class_name": "ValidationResultsStore",
        "store_backend": {**files(RESULTS), "filepath_suffix": ".json"},
    }
    defaults.data_docs_sites = {
        SITE: {
            "class_name": "SiteBuilder",
            "show_how_to_buttons": False,
            "store_backend": files("site"),
            # It wants to write a first page; `expectations.pages` replaces it.
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
            "site_section_builders": {"profiling": "none"},
        }
    }
    config = DataContextConfig(store_backend_defaults=defaults, analytics_enabled=False)
    # dagster-dbt and `--json` read what is printed: no progress bars among it.
    config.progress_bars = ProgressBarsConfig(globally=False)
    return gx.get_context(project_config=config, mode="ephemeral")


def write_pages(context: "AbstractDataContext", pages: Sequence[Page], run_id: str) -> list[str]:
    """Store the results and render their pages, the suites' and the index; one gate at a time.

    Returns:
        the address of each page, in order.
    """
    # Two gates at once would read what the other forgets, or has half written.
    with exclusive(settings().data_docs_dir / "pages.lock"):
        return _write_pages(context, pages, run_id)


def _write_pages(context: "AbstractDataContext", pages: Sequence[Page], run_id: str) -> list[str]:
    from great_expectations.core.run_identifier import RunIdentifier
    from great_expectations.data_context.types.resource_identifiers import (
        ExpectationSuiteIdentifier,
        ValidationResultIdentifier,
    )

    run = RunIdentifier(run_name=_file_name(run_id), run_time=datetime.now(UTC))
    suites: list[ExpectationSuiteIdentifier] = []
    results: list[ValidationResultIdentifier] = []
    for page in pages:
        suite = _gx_suite(page.suite)
        context.suites.add_or_update(suite)
        key = ValidationResultIdentifier(
            expectation_suite_identifier=ExpectationSuiteIdentifier(name=suite.name),
            run_id=run,
            batch_identifier=f"version_{page.version.version}",
        )
        context.validation_results_store.set(key, _gx_result(page, run))
        suites.append(ExpectationSuiteIdentifier(name=suite.name))
        results.append(key)
    _forget_old(context)
    # GX takes both kinds, but says either.
    shown = cast("list[ValidationResultIdentifier]", [*results, *suites])
    context.build_data_docs(site_names=[SITE], resource_identifiers=shown)
    # All of them: one that was killed before this line left pages as GX writes them.
    for page in site_dir().rglob("*.html"):
        without_network(page)
    kept = cast("list[ValidationResultIdentifier]", context.validation_results_store.list_keys())
    write_index(site_dir(), map(_listed, kept))
    return [_url(context, key) for key in results]


def _listed(key: "ValidationResultIdentifier") -> Listed:
    # As GX lays results and pages out; its own reading of 300 results takes seconds.
    parts = Path(*key.to_tuple())
    return Listed(
        page=f"validations/{parts}.html",
        suite=str(key.expectation_suite_identifier.name),
        version=str(key.batch_identifier),
        run=str(key.run_id.run_name),
        checked_at=key.run_id.run_time,
        passed=_passed(settings().data_docs_dir / RESULTS / f"{parts}.json"),
    )


def _passed(result: Path) -> bool | None:
    """What a stored result says; None of one whose writer was killed. What decides stands in Delta."""
    try:
        return bool(json.loads(result.read_bytes())["success"])
    except json.JSONDecodeError:
        return None


def _gx_suite(suite: Suite) -> "ExpectationSuite":
    from great_expectations.core.expectation_suite import ExpectationSuite

    declared: list[Expectation] = [*suite.row_expectations, *suite.daily_expectations]
    declared += suite.whole.expectations if suite.whole is not None else ()
    return ExpectationSuite(
        suite.name,
        expectations=[
            {"type": each.type, "kwargs": dict(each.kwargs), "description": each.says} for each in declared
        ],
        meta={"key": list(suite.key)},
    )


def _gx_result(page: Page, run: "RunIdentifier") -> "ExpectationSuiteValidationResult":
    from great_expectations.core.expectation_validation_result import ExpectationSuiteValidationResult

    validation = page.validation
    failed = len(validation.failures)
    held = validation.evaluated - failed
    return ExpectationSuiteValidationResult(
        success=failed == 0,
        results=list(validation.raw),
        suite_name=page.suite.name,
        statistics={
            "evaluated_expectations": validation.evaluated,
            "successful_expectations": held,
            "unsuccessful_expectations": failed,
            "success_percent": 100 * held / validation.evaluated if validation.evaluated else 100.0,
        },
        meta={
            "run_id": run,
            "validation_time": run.run_time.isoformat(),
            "batch_spec": {"data_asset_name": str(page.version), "rows": validation.rows},
            "active_batch_definition": {"data_asset_name": str(page.version)},
        },
    )


def _forget_old(context: "AbstractDataContext") -> None:
    store = context.validation_results_store
    keys = cast("list[ValidationResultIdentifier]", store.list_keys())
    keys.sort(key=lambda key: key.run_id.run_time, reverse=True)
    for key in keys[KEPT_RESULTS:]:
        store.remove_key(key)


def _url(context: "AbstractDataContext", key: "ValidationResultIdentifier") -> str:
    found = context.get_docs_sites_urls(resource_identifier=key, site_name=SITE)
    return str(found[0]["site_url"])


def _file_name(run_id: str) -> str:
    """A run id as a part of a path: GX makes it a folder."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", run_id) or "run"
