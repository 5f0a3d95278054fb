CREATE TRAIT web_activity ON customer EVERY '1 hour' AS
SELECT profile_id,
       count(*) AS web_events_count,
       count(DISTINCT properties->>'session') AS web_sessions_count,
       count(*) FILTER (WHERE event = 'product_view') AS product_views_count,
       count(*) FILTER (WHERE event = 'add_to_cart') AS carts_count,
       max(occurred_at) AS last_seen_at
FROM events
WHERE profile_id IS NOT NULL
GROUP BY profile_id;
COMMENT ON TRAIT web_activity IS 'What a customer did in the web shop';
