CREATE PURPOSE email_marketing LEGAL BASIS consent;
COMMENT ON PURPOSE email_marketing IS 'Newsletters and offers by e-mail';
