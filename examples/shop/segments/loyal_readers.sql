CREATE SEGMENT loyal_readers ON customer FOR PURPOSE email_marketing EVERY '1 hour'
WHERE mails_opened >= 3 AND mails_clicked >= 1;
COMMENT ON SEGMENT loyal_readers IS 'Opens the mails and follows them';
