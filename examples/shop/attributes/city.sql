CREATE ATTRIBUTE city ON customer
  FROM (trim(shop_customers.city),
        trim(crm_contacts.city))
  RESOLVE BY LATEST;
COMMENT ON ATTRIBUTE city IS 'City';
