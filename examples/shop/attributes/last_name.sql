CREATE ATTRIBUTE last_name ON customer
  FROM (trim(crm_contacts.last_name),
        substr(trim(shop_customers.full_name), strpos(trim(shop_customers.full_name), ' ') + 1))
  RESOLVE BY SOURCE PRIORITY (crm_contacts, shop_customers);
COMMENT ON ATTRIBUTE last_name IS 'Family name';
