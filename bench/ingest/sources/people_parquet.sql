CREATE SOURCE people_parquet
  FROM FILE ('data/people.parquet') FORMAT parquet
  AS RECORDS KEY (record_id) VERSION BY updated_at
  IDENTIFIERS (loyalty_id => loyalty_id, email => email, phone => phone, device_id => device_id)
  PERSON (first_name => first_name, last_name => last_name, birth_date => dob, street => street,
          postal_code => postcode, city => city, country => country)
  ON ERROR FAIL;
