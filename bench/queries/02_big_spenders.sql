-- A filter over profiles alone.
SELECT profile_id FROM profiles WHERE total_spent >= 500 AND country = 'PL'
