"""The small lakehouse that lives through all faults, and how it is compared."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from lakehouse.delta.gate_results import states
from lakehouse.delta.publications import releases
from lakehouse.delta.table import current_version
from lakehouse.engine.session import spark_session
from tests.faults.campaign.oracle import Oracle, Rows
from tests.faults.readings_helpers import FIRST, TABLES, Readings, readings, suites, text

_TOTALS = ("station", "as_of_date", "total_3d", "readings_3d")
FEATURES, TRAINING = (f"{schema}.{TABLES[schema]}" for schema in ("features", "training"))


@dataclass(frozen=True)
class Verdict:
    """How what is there differs from what there has to be.

    Args:
        lost: rows that lack in bronze, features or the training set.
        doubled: rows there that should not be.
        wrong: sentences on ledger, gates and releases.
    """

    lost: int
    doubled: int
    wrong: list[str]

    @property
    def is_right(self) -> bool:
        return not (self.lost or self.doubled or self.wrong)


class World:
    """Deliveries arrive here, day after day."""

    def __init__(self, folder: Path) -> None:
        self.lakehouse = Readings.copy(folder)
        self.oracle = Oracle()

    def deliver_a_day(self) -> None:
        """The next day's readings, and on every second day a correction of those of the day before."""
        number = self.oracle.days
        self._deliver(number, readings(number))
        if number and number % 2 == 0:
            at = datetime.combine(FIRST + timedelta(days=number), datetime.min.time(), UTC)
            told = {"amount": 900 - number % 100, "reported_at": text(at + timedelta(hours=23))}
            self._deliver(number, [row | told for row in readings(number - 1)[:2]], note="_again")
        self.oracle.days += 1

    def _deliver(self, number: int, rows: list[dict[str, Any]], note: str = "") -> None:
        self.lakehouse.deliver(number, rows, note)
        self.oracle.batches[f"readings_{FIRST + timedelta(days=number)}{note}"] = rows

    def is_half_seen(self) -> bool:
        """Whether readers see neither what was published before this day nor what it will publish."""
        if not spark_session().catalog.tableExists(f"published.{TABLES['features']}"):
            return False
        return _published("features", *_TOTALS) not in (self.oracle.totals(), self._before())

    def _before(self) -> Rows:
        """What was published from all deliveries but those of the newest day."""
        newest = f"readings_{FIRST + timedelta(days=self.oracle.days - 1)}"
        older = {name: rows for name, rows in self.oracle.batches.items() if not name.startswith(newest)}
        return Oracle(older, self.oracle.days - 1).totals()

    def verdict(self) -> Verdict:
        """Bronze, features and training set as readers see them, ledger, gates and releases, compared."""
        pairs = [
            (self.oracle.bronze(), _bronze()),
            (self.oracle.totals(), _published("features", *_TOTALS)),
            (self.oracle.training_set(), _published("training", *_TOTALS, "label")),
        ]
        return Verdict(
            lost=sum((wanted - found).total() for wanted, found in pairs),
            doubled=sum((found - wanted).total() for wanted, found in pairs),
            wrong=[*self._wrong_in_ledger(), *_wrong_in_gates(), *_wrong_in_releases()],
        )

    def _wrong_in_ledger(self) -> Iterable[str]:
        rows = spark_session().table("bronze.deliveries").toArrow().to_pylist()
        found = Counter((row["_batch_id"], row["row_count"]) for row in rows)
        wanted = Counter((name, len(rows)) for name, rows in self.oracle.batches.items())
        if found != wanted:
            yield f"the ledger lacks {dict(wanted - found)} and has {dict(found - wanted)} too much"


def _wrong_in_gates() -> Iterable[str]:
    tables = [suite.table for gate in suites().values() for suite in gate]
    found = states(spark_session(), tables)
    return [f"{table} is red" for table in tables if table not in found or not found[table].passed]


def _wrong_in_releases() -> Iterable[str]:
    spark = spark_session()
    found = releases(spark)
    for table in (FEATURES, TRAINING):
        if found.get(table) != current_version(spark, table):
            yield f"{found.get(table)} is released, not {current_version(spark, table)}"


def _published(gate: str, *columns: str) -> Rows:
    table = spark_session().table(f"published.{TABLES[gate]}")
    return Counter(tuple(row) for row in table.select(*columns).collect())


def _bronze() -> Rows:
    found = spark_session().sql(
        "select station, date_format(measured_at, \"yyyy-MM-dd'T'HH:mm:ss'Z'\"), amount, _batch_id "
        "from bronze.readings"
    )
    return Counter(tuple(row) for row in found.collect())
