{{ config(materialized='incremental', unique_key=['profile_id', 'channel']) }}
select profile_id, channel, count(*) as orders
from {{ ref('stg_orders') }}
group by profile_id, channel
