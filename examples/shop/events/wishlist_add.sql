CREATE EVENT wishlist_add (sku text, session text, lifecycle text);
COMMENT ON EVENT wishlist_add IS 'A product was put on the wish list';
