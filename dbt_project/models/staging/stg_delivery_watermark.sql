-- depends_on: {{ source('bronze', 'deliveries') }}
-- The instant is looked up when the view is made and stands in it, so that all models of a build see the same
-- one, whatever is ingested meanwhile.
select cast({{ delivery_watermark() }} as timestamp) as delivered_until
