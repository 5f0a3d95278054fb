-- Where mailboxes are.
SELECT split_part(email, '@', 2) AS provider, count(*) AS profile_id FROM profiles WHERE email IS NOT NULL GROUP BY 1
