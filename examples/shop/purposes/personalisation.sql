CREATE PURPOSE personalisation LEGAL BASIS consent;
COMMENT ON PURPOSE personalisation IS 'What the shop and the app show to one customer';
