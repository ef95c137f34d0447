"""The frontier by SQL is what a naive look at each hour finds, whatever came in whatever order."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakehouse.ingest.frontier import frontier_sql
from lakehouse.ingest.ledger_table import append_entries, ensure_ledger, entry_row
from lakehouse.ingest.periods import Period
from lakehouse.ingest.source import Source

# Days on which New York's clock was changed, and one day before and after.
DAYS = [date(2013, 3, 9) + timedelta(days=number) for number in range(4)]
DAYS += [date(2013, 11, 2) + timedelta(days=number) for number in range(3)]
ZONE = "America/New_York"
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Told:
    """One row of a ledger.

    Args:
        kind: delivery, missing or supersede; None of an old row.
        is_regular: whether it completes its period.
    """

    period: Period
    kind: str | None
    is_regular: bool


PERIODS = st.builds(Period, st.sampled_from(DAYS), st.one_of(st.none(), st.integers(0, 23)))
LEDGERS = st.one_of(
    st.lists(
        st.builds(Told, PERIODS, st.sampled_from(["delivery", "missing", "supersede", None]), st.booleans()),
        max_size=12,
    ),
    # Nearly all hours of two days, as they come in operation.
    st.sets(st.integers(0, 47), max_size=6).map(
        lambda lacking: [
            Told(Period(DAYS[1 + hour // 24], hour % 24), "delivery", True)
            for hour in range(48)
            if hour not in lacking
        ]
    ),
)


def by_looking(ledger: Sequence[Told]) -> tuple[datetime | None, datetime | None, datetime | None]:
    """Delivered until, gap from, gap until: every hour of UTC is looked at, from the first told one on."""
    told = [each for each in ledger if each.is_regular and each.kind != "supersede"]
    spans = [(each.period.start(ZONE), each.period.end(ZONE)) for each in told]
    if not spans:
        return None, None, None
    at = min(start for start, _ in spans)
    last = max(end for _, end in spans)
    while at < last and any(start <= at < end for start, end in spans):
        at += HOUR
    if at == last:
        return at, None, None
    return at, at, min(start for start, _ in spans if start > at)


def written(ledgers: Sequence[Sequence[Told]]) -> pa.Table:
    """All these ledgers as one, each of a source of its own."""
    return pa.concat_tables(
        [
            entry_row(
                source=f"s{number}",
                batch_id=f"s{number}_{told.period}",
                day=told.period.day,
                kind=told.kind,
                at=datetime(2014, 1, 1, tzinfo=UTC),
                # Old rows did not say when their period begins.
                delivered_from=told.period.start(ZONE) if told.is_regular and told.kind else None,
                delivered_until=told.period.end(ZONE)
                if told.is_regular and told.kind != "supersede"
                else None,
            )
            for number, ledger in enumerate(ledgers)
            for told in ledger
        ]
    )


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(LEDGERS, min_size=60, max_size=60))
def test_the_frontier_is_the_one_that_looking_at_each_hour_finds(spark, ledgers):
    names = [f"s{number}" for number in range(len(ledgers))]
    zone = Source.model_construct(time_zone=ZONE)
    spark.createDataFrame(written([*ledgers, [Told(Period(DAYS[0]), None, True)]])).createOrReplaceTempView(
        "told"
    )

    found = spark.sql(frontier_sql("told", names, dict.fromkeys(names, zone))).toArrow().to_pylist()

    assert {row.pop("source"): tuple(row.values()) for row in found} == {
        name: by_looking(ledger) for name, ledger in zip(names, ledgers, strict=True)
    }


def test_a_ledger_is_made_once_and_takes_each_batch_of_a_kind_once(spark, schema):
    at = datetime(2014, 1, 1, tzinfo=UTC)
    rows = [
        entry_row(source="s", batch_id="s_2013-03-09", day=DAYS[0], at=at, kind=kind)
        for kind in ("delivery", "supersede")
    ]
    for _ in range(2):
        ensure_ledger(spark, schema)
        append_entries(spark, schema, rows)

    assert spark.table(f"{schema}.deliveries").count() == 2
