"""SQL over the ledger of deliveries that dbt and Python share: until when a source has told everything, and
which batches nobody reads any more.

A ledger of any age can be read, also an older version of it: a column that it lacks counts as empty.
"""

from collections.abc import Mapping, Sequence

from lakehouse.delta.table import sql_text
from lakehouse.ingest.declarations import load_sources
from lakehouse.ingest.source import Source


def frontier_sql(ledger: str, sources: Sequence[str], declared: Mapping[str, Source] | None = None) -> str:
    """A select of one row per source: `source`, `delivered_until`, `gap_from`, `gap_until`.

    A source has told everything from its first regular delivery on until `delivered_until` (UTC, exclusive;
    NULL while nothing was delivered). `gap_from` and `gap_until` bound the first period that lacks although
    something later was delivered; both are NULL where there is none. A period that was declared as never
    coming counts as delivered.

    Args:
        ledger: the ledger's name, perhaps with `version as of N`.
        sources: names of sources; one that the ledger does not know has a row, too.
        declared: the declarations, for the zone of rows that do not say when their period begins; those of
            the project by default.
    """
    zones = {name: source.time_zone for name, source in (declared or load_sources()).items()}
    known = {name: zones[name] for name in sources if name in zones}
    zone = f"case source {_cases(known)} else 'UTC' end" if known else "'UTC'"
    # The local time at which the period of an old row begins, by its batch id: SOURCE_YYYY-MM-DD[THH].
    period = "substr(_batch_id, length(source) + 2)"
    hour = f"if(length({period}) > 10, substr({period}, 12, 2), '00')"
    begins = f"try_cast(concat(substr({period}, 1, 10), ' ', {hour}, ':00:00') as timestamp)"
    return f"""
with

entries as (
    select
        source,
        coalesce(
            cast({_later("_delivered_from")} as timestamp),
            to_utc_timestamp({begins}, {zone})
        ) as delivered_from,
        _delivered_until as delivered_until
    from {ledger}
    where
        _delivered_until is not null
        and source in ({_texts(sources)})
        and coalesce({_later("kind")}, 'delivery') in ('delivery', 'missing')
),

in_order as (
    select
        *,
        max(delivered_until) over (
            partition by source
            order by delivered_from, delivered_until
            rows between unbounded preceding and 1 preceding
        ) as told_until
    from entries
),

-- What comes after a gap begins later than all before it ends.
after_gaps as (
    select
        source,
        min(struct(delivered_from, told_until)) as first_one
    from in_order
    where delivered_from > told_until
    group by source
),

told as (
    select
        source,
        max(delivered_until) as delivered_until
    from entries
    group by source
),

asked as (
    select explode(array({_texts(sources)})) as source
)

select
    asked.source,
    coalesce(after_gaps.first_one.told_until, told.delivered_until) as delivered_until,
    after_gaps.first_one.told_until as gap_from,
    after_gaps.first_one.delivered_from as gap_until
from asked
left join told on told.source = asked.source
left join after_gaps on after_gaps.source = asked.source
"""


def superseded_sql(ledger: str) -> str:
    """A select of `source` and `batch_id`, one row per batch that another content supersedes.

    Their rows stay in bronze, and nobody reads them.

    Args:
        ledger: the ledger's name, perhaps with `version as of N`.
    """
    return f"""
select distinct
    source,
    {_later("supersedes")} as batch_id
from {ledger}
where {_later("supersedes")} is not null
"""


def _later(column: str) -> str:
    """A column that an older ledger lacks: NULL there, where naming it would be an error. As text."""
    return f"get_json_object(to_json(struct(*)), '$.{column}')"


def _cases(values: Mapping[str, str]) -> str:
    return " ".join(f"when {sql_text(key)} then {sql_text(value)}" for key, value in values.items())


def _texts(values: Sequence[str]) -> str:
    return ", ".join(map(sql_text, values))
