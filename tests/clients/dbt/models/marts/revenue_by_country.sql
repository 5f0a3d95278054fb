with buyers as (
    select customers.country, customer_orders.orders, customer_orders.spent
    from {{ ref('customer_orders') }} as customer_orders
    join {{ ref('stg_customers') }} as customers on customers.profile_id = customer_orders.profile_id
)

select
    buyers.country,
    coalesce(names.country_name, 'elsewhere') as country_name,
    count(*) as customers,
    sum(buyers.orders)::bigint as orders,
    sum(buyers.spent) as revenue
from buyers
left join {{ ref('country_names') }} as names on names.country = buyers.country
group by buyers.country, names.country_name
