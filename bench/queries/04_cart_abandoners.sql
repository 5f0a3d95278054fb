-- Put something into the cart after the last purchase.
SELECT carts.profile_id
FROM (SELECT profile_id, max(occurred_at) AS carted_at FROM events WHERE event = 'add_to_cart' GROUP BY profile_id) carts
LEFT JOIN (SELECT profile_id, max(occurred_at) AS paid_at FROM events WHERE event = 'purchase' GROUP BY profile_id) paid
  ON paid.profile_id = carts.profile_id
WHERE carts.profile_id IS NOT NULL AND (paid.paid_at IS NULL OR paid.paid_at < carts.carted_at)
