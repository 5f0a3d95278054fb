CREATE ATTRIBUTE street ON customer
  FROM (trim(shop_customers.street),
        trim(crm_contacts.street))
  RESOLVE BY LATEST;
COMMENT ON ATTRIBUTE street IS 'Street and number';
