CREATE SOURCE web_events
  FROM FILE ('data/events/*.ndjson') FORMAT segment
  AS EVENTS
  IDENTIFIERS (device_id => anonymous_id, loyalty_id => user_id, email => traits->>'email')
  ON ERROR QUARANTINE;
COMMENT ON SOURCE web_events IS 'What was done in the web shop';
