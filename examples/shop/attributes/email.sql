CREATE ATTRIBUTE email ON customer
  FROM (normalize_email(crm_contacts.email),
        normalize_email(shop_customers.email),
        normalize_email(loyalty_members.email))
  RESOLVE BY LATEST;
COMMENT ON ATTRIBUTE email IS 'The mailbox heard of last';
