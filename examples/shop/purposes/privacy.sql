CREATE PURPOSE privacy LEGAL BASIS legal_obligation;
COMMENT ON PURPOSE privacy IS 'Answering for consent: the ledger and the logs, nobody''s profile';
