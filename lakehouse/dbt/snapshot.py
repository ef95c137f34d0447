"""What a production build reads of what it does not make itself: each table's version, resolved once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial

from pyspark.sql import SparkSession

from lakehouse.delta.gate_results import states
from lakehouse.delta.publications import releases
from lakehouse.delta.table import TableVersion, check_identity
from lakehouse.errors import LakehouseError
from lakehouse.ingest.source import DELIVERIES, Source


@dataclass(frozen=True)
class Snapshot:
    """The versions by table, `schema.table`.

    Args:
        bronze: those at which the tables of sources passed their gate; None for one that never did.
        published: those in force of tables that were released, also of some that were dropped since.
        check: refuses a version whose table is gone, or another one by now; asked of what is read.
    """

    bronze: Mapping[str, TableVersion | None]
    published: Mapping[str, TableVersion]
    check: Callable[[TableVersion], None]

    def passed(self, name: str) -> TableVersion:
        """The version of a bronze table that its gate passed.

        Raises:
            LakehouseError: it never passed, or the table is another one by now.
        """
        found = self.bronze.get(name)
        if found is None:
            raise LakehouseError(
                f"{name} has not passed its gate yet, so production does not read it",
                "`lakehouse check bronze`, and what it says",
            )
        self.check(found)
        return found

    def released(self, name: str) -> TableVersion:
        """The version of a gated table that is in force.

        Raises:
            LakehouseError: it was never released, or the table is another one by now.
        """
        if name not in self.published:
            table = name.rpartition(".")[2]
            raise LakehouseError(
                f"published.{table} does not exist yet: it is made when {name} passes its checks",
                "build the table, then run `lakehouse check` and `lakehouse release` of its gate",
            )
        self.check(self.published[name])
        return self.published[name]


def resolve(spark: SparkSession, bronze: str, sources: Mapping[str, Source]) -> Snapshot:
    """Look up all versions.

    Args:
        bronze: the schema of the sources.
    """
    names = [f"{bronze}.{name}" for name in (*sources, DELIVERIES)]
    checked = states(spark, names)
    passed = {
        name: checked[name].passed_versions[-1] if name in checked and checked[name].passed_versions else None
        for name in names
    }
    return Snapshot(passed, releases(spark), cache(partial(check_identity, spark)))
