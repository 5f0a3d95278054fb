CREATE SOURCE email_engagement (email text, campaign_id text, event text, occurred_at timestamptz)
  FROM FILE ('data/email/*.csv') FORMAT csv
  AS EVENTS EVENT TIME occurred_at
  IDENTIFIERS (email => email)
  PUBLIC (campaign_id, event)
  ON ERROR QUARANTINE;
COMMENT ON SOURCE email_engagement IS 'What became of each mail of a campaign';
