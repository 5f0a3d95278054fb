CREATE ATTRIBUTE country ON customer
  FROM (shop_customers.country,
        normalize_country(coalesce(crm_contacts.country, 'PL')))
  RESOLVE BY MOST FREQUENT;
COMMENT ON ATTRIBUTE country IS 'Country (ISO 3166-1 alpha-2)';
