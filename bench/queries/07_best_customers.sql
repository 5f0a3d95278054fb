-- Recency, frequency and money over orders.
SELECT profile_id, count(*) AS orders, sum(amount) AS spent, max(ordered_at) AS last_at
FROM sources.orders
WHERE profile_id IS NOT NULL
GROUP BY profile_id
HAVING count(*) >= 3 AND sum(amount) > 200 AND max(ordered_at) >= TIMESTAMPTZ '2025-06-01 00:00:00+00'
