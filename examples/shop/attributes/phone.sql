CREATE ATTRIBUTE phone ON customer
  FROM (normalize_phone(crm_contacts.phone, normalize_country(coalesce(crm_contacts.country, 'PL'))),
        normalize_phone(shop_customers.phone, shop_customers.country),
        normalize_phone(loyalty_members.phone, 'PL'))
  RESOLVE BY LATEST;
COMMENT ON ATTRIBUTE phone IS 'The number heard of last, with its country (E.164)';
