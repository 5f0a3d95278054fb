-- What tools that migrate schemas ask: Flyway of what a schema holds, with the lock that it takes before it begins, and Liquibase of
-- columns and sequences.
-- After: flyway/flyway, flyway-database/flyway-database-postgresql/src/main/java/org/flywaydb/database/postgresql at c5e20fc
-- (Apache-2.0), and liquibase/liquibase, liquibase-standard/src/main/java/liquibase at cdbdec7 (Apache-2.0). The statements are our
-- own: they use the relations, functions and forms that those do.

-- :: {"kind": "ext"}
SELECT CURRENT_USER

-- :: {"kind": "ext", "params": ["\"public\",segments"]}
SELECT set_config('search_path', $1, false)

-- :: {"kind": "ext"}
SELECT rolname FROM pg_roles WHERE rolname ILIKE 'rds_superuser'

-- :: {"kind": "ext", "rows": true}
SELECT pg_try_advisory_lock(77431708279161)

-- :: {"kind": "ext", "rows": true}
SELECT pg_advisory_unlock(77431708279161)

-- :: {"kind": "ext", "params": ["public"], "rows": true}
SELECT EXISTS (
  SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_depend d ON d.objid = c.oid AND d.deptype = 'e'
  WHERE n.nspname = $1 AND d.objid IS NULL AND c.relkind IN ('r', 'v', 'S', 't')
  UNION ALL
  SELECT t.oid FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
  LEFT JOIN pg_catalog.pg_depend d ON d.objid = t.oid AND d.deptype = 'e'
  WHERE n.nspname = $1 AND d.objid IS NULL AND t.typcategory NOT IN ('A', 'C')
  UNION ALL
  SELECT p.oid FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
  LEFT JOIN pg_catalog.pg_depend d ON d.objid = p.oid AND d.deptype = 'e' WHERE n.nspname = $1 AND d.objid IS NULL)

-- :: {"kind": "ext", "params": ["public"]}
SELECT typname, typcategory FROM pg_catalog.pg_type t LEFT JOIN pg_depend dep ON dep.objid = t.oid AND dep.deptype = 'e'
WHERE (t.typrelid = 0 OR (SELECT c.relkind = 'c' FROM pg_catalog.pg_class c WHERE c.oid = t.typrelid))
  AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_type el WHERE el.oid = t.typelem AND el.typarray = t.oid)
  AND t.typnamespace IN (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $1) AND dep.objid IS NULL AND t.typtype != 'd'

-- :: {"kind": "ext", "params": ["public"]}
SELECT proname, oidvectortypes(proargtypes) AS args, pg_proc.prokind = 'a' AS agg, pg_proc.prokind = 'p' AS proc
FROM pg_proc INNER JOIN pg_namespace ns ON (pg_proc.pronamespace = ns.oid)
LEFT JOIN pg_depend dep ON dep.objid = pg_proc.oid AND dep.deptype = 'e' WHERE ns.nspname = $1 AND dep.objid IS NULL

-- :: {"kind": "ext", "rows": true}
SELECT proname, oidvectortypes(proargtypes) AS args FROM pg_catalog.pg_proc
WHERE proname IN ('pg_relation_size', 'set_config', 'has_table_privilege', 'now', 'array_append')

-- :: {"kind": "ext", "params": ["public"]}
SELECT t.table_name FROM information_schema.tables t
LEFT JOIN pg_depend dep ON dep.objid = (quote_ident(t.table_schema) || '.' || quote_ident(t.table_name))::regclass::oid AND dep.deptype = 'e'
WHERE table_schema = $1 AND table_type = 'BASE TABLE' AND dep.objid IS NULL
  AND NOT (SELECT EXISTS (SELECT inhrelid FROM pg_catalog.pg_inherits
    WHERE inhrelid = (quote_ident(t.table_schema) || '.' || quote_ident(t.table_name))::regclass::oid))

-- :: {"kind": "ext", "params": ["public", "profiles", "email"]}
SELECT 1 FROM pg_attribute a WHERE EXISTS (
  SELECT 1 FROM pg_class JOIN pg_catalog.pg_namespace ns ON ns.oid = pg_class.relnamespace
  WHERE lower(ns.nspname) = $1 AND lower(relname) = lower($2) AND pg_class.oid = a.attrelid) AND lower(a.attname) = lower($3)

-- :: {"kind": "ext", "params": ["public"]}
SELECT c.relname AS "SEQUENCE_NAME", s.seqmin AS "MIN_VALUE", s.seqmax AS "MAX_VALUE", s.seqincrement AS "INCREMENT_BY",
  s.seqcycle AS "WILL_CYCLE", s.seqstart AS "START_VALUE", s.seqcache AS "CACHE_SIZE", pg_catalog.format_type(s.seqtypid, NULL) AS "SEQ_TYPE"
FROM pg_sequence s JOIN pg_class c ON s.seqrelid = c.oid JOIN pg_namespace ns ON c.relnamespace = ns.oid
WHERE c.relkind = 'S' AND ns.nspname = $1 AND c.oid NOT IN (
  SELECT d.objid FROM pg_depend d WHERE d.refobjsubid > 0 AND EXISTS (
    SELECT 1 FROM pg_attribute a JOIN pg_class t ON t.oid = d.refobjid AND a.attrelid = t.oid AND a.attnum = d.refobjsubid
    LEFT JOIN pg_catalog.pg_attrdef ad ON ad.adrelid = a.attrelid AND ad.adnum = a.attnum
    WHERE a.attidentity <> '' OR pg_get_expr(ad.adbin, ad.adrelid) LIKE 'nextval%'))

-- :: {"kind": "ext"}
SELECT setting FROM pg_settings WHERE name = 'edb_redwood_date'

-- :: {"kind": "ext", "params": ["public", "profiles"]}
SELECT ct.relname AS table_name, a.attname AS column_name, (i.keys).n AS key_seq, ci.relname AS pk_name FROM pg_catalog.pg_class ct
JOIN pg_catalog.pg_attribute a ON (ct.oid = a.attrelid) JOIN pg_catalog.pg_namespace n ON (ct.relnamespace = n.oid)
JOIN (SELECT i.indexrelid, i.indrelid, i.indisprimary, information_schema._pg_expandarray(i.indkey) AS keys FROM pg_catalog.pg_index i) i
  ON (a.attnum = (i.keys).x AND a.attrelid = i.indrelid)
JOIN pg_catalog.pg_class ci ON (ci.oid = i.indexrelid) WHERE n.nspname = $1 AND ct.relname = $2 AND i.indisprimary ORDER BY key_seq
