{{ config(materialized='ephemeral') }}
select profile_id, order_id, ordered_at, ordered_at::date as ordered_on, channel, amount
from {{ source('records', 'shop_orders') }}
