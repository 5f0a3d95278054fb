CREATE EVENT purchase (session text);
COMMENT ON EVENT purchase IS 'The cart was paid';
