CREATE SOURCE orders
  FROM FILE ('data/orders/*.parquet') FORMAT parquet
  AS RECORDS KEY (order_id)
  IDENTIFIERS (loyalty_id => loyalty_id, email => email)
  PUBLIC (currency, channel)
  ON ERROR QUARANTINE;
COMMENT ON SOURCE orders IS 'What was bought';
