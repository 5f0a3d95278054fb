CREATE ATTRIBUTE postal_code ON customer
  FROM (trim(shop_customers.postal_code),
        trim(crm_contacts.postal_code))
  RESOLVE BY LATEST;
COMMENT ON ATTRIBUTE postal_code IS 'Postal code';
