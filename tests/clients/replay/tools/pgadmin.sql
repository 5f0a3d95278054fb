-- What pgAdmin sends when it connects, and when its tree and its dashboard are opened.
-- After: pgadmin-org/pgadmin4, web/pgadmin/utils/driver/psycopg3/connection.py and the templates of web/pgadmin/browser and
-- web/pgadmin/dashboard (PostgreSQL License). The statements are our own: they use the relations, functions and forms that pgAdmin does.

-- :: {"kind": "simple"}
SET DateStyle=ISO;
SET client_min_messages=notice;
SELECT set_config('bytea_output','hex',false) FROM pg_show_all_settings() WHERE name = 'bytea_output';
SET client_encoding='UNICODE';

-- :: {"kind": "simple"}
SELECT d.oid AS did, d.datname, d.datallowconn, pg_encoding_to_char(d.encoding) AS encoding,
  has_database_privilege(d.oid, 'CREATE') AS can_create, d.datistemplate
FROM pg_catalog.pg_database d WHERE d.datname = current_database()

-- :: {"kind": "simple"}
SELECT n.oid, n.nspname AS name, pg_catalog.has_schema_privilege(n.oid, 'CREATE') AS can_create,
  pg_catalog.has_schema_privilege(n.oid, 'USAGE') AS has_usage, c.description
FROM pg_catalog.pg_namespace n
LEFT OUTER JOIN pg_catalog.pg_description c ON (c.objoid = n.oid AND c.classoid = 'pg_namespace'::regclass)
WHERE n.nspname NOT LIKE E'pg\\_%' ORDER BY n.nspname

-- :: {"kind": "simple"}
SELECT r.oid, r.relname AS name,
  (SELECT count(*) FROM pg_catalog.pg_trigger WHERE tgrelid = r.oid AND tgisinternal = FALSE) AS triggers,
  (CASE WHEN r.relkind = 'p' THEN true ELSE false END) AS is_partitioned,
  (SELECT count(1) FROM pg_catalog.pg_inherits WHERE inhrelid = r.oid LIMIT 1) AS inherits, c.description
FROM pg_catalog.pg_class r
LEFT OUTER JOIN pg_catalog.pg_description c ON (c.objoid = r.oid AND c.objsubid = 0 AND c.classoid = 'pg_class'::regclass)
WHERE r.relkind IN ('r', 's', 't', 'p') AND r.relnamespace = 2200::oid AND NOT r.relispartition ORDER BY r.relname

-- :: {"kind": "simple"}
SELECT DISTINCT a.attname AS name, a.attnum AS oid, pg_catalog.format_type(t.oid, NULL) AS datatype, a.attnotnull AS not_null,
  CASE WHEN a.atthasdef OR a.attidentity != '' OR t.typdefault IS NOT NULL THEN True ELSE False END AS has_default, s.seqtypid
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
LEFT OUTER JOIN pg_catalog.pg_depend d ON d.refobjid = a.attrelid AND d.deptype = 'i' AND d.refobjsubid = a.attnum
LEFT OUTER JOIN pg_catalog.pg_sequence s ON s.seqrelid = d.objid
WHERE a.attrelid = 'profiles'::regclass::oid AND a.attnum > 0 AND a.attisdropped IS FALSE ORDER BY a.attnum

-- :: {"kind": "simple"}
SELECT 'session_stats' AS chart_name, pg_catalog.row_to_json(t) AS chart_data
FROM (SELECT
  (SELECT count(*) FROM pg_catalog.pg_stat_activity) AS "Total",
  (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE state = 'active') AS "Active",
  (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE state = 'idle') AS "Idle") t
UNION ALL
SELECT 'tps_stats' AS chart_name, pg_catalog.row_to_json(t) AS chart_data
FROM (SELECT (SELECT sum(xact_commit) + sum(xact_rollback) FROM pg_catalog.pg_stat_database) AS "Transactions") t

-- :: {"kind": "simple"}
SELECT pid, datname, usename, application_name, client_addr,
  pg_catalog.to_char(backend_start, 'YYYY-MM-DD HH24:MI:SS TZ') AS backend_start, state,
  wait_event_type || ': ' || wait_event AS wait_event, array_to_string(pg_catalog.pg_blocking_pids(pid), ', ') AS blocking_pids,
  query, pg_catalog.to_char(query_start, 'YYYY-MM-DD HH24:MI:SS TZ') AS query_start, backend_type
FROM pg_catalog.pg_stat_activity WHERE datname = current_database() ORDER BY pid
