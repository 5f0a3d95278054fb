-- Who did anything in December.
SELECT profile_id FROM events WHERE occurred_at >= TIMESTAMPTZ '2025-12-01 00:00:00+00' AND profile_id IS NOT NULL GROUP BY profile_id
