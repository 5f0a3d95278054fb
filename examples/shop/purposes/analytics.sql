CREATE PURPOSE analytics LEGAL BASIS consent;
COMMENT ON PURPOSE analytics IS 'Reports and statistics about how customers behave';
