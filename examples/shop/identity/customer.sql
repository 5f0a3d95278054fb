-- Ids of systems are the strongest; an address or a number may be shared and is weighed by how many people use it.
-- Records that no identifier ties are joined when what they say of a person agrees: the more it says, the earlier.
CREATE IDENTITY GRAPH customer
  IDENTIFIERS (
    crm_id PRIORITY 1,
    customer_id PRIORITY 1,
    loyalty_card PRIORITY 1,
    email NORMALIZE email PRIORITY 2 LIMIT 8,
    phone NORMALIZE phone('PL') PRIORITY 3 LIMIT 6,
    anonymous_id PRIORITY 20
  )
  MATCH (
    name_birth EXACT ON (name, birth_date) PRIORITY 4,
    name_address EXACT ON (name, street, postal_code) PRIORITY 5,
    name_postal EXACT ON (name, postal_code) PRIORITY 6,
    name_street EXACT ON (name, street, city) PRIORITY 7,
    address EXACT ON (street, postal_code) PRIORITY 8,
    birth_surname EXACT ON (birth_date, last_name) PRIORITY 9,
    birth_given_name EXACT ON (birth_date, first_name) PRIORITY 10
  )
  WITH (merge_limit = 12, shared_limit = 5);
COMMENT ON IDENTITY GRAPH customer IS 'Which records, devices and cards are one customer';
