CREATE ROLE engineer LOGIN PASSWORD 'demo' PURPOSES (service) MAY (define, refresh);
COMMENT ON ROLE engineer IS 'Sends the statements';
