CREATE SEGMENT big_spenders ON customer FOR PURPOSE analytics EVERY '1 hour'
WHERE total_spent >= 250;
COMMENT ON SEGMENT big_spenders IS 'Spent 250 dollars or more';
