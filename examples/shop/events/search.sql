CREATE EVENT search (results integer, session text, lifecycle text);
COMMENT ON EVENT search IS 'The shop was searched';
