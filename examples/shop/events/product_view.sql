CREATE EVENT product_view (sku text, session text, lifecycle text);
COMMENT ON EVENT product_view IS 'A product was looked at';
