CREATE SEGMENT v ON person FOR PURPOSE service WHERE active;
COMMENT ON SEGMENT v IS 'What the statements expect as a view';
