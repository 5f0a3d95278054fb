-- What Supabase Studio reads of tables, columns, schemas, policies, roles and types, and what its linter asks of foreign keys.
-- After: supabase/postgres-meta, src/lib/sql (Apache-2.0), and supabase/splinter (MIT). The statements are our own: they use the
-- relations, functions and forms that those do.

-- :: {"kind": "ext"}
WITH tables AS (
  SELECT c.oid::int8 AS id, n.nspname AS schema, c.relname AS name, c.relrowsecurity AS rls_enabled, c.relforcerowsecurity AS rls_forced,
    CASE c.relreplident WHEN 'd' THEN 'DEFAULT' WHEN 'i' THEN 'INDEX' WHEN 'f' THEN 'FULL' ELSE 'NOTHING' END AS replica_identity,
    pg_total_relation_size(format('%I.%I', n.nspname, c.relname))::int8 AS bytes,
    pg_size_pretty(pg_total_relation_size(format('%I.%I', n.nspname, c.relname))) AS size,
    pg_stat_get_live_tuples(c.oid) AS live_rows_estimate, pg_stat_get_dead_tuples(c.oid) AS dead_rows_estimate, obj_description(c.oid) AS comment,
    coalesce(pk.primary_keys, '[]') AS primary_keys,
    coalesce(jsonb_agg(rel) FILTER (WHERE rel IS NOT NULL), '[]') AS relationships
  FROM pg_namespace n JOIN pg_class c ON n.oid = c.relnamespace
  LEFT JOIN (
    SELECT key.table_id, jsonb_agg(jsonb_build_object('schema', key.schema, 'table_name', key.table_name, 'name', key.name,
      'table_id', key.table_id::int8) ORDER BY array_position(key.indkey, key.attnum)) AS primary_keys
    FROM (
      SELECT t.oid AS table_id, i.indkey, kn.nspname AS schema, t.relname AS table_name, a.attname AS name, a.attnum
      FROM pg_index i, pg_class t, pg_attribute a, pg_namespace kn
      WHERE i.indrelid = t.oid AND t.relnamespace = kn.oid AND a.attrelid = t.oid AND a.attnum = ANY (i.indkey) AND i.indisprimary
    ) AS key GROUP BY key.table_id
  ) AS pk ON pk.table_id = c.oid
  LEFT JOIN (
    SELECT f.oid::int8 AS id, f.conname AS constraint_name, sn.nspname AS source_schema, sc.relname AS source_table_name,
      sa.attname AS source_column_name, tn.nspname AS target_table_schema, tc.relname AS target_table_name, ta.attname AS target_column_name
    FROM pg_constraint f
    JOIN (pg_attribute sa JOIN pg_class sc ON sa.attrelid = sc.oid JOIN pg_namespace sn ON sc.relnamespace = sn.oid)
      ON sa.attrelid = f.conrelid AND sa.attnum = ANY (f.conkey)
    JOIN (pg_attribute ta JOIN pg_class tc ON ta.attrelid = tc.oid JOIN pg_namespace tn ON tc.relnamespace = tn.oid)
      ON ta.attrelid = f.confrelid AND ta.attnum = ANY (f.confkey)
    WHERE f.contype = 'f'
  ) AS rel ON (rel.source_schema = n.nspname AND rel.source_table_name = c.relname)
    OR (rel.target_table_schema = n.nspname AND rel.target_table_name = c.relname)
  WHERE c.relkind IN ('r', 'p') AND NOT pg_is_other_temp_schema(n.oid)
    AND (pg_has_role(c.relowner, 'USAGE') OR has_table_privilege(c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
      OR has_any_column_privilege(c.oid, 'SELECT, INSERT, UPDATE, REFERENCES'))
  GROUP BY c.oid, c.relname, c.relrowsecurity, c.relforcerowsecurity, c.relreplident, n.nspname, pk.primary_keys),
columns AS (
  SELECT c.oid::int8 AS table_id, n.nspname AS schema, c.relname AS table, (c.oid || '.' || a.attnum) AS id, a.attnum AS ordinal_position,
    a.attname AS name, CASE WHEN a.atthasdef THEN pg_get_expr(ad.adbin, ad.adrelid) ELSE NULL END AS default_value
  FROM pg_attribute a LEFT JOIN pg_attrdef ad ON a.attrelid = ad.adrelid AND a.attnum = ad.adnum
  JOIN (pg_class c JOIN pg_namespace n ON c.relnamespace = n.oid) ON a.attrelid = c.oid
  WHERE NOT pg_is_other_temp_schema(n.oid) AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'v', 'm', 'f', 'p'))
SELECT *, coalesce((SELECT array_agg(row_to_json(columns)) FILTER (WHERE columns.table_id = tables.id) FROM columns), '{}') AS columns
FROM tables WHERE schema IN ('public') LIMIT 100

