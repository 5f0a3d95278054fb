-- Ids of systems are the strongest; an address or a number may be shared and is weighed by how many people use it.
CREATE IDENTITY GRAPH customer
  IDENTIFIERS (
    customer_id PRIORITY 1,
    crm_id PRIORITY 1,
    loyalty_card PRIORITY 1,
    email NORMALIZE email PRIORITY 2 LIMIT 8,
    phone NORMALIZE phone('PL') PRIORITY 3 LIMIT 6,
    anonymous_id PRIORITY 9
  )
  MATCH (
    name_birth_date EXACT ON (name, birth_date) PRIORITY 5,
    name_address EXACT ON (name, postal_code, street) PRIORITY 6
  )
  WITH (merge_limit = 12, shared_limit = 5);
COMMENT ON IDENTITY GRAPH customer IS 'Which records, devices and cards are one customer';
