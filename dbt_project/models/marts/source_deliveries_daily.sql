{{ config(materialized='view') }}

with

deliveries as (
    select
        source,
        day as delivery_date,
        quarantined_rows,
        -- Old entries have no counts of their own.
        coalesce(row_count, 0) as delivered_count,
        _ingested_at,
        _delivered_until
    from {{ source('bronze', 'deliveries') }}
    where coalesce(kind, 'delivery') = 'delivery'
),

by_day as (
    select
        source,
        delivery_date,
        count(*) as batch_count,
        sum(delivered_count) as delivered_count,
        sum(coalesce(quarantined_rows, 0)) as quarantined_count,
        min(_ingested_at) as first_ingested_at,
        max(_ingested_at) as last_ingested_at,
        max(_delivered_until) as delivered_until
    from deliveries
    group by source, delivery_date
),

-- A day is compared with those of the same weekday: the middle of the eight before it.
with_usual as (
    select
        *,
        percentile(delivered_count, 0.5) over (
            partition by source, dayofweek(delivery_date)
            order by delivery_date
            rows between 8 preceding and 1 preceding
        ) as usual_count
    from by_day
)

select
    source,
    delivery_date,
    batch_count,
    delivered_count,
    quarantined_count,
    usual_count,
    delivered_count / nullif(usual_count, 0) as share_of_usual,
    first_ingested_at,
    last_ingested_at,
    delivered_until,
    (unix_timestamp(first_ingested_at) - unix_timestamp(delivered_until)) / 60 as minutes_late
from with_usual
