-- Looked at a category three times: a value inside of JSON.
SELECT profile_id FROM events
WHERE event = 'product_view' AND (properties->>'category') = 'shoes' AND profile_id IS NOT NULL
GROUP BY profile_id HAVING count(*) >= 3
