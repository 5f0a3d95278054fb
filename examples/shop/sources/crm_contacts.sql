-- An export of years of typing: a contact that was changed has one row for each version.
CREATE SOURCE crm_contacts (
    crm_id text, first_name text, last_name text, email text, phone text, birth_date text, street text,
    postal_code text, city text, country text, created_at timestamptz, updated_at timestamptz
  )
  FROM FILE ('data/crm/*.csv') FORMAT csv
  AS RECORDS KEY (crm_id) VERSION BY updated_at
  NULL VALUES ('', 'NULL', 'n/a', '-')
  IDENTIFIERS (crm_id => crm_id, email => email, phone => phone)
  -- A contact without a country is in the home market.
  PERSON (first_name => first_name, last_name => last_name, birth_date => birth_date, street => street,
          postal_code => postal_code, city => city, country => coalesce(country, 'PL'))
  ON ERROR QUARANTINE;
COMMENT ON SOURCE crm_contacts IS 'Contacts of the sales team';
