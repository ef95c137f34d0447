"""What is expected of deliveries in bronze. Broken rows are quarantined; a broken delivery fails the gate."""

from expectations.row_rules import row_rules
from expectations.suite import ExpectedRows, Profile, Suite, at_most, delivery_day, unique
from lakehouse.ingest.declarations import load_sources
from lakehouse.ingest.frontier import superseded_sql
from lakehouse.ingest.source import Source

_LEDGER = "bronze.deliveries"
# What a row of the ledger is; a ledger from before kinds has only deliveries.
_KIND = "coalesce(get_json_object(to_json(struct(*)), '$.kind'), 'delivery')"


def superseded(source: str, ledger: str = _LEDGER) -> str:
    """A select of a source's batches that a later delivery superseded by name."""
    return f"select batch_id from ({superseded_sql(ledger)}) where source = '{source}'"


def suites() -> tuple[Suite, ...]:
    """One suite for each declared source, by name."""
    return tuple(_suite(source) for _, source in sorted(load_sources().items()))


def _suite(source: Source) -> Suite:
    """A delivery may repeat what an earlier one said, but says nothing twice itself."""
    table = f"bronze.{source.name}"
    # All rows of a snapshot are published at once.
    repeated = {source.reported_time} if source.arrives == "snapshot" else set[str]()
    key = (*(name for name in source.keys if name not in repeated), "_batch_id")
    return Suite(
        table=table,
        gate="bronze",
        key=key,
        day=delivery_day(source.name),
        rows=(unique(*key),),
        rules=row_rules(table),
        quarantines=True,
        daily=Profile(expectations=(at_most("quarantined_share", source.max_quarantined_share),)),
        expected_rows=_expected(source),
        superseded=superseded(source.name),
    )


def _expected(source: Source) -> ExpectedRows:
    # Where nothing is said: what was delivered of a day is there.
    least, most = source.rows_per_day or (0 if source.may_be_empty else 1, None)
    bounds = f"{least:,} rows or more" if most is None else f"{least:,} to {most:,} rows"
    upper = "null" if most is None else str(most)
    if source.arrives == "snapshot":
        sql = f"""
        select distinct
            day,
            {least} as least_rows,
            {upper} as most_rows
        from {_LEDGER}
        where source = '{source.name}' and {_KIND} = 'delivery'
        """
        return ExpectedRows(sql, f"a day's deliveries of {source.name} have {bounds}")
    # The bounds hold for a day when the ledger has its last hour: until then it is not whole. What was
    # declared as never coming is not missed. A day without deliveries is late, not wrong.
    midnight = f"to_utc_timestamp(timestamp(date_add(day, 1)), '{source.time_zone}')"
    is_whole = f"max(_delivered_until) >= {midnight}"
    sql = f"""
    select
        day,
        if({is_whole} and not bool_or(kind = 'missing'), {least}, null) as least_rows,
        if({is_whole}, {upper}, null) as most_rows
    from (select source, day, _delivered_until, {_KIND} as kind from {_LEDGER})
    where source = '{source.name}'
    group by day
    """
    aside = "corrections" if source.event_time is None else "corrections of other days"
    says = f"a whole day of {source.name} has {bounds}, {aside} aside"
    return ExpectedRows(sql, says, _counted(source, least))


def _counted(source: Source, least: int) -> str:
    """Rows of regular deliveries; where these lack some, rows of corrections make good what they lack.

    Only the day's own do: those that a regular delivery of it would have had, by when they became known.
    """
    # Behind the day; of a correction that was superseded or released, too.
    note = f"substr(_batch_id, {len(source.name) + 12})"
    is_regular = f"not contains({note}, '_corrections')"
    regular = f"count_if({is_regular})"
    # Whatever was reported of it, and when: a correction says the same thing again.
    names = [key for key in source.keys if key != source.reported_time or key == source.event_time]
    if source.event_time is None or not names:
        return regular
    known = source.event_time
    if source.arrives == "live":
        known = f"{known} + interval {source.delivery_delay_minutes} minutes"
    is_of_day = (
        f"to_date(from_utc_timestamp({known}, '{source.time_zone}')) = {delivery_day(source.name).sql}"
    )
    key = f"struct({', '.join(names)})"
    both = f"count(distinct if({is_regular} or {is_of_day}, {key}, null))"
    lacking = f"{both} - count(distinct if({is_regular}, {key}, null))"
    return f"{regular} + if({regular} < {least}, {lacking}, 0)"
