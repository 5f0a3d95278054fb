-- How many people did each thing.
SELECT event, count(*) AS events, count(DISTINCT profile_id) AS profile_id FROM events GROUP BY event
