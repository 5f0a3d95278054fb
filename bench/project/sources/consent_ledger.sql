CREATE SOURCE consent_ledger (
    identifier_kind text, identifier text, purpose text, status text, captured_at timestamptz
  )
  FROM FILE ('data/consent/*.csv') FORMAT csv
  AS EVENTS EVENT TIME captured_at
  PUBLIC (identifier_kind, purpose, status)
  ON ERROR FAIL;
COMMENT ON SOURCE consent_ledger IS 'A yes of about nine people in ten';
