select
    profile_id,
    count(*) as orders,
    sum(amount)::numeric(14, 2) as spent,
    min(ordered_at) as first_ordered_at,
    max(ordered_at) as last_ordered_at
from {{ ref('stg_orders') }}
group by profile_id
