CREATE PURPOSE service LEGAL BASIS contract;
COMMENT ON PURPOSE service IS 'Everyone is seen';
