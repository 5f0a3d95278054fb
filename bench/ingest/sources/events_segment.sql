CREATE SOURCE events_segment
  FROM FILE ('data/events.ndjson') FORMAT segment
  AS EVENTS
  IDENTIFIERS (device_id => anonymous_id, loyalty_id => user_id, email => traits->>'email')
  ON ERROR FAIL;
