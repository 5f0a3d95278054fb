CREATE IDENTITY GRAPH customer
  IDENTIFIERS (
    loyalty_id PRIORITY 1,
    email NORMALIZE email PRIORITY 2 LIMIT 8,
    phone NORMALIZE phone('US') PRIORITY 3 LIMIT 6,
    device_id PRIORITY 20
  )
  MATCH (
    name_birth EXACT ON (name, birth_date) PRIORITY 4,
    name_address EXACT ON (name, street, postal_code) PRIORITY 5
  )
  WITH (merge_limit = 12, shared_limit = 5);
