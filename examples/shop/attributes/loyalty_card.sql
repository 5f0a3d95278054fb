CREATE ATTRIBUTE loyalty_card ON customer
  FROM (loyalty_members.card_number)
  RESOLVE BY LATEST;
COMMENT ON ATTRIBUTE loyalty_card IS 'Number of the loyalty card joined last';
