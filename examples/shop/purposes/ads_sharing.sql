CREATE PURPOSE ads_sharing LEGAL BASIS consent;
COMMENT ON PURPOSE ads_sharing IS 'Matching customers with the audiences of advertisers';
