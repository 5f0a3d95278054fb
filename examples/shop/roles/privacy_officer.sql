CREATE ROLE privacy_officer LOGIN PASSWORD 'demo' PURPOSES (privacy) MAY (consent, audit);
COMMENT ON ROLE privacy_officer IS 'Records consent and reads who saw what';
