-- The test writes the file.
CREATE SOURCE people (
    id bigint, name text, email text, created_at timestamptz, amount numeric(18,2), active boolean
  )
  FROM FILE ('data/people.csv') FORMAT csv
  AS RECORDS KEY (id)
  IDENTIFIERS (email => email);
COMMENT ON SOURCE people IS 'What the statements expect in profiles';
