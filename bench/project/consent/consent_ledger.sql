CREATE CONSENT FEED consent_ledger AS
SELECT identifier_kind, identifier, purpose, status, captured_at
FROM sources.consent_ledger;
