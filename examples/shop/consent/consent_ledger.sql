-- For each identifier and purpose the row with the latest captured_at stands.
CREATE CONSENT FEED consent_ledger AS
SELECT identifier_kind, identifier, purpose, status, captured_at, channel, source, notice_version, jurisdiction
FROM sources.consent_ledger;
COMMENT ON CONSENT FEED consent_ledger IS 'What people allowed and refused, by identifier';
