-- What PostgREST reads into its schema cache when it starts, what it sets for each request, and how it asks for rows.
-- After: PostgREST/postgrest, src/PostgREST/SchemaCache.hs, Config/Database.hs and Query (MIT). The statements are our own: they use
-- the relations, functions and forms that those do.

-- :: {"kind": "ext"}
SELECT current_setting('server_version_num')::integer, current_setting('server_version'), version()

-- :: {"kind": "ext", "params": ["pgrst.db_schemas", "authenticator"]}
WITH role_setting AS (
  SELECT r.rolname, unnest(s.setconfig) AS setting FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_roles r ON s.setrole = r.oid
  WHERE s.setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_catalog))),
kv_settings AS (SELECT rolname, substr(setting, 1, strpos(setting, '=') - 1) AS key, lower(substr(setting, strpos(setting, '=') + 1)) AS value FROM role_setting)
SELECT DISTINCT ON (key) replace(key, $1, '') AS key, value FROM kv_settings WHERE key LIKE 'pgrst.%' AND rolname = $2 ORDER BY key, value DESC

-- :: {"kind": "ext"}
WITH role_setting AS (
  SELECT r.rolname, unnest(r.rolconfig) AS setting FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid
  WHERE m.member = current_user::regrole::oid),
kv_settings AS (SELECT rolname, substr(setting, 1, strpos(setting, '=') - 1) AS key, lower(substr(setting, strpos(setting, '=') + 1)) AS value FROM role_setting),
iso_setting AS (SELECT rolname, value FROM kv_settings WHERE key = 'default_transaction_isolation')
SELECT kv.rolname, i.value AS iso_lvl, coalesce(array_agg(row(kv.key, kv.value)) FILTER (WHERE key <> 'default_transaction_isolation'), '{}') AS role_settings
FROM kv_settings kv JOIN pg_settings ps ON ps.name = kv.key AND (ps.context = 'user' OR has_parameter_privilege(current_user::regrole::oid, ps.name, 'set'))
LEFT JOIN iso_setting i ON i.rolname = kv.rolname GROUP BY kv.rolname, i.value

-- :: {"kind": "ext", "params": ["{public,segments}"]}
WITH columns AS (
  SELECT c.oid AS relid, a.attname::name AS column_name, d.description AS description,
    CASE WHEN t.typbasetype != 0 THEN pg_get_expr(t.typdefaultbin, 0)
      WHEN a.attidentity = 'd' THEN format('nextval(%L)', seq.objid::regclass)
      WHEN a.attgenerated = 's' THEN null ELSE pg_get_expr(ad.adbin, ad.adrelid)::text END AS column_default,
    NOT (a.attnotnull OR t.typtype = 'd' AND t.typnotnull) AS is_nullable,
    CASE WHEN t.typtype = 'd' THEN CASE WHEN nbt.nspname = 'pg_catalog'::name THEN format_type(t.typbasetype, NULL::integer)
        ELSE format_type(a.atttypid, a.atttypmod) END
      ELSE CASE WHEN nt.nspname = 'pg_catalog'::name THEN format_type(a.atttypid, NULL::integer)
        ELSE format_type(a.atttypid, a.atttypmod) END END::text AS data_type,
    format_type(a.atttypid, a.atttypmod)::text AS nominal_data_type,
    information_schema._pg_char_max_length(information_schema._pg_truetypid(a.*, t.*), information_schema._pg_truetypmod(a.*, t.*))::integer
      AS character_maximum_length,
    coalesce(bt.oid, t.oid) AS base_type, a.attnum::integer AS position
  FROM pg_attribute a LEFT JOIN pg_description AS d ON d.objoid = a.attrelid AND d.objsubid = a.attnum AND d.classoid = 'pg_class'::regclass
  LEFT JOIN pg_attrdef ad ON a.attrelid = ad.adrelid AND a.attnum = ad.adnum
  JOIN (pg_class c JOIN pg_namespace nc ON c.relnamespace = nc.oid) ON a.attrelid = c.oid
  JOIN (pg_type t JOIN pg_namespace nt ON t.typnamespace = nt.oid) ON a.atttypid = t.oid
  LEFT JOIN (pg_type bt JOIN pg_namespace nbt ON bt.typnamespace = nbt.oid) ON t.typtype = 'd' AND t.typbasetype = bt.oid
  LEFT JOIN pg_depend seq ON seq.refobjid = a.attrelid AND seq.refobjsubid = a.attnum AND seq.deptype = 'i'
  WHERE NOT pg_is_other_temp_schema(nc.oid) AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'v', 'f', 'm', 'p') AND nc.nspname = ANY($1)),
