CREATE SEGMENT lapsed_customers ON customer FOR PURPOSE email_marketing EVERY '1 hour'
WHERE orders_count >= 2 AND last_order_at < now() - INTERVAL '180 days' AND email IS NOT NULL;
COMMENT ON SEGMENT lapsed_customers IS 'Bought at least twice, but not in the last half year';