-- :: {"kind": "ext"}
SELECT c.oid::int8 AS table_id, n.nspname AS schema, c.relname AS table, (c.oid || '.' || a.attnum) AS id, a.attnum AS ordinal_position,
  a.attname AS name, CASE WHEN a.atthasdef THEN pg_get_expr(ad.adbin, ad.adrelid) ELSE NULL END AS default_value,
  CASE WHEN t.typtype = 'd' THEN CASE WHEN bt.typelem <> 0::oid AND bt.typlen = -1 THEN 'ARRAY'
      WHEN nbt.nspname = 'pg_catalog' THEN format_type(t.typbasetype, NULL) ELSE 'USER-DEFINED' END
    ELSE CASE WHEN t.typelem <> 0::oid AND t.typlen = -1 THEN 'ARRAY'
      WHEN nt.nspname = 'pg_catalog' THEN format_type(a.atttypid, NULL) ELSE 'USER-DEFINED' END END AS data_type,
  coalesce(bt.typname, t.typname) AS format, a.attidentity IN ('a', 'd') AS is_identity,
  CASE a.attidentity WHEN 'a' THEN 'ALWAYS' WHEN 'd' THEN 'BY DEFAULT' ELSE NULL END AS identity_generation,
  a.attgenerated IN ('s') AS is_generated, NOT (a.attnotnull OR t.typtype = 'd' AND t.typnotnull) AS is_nullable,
  (c.relkind IN ('r', 'p') OR c.relkind IN ('v', 'f') AND pg_column_is_updatable(c.oid, a.attnum, FALSE)) AS is_updatable,
  uniques.table_id IS NOT NULL AS is_unique, checks.definition AS "check",
  array_to_json(array(SELECT enumlabel FROM pg_catalog.pg_enum enums WHERE enums.enumtypid = coalesce(bt.oid, t.oid)
    OR enums.enumtypid = coalesce(bt.typelem, t.typelem) ORDER BY enums.enumsortorder)) AS enums,
  col_description(c.oid, a.attnum) AS comment
FROM pg_attribute a LEFT JOIN pg_attrdef ad ON a.attrelid = ad.adrelid AND a.attnum = ad.adnum
JOIN (pg_class c JOIN pg_namespace n ON c.relnamespace = n.oid) ON a.attrelid = c.oid
JOIN (pg_type t JOIN pg_namespace nt ON t.typnamespace = nt.oid) ON a.atttypid = t.oid
LEFT JOIN (pg_type bt JOIN pg_namespace nbt ON bt.typnamespace = nbt.oid) ON t.typtype = 'd' AND t.typbasetype = bt.oid
LEFT JOIN (SELECT DISTINCT ON (table_id, ordinal_position) conrelid AS table_id, conkey[1] AS ordinal_position
  FROM pg_catalog.pg_constraint WHERE contype = 'u' AND cardinality(conkey) = 1) AS uniques
  ON uniques.table_id = c.oid AND uniques.ordinal_position = a.attnum
LEFT JOIN (SELECT DISTINCT ON (table_id, ordinal_position) conrelid AS table_id, conkey[1] AS ordinal_position,
    substring(pg_get_constraintdef(pg_constraint.oid, true), 8, length(pg_get_constraintdef(pg_constraint.oid, true)) - 8) AS definition
  FROM pg_constraint WHERE contype = 'c' AND cardinality(conkey) = 1 ORDER BY table_id, ordinal_position, oid ASC) AS checks
  ON checks.table_id = c.oid AND checks.ordinal_position = a.attnum
WHERE n.nspname NOT IN ('information_schema', 'pg_catalog', 'pg_toast') AND NOT pg_is_other_temp_schema(n.oid) AND a.attnum > 0
  AND NOT a.attisdropped AND c.relkind IN ('r', 'v', 'm', 'f', 'p')
  AND (pg_has_role(c.relowner, 'USAGE') OR has_column_privilege(c.oid, a.attnum, 'SELECT, INSERT, UPDATE, REFERENCES'))

-- :: {"kind": "ext"}
SELECT n.oid::int8 AS id, n.nspname AS name, u.rolname AS owner FROM pg_namespace n, pg_roles u
WHERE n.nspowner = u.oid AND (pg_has_role(n.nspowner, 'USAGE') OR has_schema_privilege(n.oid, 'CREATE, USAGE'))
  AND NOT pg_catalog.starts_with(n.nspname, 'pg_temp_') AND NOT pg_catalog.starts_with(n.nspname, 'pg_toast_temp_')
  AND n.nspname NOT IN ('information_schema', 'pg_catalog', 'pg_toast')

-- :: {"kind": "ext"}
SELECT name, setting, category, TRIM(split_part(category, '/', 1)) AS group, TRIM(split_part(category, '/', 2)) AS subgroup, unit, short_desc,
  extra_desc, context, vartype, source, min_val, max_val, enumvals, boot_val, reset_val, sourcefile, sourceline, pending_restart
FROM pg_settings ORDER BY category, name LIMIT 5

-- :: {"kind": "ext"}
SELECT e.name, n.nspname AS schema, e.default_version, x.extversion AS installed_version, e.comment
FROM pg_available_extensions() e(name, default_version, comment) LEFT JOIN pg_extension x ON e.name = x.extname
LEFT JOIN pg_namespace n ON x.extnamespace = n.oid

