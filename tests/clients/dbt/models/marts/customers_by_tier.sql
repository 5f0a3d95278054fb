{{ config(materialized='materialized_view') }}
select tier, count(*) as customers
from {{ ref('customer_tiers') }}
group by tier
