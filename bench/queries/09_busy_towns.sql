-- Profiles joined with what they did in the last quarter, by town.
SELECT profiles.city, count(*) AS events, count(DISTINCT profiles.profile_id) AS profile_id
FROM profiles JOIN events ON events.profile_id = profiles.profile_id
WHERE profiles.country = 'US' AND events.occurred_at >= TIMESTAMPTZ '2025-10-01 00:00:00+00'
GROUP BY profiles.city
