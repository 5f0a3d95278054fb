-- Contacts write dates in the way of their country; members have real dates.
CREATE ATTRIBUTE birth_date ON customer
  FROM (loyalty_members.birth_date,
        normalize_birth_date(crm_contacts.birth_date, normalize_country(coalesce(crm_contacts.country, 'PL'))))
  RESOLVE BY MOST FREQUENT;
COMMENT ON ATTRIBUTE birth_date IS 'Date of birth';
