CREATE DESTINATION mailer TO FILE ('out/{segment}/{run}.csv') FORMAT csv;
COMMENT ON DESTINATION mailer IS 'A folder that the mailing tool picks up from';
