CREATE ROLE engineer LOGIN PASSWORD 'demo' PURPOSES (service) MAY (define, refresh);
COMMENT ON ROLE engineer IS 'Keeps sources, identity rules and traits; sees everyone';
