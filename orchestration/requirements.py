"""What must have passed before a step reads: the gates' tables that it reads, and no others."""

from collections.abc import Collection, Mapping
from typing import Any

from pyspark.sql import SparkSession

from expectations.gate import require_passed
from expectations.suite import Gate
from expectations.suites import suites_of


def require(spark: SparkSession, gate: Gate, tables: Collection[str] | None = None) -> None:
    """Stop here unless tables of a gate have passed, or were overridden by name.

    Args:
        tables: `schema.table` of those that are read; all of the gate's by default. Those that the gate does
            not check are left out.

    Raises:
        LakehouseError: naming what failed.
    """
    checked = [suite.table for suite in suites_of(gate) if tables is None or suite.table in tables]
    if checked:
        require_passed(spark, gate, checked)


def sources_read(manifest: Mapping[str, Any], models: Collection[str]) -> set[str]:
    """The source tables, `schema.table`, that models are made from, directly or through others.

    Args:
        models: unique ids of models, seeds and snapshots.
    """
    found: set[str] = set()
    seen: set[str] = set()
    waiting = list(models)
    while waiting:
        identifier = waiting.pop()
        if identifier in seen:
            continue
        seen.add(identifier)
        source = manifest["sources"].get(identifier)
        if source is not None:
            found.add(f"{source['schema']}.{source['identifier']}")
        else:
            waiting += manifest["nodes"][identifier]["depends_on"].get("nodes", [])
    return found