-- :: {"kind": "ext"}
SELECT pol.oid::int8 AS id, n.nspname AS schema, c.relname AS table, c.oid::int8 AS table_id, pol.polname AS name,
  CASE WHEN pol.polpermissive THEN 'PERMISSIVE'::text ELSE 'RESTRICTIVE'::text END AS action,
  CASE WHEN pol.polroles = '{0}'::oid[] THEN array_to_json(string_to_array('public'::text, ''::text)::name[])
    ELSE array_to_json(ARRAY(SELECT pg_roles.rolname FROM pg_roles WHERE pg_roles.oid = ANY (pol.polroles) ORDER BY pg_roles.rolname)) END AS roles,
  CASE pol.polcmd WHEN 'r'::"char" THEN 'SELECT'::text WHEN 'a'::"char" THEN 'INSERT'::text WHEN '*'::"char" THEN 'ALL'::text ELSE NULL::text END AS command,
  pg_get_expr(pol.polqual, pol.polrelid) AS definition, pg_get_expr(pol.polwithcheck, pol.polrelid) AS check
FROM pg_policy pol JOIN pg_class c ON c.oid = pol.polrelid LEFT JOIN pg_namespace n ON n.oid = c.relnamespace

-- :: {"kind": "ext"}
SELECT rolname AS name, r.oid::int8 AS id, rolsuper AS is_superuser, rolcreatedb AS can_create_db, rolcreaterole AS can_create_role,
  rolinherit AS inherit_role, rolcanlogin AS can_login, rolreplication AS is_replication_role, rolbypassrls AS can_bypass_rls,
  (SELECT count(*) FROM pg_stat_activity a WHERE r.rolname = a.usename) AS active_connections,
  CASE WHEN rolconnlimit = -1 THEN current_setting('max_connections')::int8 ELSE rolconnlimit END AS connection_limit,
  rolpassword AS password, rolvaliduntil AS valid_until, rolconfig AS config
FROM pg_roles r WHERE NOT pg_catalog.starts_with(r.rolname, 'pg_')

-- :: {"kind": "ext"}
SELECT t.oid::int8 AS id, t.typname AS name, n.nspname AS schema, format_type(t.oid, NULL) AS format, coalesce(t_enums.enums, '[]') AS enums,
  coalesce(t_attributes.attributes, '[]') AS attributes, obj_description(t.oid, 'pg_type') AS comment
FROM pg_type t LEFT JOIN pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN (SELECT enumtypid, jsonb_agg(enumlabel ORDER BY enumsortorder) AS enums FROM pg_enum GROUP BY enumtypid) AS t_enums ON t_enums.enumtypid = t.oid
LEFT JOIN (SELECT oid, jsonb_agg(jsonb_build_object('name', a.attname, 'type_id', a.atttypid::int8) ORDER BY a.attnum ASC) AS attributes
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.relkind = 'c' AND NOT a.attisdropped GROUP BY c.oid) AS t_attributes
  ON t_attributes.oid = t.typrelid
WHERE (t.typrelid = 0 OR (SELECT c.relkind = 'c' FROM pg_class c WHERE c.oid = t.typrelid))
  AND NOT EXISTS (SELECT FROM pg_type el WHERE el.oid = t.typelem AND el.typarray = t.oid) AND n.nspname NOT IN ('information_schema', 'pg_toast')

-- :: {"kind": "ext"}
SELECT version(), current_setting('server_version_num')::int8 AS version_number,
  (SELECT count(*) AS active_connections FROM pg_stat_activity) AS active_connections, current_setting('max_connections')::int8 AS max_connections

-- :: {"kind": "ext"}
SELECT (pg_get_functiondef(p.oid)) IS NULL AS none FROM pg_proc p WHERE p.proname = 'no such function'

-- :: {"kind": "ext"}
WITH foreign_keys AS (
  SELECT cl.relnamespace::regnamespace::text AS schema_name, cl.relname AS table_name, cl.oid AS table_oid, ct.conname AS fkey_name, ct.conkey AS col_attnums
  FROM pg_catalog.pg_constraint ct JOIN pg_catalog.pg_class cl ON ct.conrelid = cl.oid
  LEFT JOIN pg_catalog.pg_depend d ON d.objid = cl.oid AND d.deptype = 'e'
  WHERE ct.contype = 'f' AND d.objid IS NULL AND cl.relnamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema')),
index_ AS (SELECT pi.indrelid AS table_oid, indexrelid::regclass AS index_, string_to_array(indkey::text, ' ')::smallint[] AS col_attnums
  FROM pg_catalog.pg_index pi WHERE indisvalid)
SELECT fk.schema_name, fk.table_name, fk.fkey_name, fk.col_attnums AS fkey_columns
FROM foreign_keys fk LEFT JOIN index_ idx ON fk.table_oid = idx.table_oid AND fk.col_attnums = idx.col_attnums[1:array_length(fk.col_attnums, 1)]
LEFT JOIN pg_catalog.pg_depend dep ON idx.table_oid = dep.objid AND dep.deptype = 'e'
WHERE idx.index_ IS NULL AND dep.objid IS NULL ORDER BY fk.schema_name, fk.table_name, fk.fkey_name
