CREATE PURPOSE sms_marketing LEGAL BASIS consent;
COMMENT ON PURPOSE sms_marketing IS 'Offers by text message';
