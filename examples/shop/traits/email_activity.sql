CREATE TRAIT email_activity ON customer EVERY '1 hour' AS
SELECT profile_id,
       count(*) FILTER (WHERE event = 'delivered') AS mails_delivered,
       count(*) FILTER (WHERE event = 'opened') AS mails_opened,
       count(*) FILTER (WHERE event = 'clicked') AS mails_clicked,
       max(occurred_at) FILTER (WHERE event IN ('opened', 'clicked')) AS last_mail_read_at
FROM sources.email_engagement
WHERE profile_id IS NOT NULL
GROUP BY profile_id;
COMMENT ON TRAIT email_activity IS 'Which mails a customer got and read';
