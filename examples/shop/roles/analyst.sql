CREATE ROLE analyst LOGIN PASSWORD 'demo' PURPOSES (analytics) MAY (segment);
COMMENT ON ROLE analyst IS 'Reads what people allowed for analytics';
