CREATE PURPOSE service LEGAL BASIS contract;
COMMENT ON PURPOSE service IS 'Orders, returns and questions: everyone who is a customer';
