CREATE TRAIT web_activity ON customer EVERY '30 days' AS
SELECT profile_id,
       count(*) AS web_events_count,
       count(*) FILTER (WHERE event = 'add_to_cart') AS carts_count,
       max(occurred_at) AS last_seen_at
FROM events
WHERE profile_id IS NOT NULL
GROUP BY profile_id;
