CREATE SOURCE people_ndjson (
    record_id bigint, source text, first_name text, last_name text, email text, phone text, dob text, street text,
    city text, postcode text, country text, device_id text, loyalty_id text, updated_at timestamptz
  )
  FROM FILE ('data/people.ndjson') FORMAT ndjson
  AS RECORDS KEY (record_id) VERSION BY updated_at
  IDENTIFIERS (loyalty_id => loyalty_id, email => email, phone => phone, device_id => device_id)
  PERSON (first_name => first_name, last_name => last_name, birth_date => dob, street => street,
          postal_code => postcode, city => city, country => country)
  ON ERROR FAIL;
