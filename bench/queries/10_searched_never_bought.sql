-- Searched for something and has no order at all.
SELECT profile_id FROM profiles
WHERE EXISTS (SELECT 1 FROM events WHERE events.profile_id = profiles.profile_id AND events.event = 'search')
  AND NOT EXISTS (SELECT 1 FROM sources.orders WHERE orders.profile_id = profiles.profile_id)
