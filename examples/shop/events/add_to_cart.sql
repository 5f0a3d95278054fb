CREATE EVENT add_to_cart (sku text, session text, lifecycle text);
COMMENT ON EVENT add_to_cart IS 'A product was put into the cart';
