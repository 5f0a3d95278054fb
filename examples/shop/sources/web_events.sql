-- Calls of the Segment specification: identify ties a browser to an account, track and page say what happened.
CREATE SOURCE web_events
  FROM FILE ('data/web/*.ndjson') FORMAT segment
  AS EVENTS
  IDENTIFIERS (anonymous_id => anonymous_id, customer_id => user_id, email => traits->>'email')
  ON ERROR QUARANTINE;
COMMENT ON SOURCE web_events IS 'What happens in the web shop';
