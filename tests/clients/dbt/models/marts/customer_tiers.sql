{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='profile_id') }}
select
    profile_id,
    case when spent >= {{ var('gold_from') }} then 'gold' else 'basic' end as tier,
    current_timestamp as computed_at
from {{ ref('customer_orders') }}
