CREATE ROLE marketer LOGIN PASSWORD 'demo' PURPOSES (email_marketing) MAY (segment, sync);
COMMENT ON ROLE marketer IS 'Makes segments for e-mail and sends them';
