CREATE TRAIT orders ON customer EVERY '30 days' AS
SELECT profile_id,
       count(*) AS orders_count,
       sum(amount) AS total_spent,
       max(ordered_at) AS last_order_at
FROM sources.orders
WHERE profile_id IS NOT NULL
GROUP BY profile_id;
