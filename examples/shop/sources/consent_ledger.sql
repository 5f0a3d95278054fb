CREATE SOURCE consent_ledger (
    identifier_kind text, identifier text, purpose text, status text, channel text, captured_at timestamptz,
    source text, notice_version text, jurisdiction text
  )
  FROM FILE ('data/consent/*.csv') FORMAT csv
  AS EVENTS EVENT TIME captured_at
  PUBLIC (identifier_kind, purpose, status, channel, source, notice_version, jurisdiction)
  ON ERROR FAIL;
COMMENT ON SOURCE consent_ledger IS 'Every yes and no, in order of arrival';
