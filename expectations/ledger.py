"""The ledger of deliveries as a part of the bronze gate.

A production build takes the frontier of deliveries from the ledger's version that passed. It passes with all
sources together: a frontier beyond one of them would let rows be made of what nobody looked at. It is
read before the tables of a check, so that every delivery that it has lies in the versions that are checked.
"""

from collections.abc import Collection, Sequence

from pyspark.sql import SparkSession

from lakehouse.delta import gate_results
from lakehouse.delta.gate_results import GateRow
from lakehouse.delta.table import TableVersion, current_version, table_exists
from lakehouse.ingest.source import DELIVERIES

LEDGER = f"bronze.{DELIVERIES}"


def ledger_version(spark: SparkSession) -> TableVersion | None:
    """The ledger as it is now; None where nothing was ever ingested."""
    return current_version(spark, LEDGER) if table_exists(spark, LEDGER) else None


def ledger_row(ledger: TableVersion, run_id: str, *, passed: bool) -> GateRow:
    """What a check of all sources says of the ledger."""
    return GateRow(
        table=ledger,
        day=None,
        suite=ledger.name,
        passed=passed,
        failed_expectations=0,
        failing_rows=None,
        run_id=run_id,
        docs_url=None,
    )


def let_through(
    spark: SparkSession, sources: Collection[str], table: str, overridden: Sequence[GateRow]
) -> list[GateRow]:
    """The ledger's row, overridden with the last source that stopped it; none while another one stops.

    Args:
        sources: the tables of the bronze gate.
        table: the one whose results are overridden, and these.
    """
    states = gate_results.states(spark, [*sources, LEDGER])
    ledger = states.get(LEDGER)
    if ledger is None or ledger.last is None or ledger.last.holds:
        return []
    stopping = {
        (row.table.name, row.day)
        for name in sources
        for row in (states[name].stopping if name in states else ())
    }
    if stopping - {(table, row.day) for row in overridden} or set(sources) - set(states):
        return []
    by, reason = overridden[0].override_by, overridden[0].override_reason
    return gate_results.overridden([ledger.last], str(by), str(reason))
