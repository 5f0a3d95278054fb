CREATE TRAIT orders ON customer EVERY '1 hour' AS
SELECT profile_id,
       count(*) AS orders_count,
       sum(amount) AS total_spent,
       sum(items) AS items_bought,
       min(ordered_at) AS first_order_at,
       max(ordered_at) AS last_order_at
FROM sources.shop_orders
WHERE profile_id IS NOT NULL
GROUP BY profile_id;
COMMENT ON TRAIT orders IS 'What a customer bought, and when';
