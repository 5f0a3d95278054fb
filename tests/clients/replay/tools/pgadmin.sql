-- What pgAdmin sends when it connects, when its tree and its dashboard are opened, and when the properties of something are looked at.
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

-- :: {"kind": "simple"}
SELECT 'relacl' AS deftype, COALESCE(gt.rolname, 'PUBLIC') AS grantee, g.rolname AS grantor,
  pg_catalog.array_agg(b.privilege_type ORDER BY b.privilege_type) AS privileges, pg_catalog.array_agg(b.is_grantable) AS grantable
FROM (SELECT (d).grantee AS grantee, (d).grantor AS grantor, (d).is_grantable AS is_grantable,
    CASE (d).privilege_type WHEN 'SELECT' THEN 'r' WHEN 'INSERT' THEN 'a' ELSE 'UNKNOWN' END AS privilege_type
  FROM (SELECT pg_catalog.aclexplode(rel.relacl) AS d FROM pg_catalog.pg_class rel WHERE rel.oid = 'profiles'::regclass::oid) a) b
LEFT JOIN pg_catalog.pg_roles g ON (b.grantor = g.oid) LEFT JOIN pg_catalog.pg_roles gt ON (b.grantee = gt.oid)
GROUP BY g.rolname, gt.rolname ORDER BY grantee

-- :: {"kind": "simple"}
SELECT CASE (a.deftype) WHEN 'r' THEN 'deftblacl' WHEN 'S' THEN 'defseqacl' ELSE 'UNKNOWN' END AS deftype, a.deftype AS acltype,
  COALESCE(gt.rolname, 'PUBLIC') AS grantee, pg_catalog.array_agg(a.privilege_type) AS privileges
FROM (SELECT (acl).grantee AS grantee, (acl).privilege_type AS privilege_type, d.defaclobjtype AS deftype
  FROM (SELECT defaclobjtype, pg_catalog.aclexplode(defaclacl) AS acl FROM pg_catalog.pg_default_acl dacl
    WHERE dacl.defaclnamespace = 2200::oid) d) a
LEFT JOIN pg_catalog.pg_roles gt ON (a.grantee = gt.oid) GROUP BY gt.rolname, a.deftype ORDER BY a.deftype

-- :: {"kind": "simple"}
SELECT DISTINCT ON (att.attnum) att.attname AS name, att.atttypid, att.attnum, att.attstorage, att.attidentity,
  pg_catalog.pg_get_expr(def.adbin, def.adrelid) AS defval, pg_catalog.format_type(ty.oid, att.atttypmod) AS cltype,
  CASE WHEN ty.typelem > 0 THEN ty.typelem ELSE ty.oid END AS elemoid,
  (SELECT nspname FROM pg_catalog.pg_namespace WHERE oid = ty.typnamespace) AS typnspname, description,
  (SELECT count(1) FROM pg_catalog.pg_type t2 WHERE t2.typname = ty.typname) > 1 AS isdup,
  CASE WHEN length(coll.collname::text) > 0 AND length(nspc.nspname::text) > 0
    THEN pg_catalog.concat(pg_catalog.quote_ident(nspc.nspname), '.', pg_catalog.quote_ident(coll.collname)) ELSE '' END AS collspcname,
  EXISTS (SELECT 1 FROM pg_catalog.pg_constraint WHERE conrelid = att.attrelid AND contype = 'f' AND att.attnum = ANY (conkey)) AS is_fk
FROM pg_catalog.pg_attribute att
JOIN pg_catalog.pg_type ty ON ty.oid = atttypid
LEFT OUTER JOIN pg_catalog.pg_attrdef def ON adrelid = att.attrelid AND adnum = att.attnum
LEFT OUTER JOIN pg_catalog.pg_description des
  ON (des.objoid = att.attrelid AND des.objsubid = att.attnum AND des.classoid = 'pg_class'::regclass)
LEFT OUTER JOIN pg_catalog.pg_index pi ON pi.indrelid = att.attrelid AND indisprimary
LEFT OUTER JOIN pg_catalog.pg_collation coll ON att.attcollation = coll.oid
LEFT OUTER JOIN pg_catalog.pg_namespace nspc ON coll.collnamespace = nspc.oid
WHERE att.attrelid = 'profiles'::regclass::oid AND att.attnum > 0 AND att.attisdropped IS FALSE ORDER BY att.attnum

-- :: {"kind": "simple"}
SELECT DISTINCT ON (cls.relname) cls.oid, cls.relname AS name,
  (SELECT (CASE WHEN count(i.inhrelid) > 0 THEN true ELSE false END) FROM pg_catalog.pg_inherits i WHERE i.inhrelid = cls.oid) AS is_inherited,
  CASE WHEN contype IN ('p', 'u', 'x') THEN desp.description ELSE des.description END AS description
FROM pg_catalog.pg_index idx
JOIN pg_catalog.pg_class cls ON cls.oid = indexrelid
JOIN pg_catalog.pg_class tab ON tab.oid = indrelid
LEFT JOIN pg_catalog.pg_depend dep ON (dep.classid = cls.tableoid AND dep.objid = cls.oid AND dep.refobjsubid = '0'
  AND dep.refclassid = (SELECT oid FROM pg_catalog.pg_class WHERE relname = 'pg_constraint') AND dep.deptype = 'i')
LEFT OUTER JOIN pg_catalog.pg_constraint con ON (con.tableoid = dep.refclassid AND con.oid = dep.refobjid)
LEFT OUTER JOIN pg_catalog.pg_description des ON (des.objoid = cls.oid AND des.classoid = 'pg_class'::regclass)
LEFT OUTER JOIN pg_catalog.pg_description desp
  ON (desp.objoid = con.oid AND desp.objsubid = 0 AND desp.classoid = 'pg_constraint'::regclass)
