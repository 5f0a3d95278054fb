CREATE SYNC lapsed_mail FROM SEGMENT lapsed_customers TO mailer FOR PURPOSE email_marketing
  COLUMNS (email, first_name, country);
COMMENT ON SYNC lapsed_mail IS 'Win back customers who have not bought for half a year';
