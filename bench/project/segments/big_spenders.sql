CREATE SEGMENT big_spenders ON customer FOR PURPOSE analytics EVERY '30 days'
WHERE total_spent >= 500;
