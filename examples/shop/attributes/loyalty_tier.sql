CREATE ATTRIBUTE loyalty_tier ON customer
  FROM (loyalty_members.tier)
  RESOLVE BY LATEST;
COMMENT ON ATTRIBUTE loyalty_tier IS 'Tier of the loyalty card joined last';
