CREATE ATTRIBUTE first_name ON customer
  FROM (trim(crm_contacts.first_name),
        split_part(trim(shop_customers.full_name), ' ', 1))
  RESOLVE BY SOURCE PRIORITY (crm_contacts, shop_customers);
COMMENT ON ATTRIBUTE first_name IS 'Given name';
