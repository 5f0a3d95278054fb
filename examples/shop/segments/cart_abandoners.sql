CREATE SEGMENT cart_abandoners ON customer FOR PURPOSE analytics EVERY '1 hour' AS
SELECT carts.profile_id
FROM (SELECT profile_id, max(occurred_at) AS carted_at FROM events WHERE event = 'add_to_cart' GROUP BY profile_id) carts
LEFT JOIN (SELECT profile_id, max(occurred_at) AS paid_at FROM events WHERE event = 'purchase' GROUP BY profile_id) paid
  ON paid.profile_id = carts.profile_id
WHERE paid.paid_at IS NULL OR paid.paid_at < carts.carted_at;
COMMENT ON SEGMENT cart_abandoners IS 'Put something into the cart and has not paid since';
