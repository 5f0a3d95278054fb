CREATE ATTRIBUTE loyalty_points ON customer
  FROM (loyalty_members.points)
  RESOLVE BY LATEST;
COMMENT ON ATTRIBUTE loyalty_points IS 'Points on the loyalty card joined last';
