{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='order_id', on_schema_change='append_new_columns') }}
select orders.profile_id, order_id, ordered_at, amount
    {%- if var('with_channel') %}, channel{% endif %}
from {{ ref('stg_orders') }} as orders
{% if is_incremental() %}
where ordered_at >= (select max(ordered_at) - interval '30 days' from {{ this }})
{% endif %}
