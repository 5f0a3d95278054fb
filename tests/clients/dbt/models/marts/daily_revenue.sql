{{ config(materialized='incremental', incremental_strategy='append') }}
select ordered_on, count(*) as orders, sum(amount) as revenue
from {{ ref('stg_orders') }}
{% if is_incremental() %}
where ordered_on > (select max(ordered_on) from {{ this }})
{% endif %}
group by ordered_on
