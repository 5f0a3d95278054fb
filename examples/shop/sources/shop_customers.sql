CREATE SOURCE shop_customers
  FROM FILE ('data/shop/customers.parquet') FORMAT parquet
  AS RECORDS KEY (customer_id) VERSION BY created_at
  IDENTIFIERS (customer_id => customer_id, email => email, phone => phone)
  PERSON (name => full_name, street => street, postal_code => postal_code, city => city, country => country)
  ON ERROR QUARANTINE;
COMMENT ON SOURCE shop_customers IS 'Accounts of the web shop; a household may share an address';
