-- A guest's order has an e-mail address and no customer.
CREATE SOURCE shop_orders
  FROM FILE ('data/shop/orders.parquet') FORMAT parquet
  AS RECORDS KEY (order_id)
  IDENTIFIERS (customer_id => customer_id, email => email)
  PUBLIC (currency, channel)
  ON ERROR QUARANTINE;
COMMENT ON SOURCE shop_orders IS 'Orders of the web shop, in dollars';