columns_agg AS (
  SELECT relid, array_agg(row(column_name, description, is_nullable::boolean, data_type, nominal_data_type, character_maximum_length,
    column_default, coalesce((SELECT array_agg(enumlabel ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = base_type), '{}')) ORDER BY position) AS columns
  FROM columns GROUP BY relid),
tbl_pk_cols AS (
  SELECT r.oid AS relid, array_agg(a.attname ORDER BY a.attname) AS pk_cols FROM pg_class r JOIN pg_constraint c ON r.oid = c.conrelid
  JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum = ANY (c.conkey)
  WHERE c.contype IN ('p') AND r.relkind IN ('r', 'p') AND r.relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
    AND NOT pg_is_other_temp_schema(r.relnamespace) AND NOT a.attisdropped GROUP BY r.oid)
SELECT n.nspname AS table_schema, c.relname AS table_name, d.description AS table_description, c.relkind IN ('v', 'm') AS is_view,
  (c.relkind IN ('r', 'p') OR (c.relkind IN ('v', 'f') AND (pg_relation_is_updatable(c.oid::regclass, TRUE) & 8) = 8)) AS insertable,
  (c.relkind IN ('r', 'p') OR (c.relkind IN ('v', 'f') AND (pg_relation_is_updatable(c.oid::regclass, TRUE) & 4) = 4)) AS updatable,
  (c.relkind IN ('r', 'p') OR (c.relkind IN ('v', 'f') AND (pg_relation_is_updatable(c.oid::regclass, TRUE) & 16) = 16)) AS deletable,
  coalesce(tpks.pk_cols, '{}') AS pk_cols, coalesce(cols_agg.columns, '{}') AS columns
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_description d ON d.objoid = c.oid AND d.objsubid = 0 AND d.classoid = 'pg_class'::regclass
LEFT JOIN tbl_pk_cols tpks ON c.oid = tpks.relid LEFT JOIN columns_agg cols_agg ON c.oid = cols_agg.relid
WHERE c.relkind IN ('v', 'r', 'm', 'f', 'p') AND c.relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
  AND NOT c.relispartition ORDER BY table_schema, table_name

-- :: {"kind": "ext"}
WITH pks_uniques_cols AS (
  SELECT conrelid, array_agg(key ORDER BY key) AS cols FROM pg_constraint,
  LATERAL (SELECT array_agg(col ORDER BY col) AS key FROM unnest(conkey) AS col) AS keys
  WHERE contype IN ('p', 'u') AND connamespace <> 'pg_catalog'::regnamespace GROUP BY conrelid)
SELECT ns1.nspname AS table_schema, tab.relname AS table_name, ns2.nspname AS foreign_table_schema, other.relname AS foreign_table_name,
  traint.conrelid = traint.confrelid AS is_self, traint.conname AS constraint_name, column_info.cols_and_fcols
FROM pg_constraint traint JOIN LATERAL (
  SELECT array_agg(row(cols.attname, refs.attname) ORDER BY ord) AS cols_and_fcols, jsonb_agg(cols.attname ORDER BY ord) AS cols
  FROM unnest(traint.conkey, traint.confkey) WITH ORDINALITY AS _(col, ref, ord)
  JOIN pg_attribute cols ON cols.attrelid = traint.conrelid AND cols.attnum = col
  JOIN pg_attribute refs ON refs.attrelid = traint.confrelid AND refs.attnum = ref) AS column_info ON TRUE
JOIN pg_namespace ns1 ON ns1.oid = traint.connamespace JOIN pg_class tab ON tab.oid = traint.conrelid
JOIN pg_class other ON other.oid = traint.confrelid JOIN pg_namespace ns2 ON ns2.oid = other.relnamespace
WHERE traint.contype = 'f' AND traint.conparentid = 0 ORDER BY traint.conrelid, traint.conname

-- :: {"kind": "ext"}
WITH pks_uniques_cols AS (
  SELECT connamespace, conrelid, jsonb_agg(column_info.cols) AS cols FROM pg_constraint
  JOIN LATERAL (SELECT array_agg(cols.attname ORDER BY cols.attnum) AS cols FROM (SELECT unnest(conkey) AS col) _
    JOIN pg_attribute cols ON cols.attrelid = conrelid AND cols.attnum = col) column_info ON TRUE
  WHERE contype IN ('p', 'u') AND connamespace::regnamespace::text <> 'pg_catalog' GROUP BY connamespace, conrelid)
SELECT traint.conname, ('["x"]'::jsonb IN (SELECT * FROM jsonb_array_elements(keys.cols))) AS one_to_one
FROM pg_constraint traint LEFT JOIN pks_uniques_cols keys ON keys.connamespace = traint.connamespace AND keys.conrelid = traint.conrelid
WHERE traint.contype = 'f'

-- :: {"kind": "ext"}
WITH all_relations AS (SELECT reltype FROM pg_class WHERE relkind IN ('v', 'r', 'm', 'f', 'p')),
computed_rels AS (
  SELECT (parse_ident(p.pronamespace::regnamespace::text))[1] AS schema, p.proname::text AS name, arg_schema.nspname::text AS rel_table_schema,
    arg_name.typname::text AS rel_table_name, ret_schema.nspname::text AS rel_ftable_schema, ret_name.typname::text AS rel_ftable_name,
    NOT p.proretset OR p.prorows = 1 AS single_row
  FROM pg_proc p JOIN pg_type arg_name ON arg_name.oid = p.proargtypes[0] JOIN pg_namespace arg_schema ON arg_schema.oid = arg_name.typnamespace
  JOIN pg_type ret_name ON ret_name.oid = p.prorettype JOIN pg_namespace ret_schema ON ret_schema.oid = ret_name.typnamespace
  WHERE p.pronargs = 1 AND p.proargtypes[0] IN (SELECT reltype FROM all_relations) AND p.prorettype IN (SELECT reltype FROM all_relations))
SELECT *, row(rel_table_schema, rel_table_name) = row(rel_ftable_schema, rel_ftable_name) AS is_self FROM computed_rels

-- :: {"kind": "ext", "params": ["{public}"]}
WITH base_types AS (
  WITH RECURSIVE recurse AS (
    SELECT oid, typbasetype, typnamespace AS base_namespace, coalesce(nullif(typbasetype, 0), oid) AS base_type FROM pg_type
    UNION
    SELECT t.oid, b.typbasetype, b.typnamespace AS base_namespace, coalesce(nullif(b.typbasetype, 0), b.oid) AS base_type
    FROM recurse t JOIN pg_type b ON t.typbasetype = b.oid)
  SELECT oid, base_namespace, base_type FROM recurse WHERE typbasetype = 0),
arguments AS (
  SELECT oid, array_agg((coalesce(name, ''), type::regtype::text,
      CASE type WHEN 'bit'::regtype THEN 'bit varying' WHEN 'character'::regtype THEN 'character varying' ELSE type::regtype::text END,
      idx <= (pronargs - pronargdefaults), coalesce(mode = 'v', FALSE)) ORDER BY idx) AS args,
    CASE count(*) - count(name) WHEN 0 THEN true
      WHEN 1 THEN (array_agg(type))[1] IN ('bytea'::regtype, 'json'::regtype, 'jsonb'::regtype, 'text'::regtype, 'xml'::regtype) ELSE false END AS callable
  FROM pg_proc, unnest(proargnames, proargtypes, proargmodes) WITH ORDINALITY AS _ (name, type, mode, idx)
  WHERE type IS NOT NULL GROUP BY oid)
SELECT pn.nspname AS proc_schema, p.proname AS proc_name, d.description AS proc_description, coalesce(a.args, '{}') AS args, tn.nspname AS schema,
  coalesce(comp.relname, t.typname) AS name, p.proretset AS rettype_is_setof,
  (t.typtype = 'c' OR coalesce(proargmodes::text[] && '{t,b,o}', false)) AS rettype_is_composite, bt.oid <> bt.base_type AS rettype_is_composite_alias,
  p.provolatile, p.provariadic > 0 AS hasvariadic,
  lower((regexp_split_to_array((regexp_split_to_array(iso_config, '='))[2], ','))[1]) AS transaction_isolation_level,
  coalesce(func_settings.kvs, '{}') AS kvs
FROM pg_proc p LEFT JOIN arguments a ON a.oid = p.oid JOIN pg_namespace pn ON pn.oid = p.pronamespace
JOIN base_types bt ON bt.oid = p.prorettype JOIN pg_type t ON t.oid = bt.base_type JOIN pg_namespace tn ON tn.oid = t.typnamespace
LEFT JOIN pg_class comp ON comp.oid = t.typrelid LEFT JOIN pg_description AS d ON d.objoid = p.oid AND d.classoid = 'pg_proc'::regclass
LEFT JOIN LATERAL unnest(proconfig) iso_config ON iso_config LIKE 'default_transaction_isolation%'
LEFT JOIN LATERAL (
  SELECT array_agg(row(substr(setting, 1, strpos(setting, '=') - 1), lower(substr(setting, strpos(setting, '=') + 1)))) AS kvs
  FROM unnest(proconfig) setting WHERE setting NOT LIKE 'default_transaction_isolation%') func_settings ON TRUE
WHERE t.oid <> 'trigger'::regtype AND coalesce(a.callable, true) AND prokind = 'f' AND pn.nspname = ANY($1)

-- :: {"kind": "ext", "params": ["public"]}
SELECT description FROM pg_namespace n LEFT JOIN pg_description d ON d.objoid = n.oid AND d.classoid = 'pg_namespace'::regclass WHERE n.nspname = $1

-- :: {"kind": "ext"}
SELECT name FROM pg_timezone_names WHERE name = 'UTC'

-- :: {"kind": "ext"}
WITH all_relations AS (SELECT reltype FROM pg_class WHERE relkind IN ('v', 'r', 'm', 'f', 'p') UNION SELECT oid FROM pg_type WHERE typname = 'anyelement'),
media_types AS (
  SELECT t.oid, lower(t.typname) AS typname, b.oid AS base_oid, b.typname AS basetypname, t.typnamespace,
    CASE t.typname WHEN '*/*' THEN 'application/octet-stream' ELSE t.typname END AS resolved_media_type
  FROM pg_type t JOIN pg_type b ON t.typbasetype = b.oid WHERE t.typbasetype <> 0 AND (t.typname ~* '^[A-Za-z0-9.-]+/[A-Za-z0-9.\+-]+$' OR t.typname = '*/*'))
SELECT proc_schema.nspname AS handler_schema, proc.proname AS handler_name, arg_schema.nspname::text AS target_schema, arg_name.typname::text AS target_name,
  media_types.typname AS media_type, media_types.resolved_media_type
FROM media_types JOIN pg_proc proc ON proc.prorettype = media_types.oid JOIN pg_namespace proc_schema ON proc_schema.oid = proc.pronamespace
JOIN pg_aggregate agg ON agg.aggfnoid = proc.oid JOIN pg_type arg_name ON arg_name.oid = proc.proargtypes[0]
JOIN pg_namespace arg_schema ON arg_schema.oid = arg_name.typnamespace
WHERE proc.pronargs = 1 AND arg_name.oid IN (SELECT reltype FROM all_relations)

-- :: {"kind": "ext", "rows": true}
SELECT set_config('search_path', '"public"', true), set_config('role', 'none', true), set_config('request.jwt.claims', '{"role":"x"}', true),
  set_config('request.method', 'GET', true), set_config('request.path', '/profiles', true), set_config('request.headers', '{"accept":"*/*"}', true)

-- :: {"kind": "ext"}
WITH pgrst_source AS (SELECT "public"."profiles".* FROM "public"."profiles" WHERE "public"."profiles"."id" = '1' LIMIT '10'::integer OFFSET '0'::integer)
SELECT null::bigint AS total_result_set, pg_catalog.count(_postgrest_t) AS page_total, coalesce(json_agg(_postgrest_t), '[]') AS body,
  nullif(current_setting('response.headers', true), '') AS response_headers, nullif(current_setting('response.status', true), '') AS response_status,
  '' AS response_inserted
FROM (SELECT * FROM pgrst_source) _postgrest_t

-- :: {"kind": "ext", "params": ["[{\"id\": 1, \"name\": \"a\"}]"]}
WITH pgrst_payload AS (SELECT $1::json AS json_data),
pgrst_body AS (SELECT CASE WHEN json_typeof(json_data) = 'array' THEN json_data ELSE json_build_array(json_data) END AS val FROM pgrst_payload)
SELECT "id", "name" FROM pgrst_body, json_to_recordset(pgrst_body.val) AS pgrst_recordset ("id" bigint, "name" text)
