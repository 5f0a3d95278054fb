-- Bought at least twice, but not in the second half of the year, and can be written to.
SELECT profile_id FROM profiles
WHERE orders_count >= 2 AND last_order_at < TIMESTAMPTZ '2025-07-01 00:00:00+00' AND email IS NOT NULL
