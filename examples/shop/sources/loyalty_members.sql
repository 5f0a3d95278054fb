CREATE SOURCE loyalty_members
  FROM FILE ('data/loyalty/members.parquet') FORMAT parquet
  AS RECORDS KEY (card_number) VERSION BY joined_at
  IDENTIFIERS (loyalty_card => card_number, email => email, phone => phone)
  PERSON (name => name, birth_date => birth_date)
  PUBLIC (tier)
  ON ERROR QUARANTINE;
COMMENT ON SOURCE loyalty_members IS 'Cards handed out in the stores';