WHERE indrelid = 'profiles'::regclass::oid AND conname IS NULL ORDER BY cls.relname

-- :: {"kind": "simple"}
SELECT pr.oid, pr.proname, pr.prosrc, pr.pronamespace, pr.prolang, pr.procost, pr.prorows, pr.prokind, pr.proretset, pr.provolatile,
  pr.proparallel, pr.pronargs, pr.prorettype, pr.proargtypes, typ.typname AS prorettypename, typns.nspname AS typnsp, lanname,
  proargnames, oidvectortypes(proargtypes) AS proargtypenames, proargmodes, pg_catalog.pg_get_expr(proargdefaults, 'pg_catalog.pg_class'::regclass) AS proargdefaultvals,
  proconfig, pg_catalog.pg_get_userbyid(proowner) AS funcowner, description
FROM pg_catalog.pg_proc pr
JOIN pg_catalog.pg_type typ ON typ.oid = prorettype
JOIN pg_catalog.pg_namespace typns ON typns.oid = typ.typnamespace
JOIN pg_catalog.pg_language lng ON lng.oid = prolang
LEFT OUTER JOIN pg_catalog.pg_description des ON (des.objoid = pr.oid AND des.classoid = 'pg_proc'::regclass AND des.objsubid = 0)
WHERE pr.prokind IN ('f', 'w') AND typname NOT IN ('trigger', 'event_trigger') AND pronamespace = 2200::oid ORDER BY proname

-- :: {"kind": "simple"}
SELECT c.oid, c.relname AS name, c.relkind, description AS comment, pg_catalog.pg_get_userbyid(c.relowner) AS owner,
  pg_catalog.array_to_string(c.relacl::text[], ', ') AS acl, pg_catalog.pg_get_viewdef(c.oid, true) AS definition,
  (SELECT pg_catalog.array_agg(provider || '=' || label) FROM pg_catalog.pg_seclabels sl1 WHERE sl1.objoid = c.oid AND sl1.objsubid = 0) AS seclabels,
  substring(pg_catalog.array_to_string(c.reloptions, ',') FROM 'check_option=([a-z]*)') AS check_option,
  (substring(pg_catalog.array_to_string(c.reloptions, ',') FROM 'security_barrier=([a-z|0-9]*)'))::boolean AS security_barrier
FROM pg_catalog.pg_class c
LEFT OUTER JOIN pg_catalog.pg_description des ON (des.objoid = c.oid AND des.objsubid = 0 AND des.classoid = 'pg_class'::regclass)
WHERE ((c.relhasrules AND (EXISTS (SELECT r.rulename FROM pg_catalog.pg_rewrite r
    WHERE ((r.ev_class = c.oid) AND (bpchar(r.ev_type) = '1'::bpchar))))) AND c.relkind = 'v'::char) ORDER BY c.relname

-- :: {"kind": "simple"}
SELECT t.oid, t.tgname AS name, t.tgenabled AS is_enable_trigger, t.tgargs, relname, nspname, des.description, l.lanname,
  COALESCE(pg_catalog.substring(pg_catalog.pg_get_triggerdef(t.oid, true), 'WHEN (.*) EXECUTE (PROCEDURE|FUNCTION)'),
    pg_catalog.substring(pg_catalog.pg_get_triggerdef(t.oid, true), 'WHEN (.*)  \$trigger')) AS whenclause,
  (pg_catalog.string_to_array(encode(tgargs, 'escape'), E'\\000')::text[])[1:tgnargs] AS custom_tgargs,
  (CASE WHEN tgconstraint != 0::oid THEN true ELSE false END) AS is_constraint_trigger, tgoldtable, tgnewtable
FROM pg_catalog.pg_trigger t
JOIN pg_catalog.pg_class cl ON cl.oid = tgrelid JOIN pg_catalog.pg_namespace na ON na.oid = relnamespace
LEFT OUTER JOIN pg_catalog.pg_description des ON (des.objoid = t.oid AND des.classoid = 'pg_trigger'::regclass)
LEFT OUTER JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid LEFT OUTER JOIN pg_catalog.pg_language l ON l.oid = p.prolang
WHERE NOT tgisinternal AND tgrelid = 'profiles'::regclass::oid ORDER BY tgname

-- :: {"kind": "simple"}
SELECT c.oid, c.relname AS name, pg_catalog.pg_get_userbyid(relowner) AS owner, ftoptions, nspname AS basensp, description,
  (SELECT count(*) FROM pg_catalog.pg_trigger WHERE tgrelid = c.oid AND tgisinternal = FALSE) AS triggercount
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_foreign_table ft ON c.oid = ft.ftrelid
LEFT OUTER JOIN pg_catalog.pg_namespace nsp ON (nsp.oid = c.relnamespace)
LEFT OUTER JOIN pg_catalog.pg_description des ON (des.objoid = c.oid AND des.classoid = 'pg_class'::regclass AND des.objsubid = 0)
WHERE c.relkind = 'f' AND c.relnamespace = 2200::oid ORDER BY c.relname

-- :: {"kind": "simple"}
SELECT CASE WHEN usesuper THEN pg_catalog.pg_is_in_recovery() ELSE FALSE END AS inrecovery,
  CASE WHEN usesuper AND pg_catalog.pg_is_in_recovery() THEN pg_is_wal_replay_paused() ELSE FALSE END AS isreplaypaused
FROM pg_catalog.pg_user WHERE usename = current_user

-- :: {"kind": "simple"}
SELECT pid, 'Standby [' || COALESCE(host(client_addr), client_hostname, 'Socket') || ']' AS name
FROM pg_catalog.pg_stat_replication ORDER BY pid
