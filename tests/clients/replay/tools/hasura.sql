-- What Hasura reads of the tables that it tracks and of functions and schemas, and how its queries make JSON of rows.
-- After: hasura/graphql-engine, server/src-rsr/pg_table_metadata.sql and pg_function_metadata.sql, and the SQL that its documentation
-- shows (Apache-2.0). The statements are our own: they use the relations, functions and forms that those do.

-- :: {"kind": "ext", "params": ["[{\"schema\": \"public\", \"name\": \"profiles\"}, {\"schema\": \"segments\", \"name\": \"v\"}]"]}
SELECT "table".table_schema, "table".table_name,
  jsonb_build_object('oid', "table".oid::integer, 'columns', coalesce(columns.info, '[]'), 'primary_key', primary_key.info,
    'unique_constraints', coalesce(unique_constraints.info, '[]'), 'foreign_keys', coalesce(foreign_key_constraints.info, '[]'),
    'view_info', CASE WHEN "table".relkind IN ('v', 'm') THEN jsonb_build_object(
      'is_updatable', ((pg_catalog.pg_relation_is_updatable("table".oid, true) & 4) = 4),
      'is_insertable', ((pg_catalog.pg_relation_is_updatable("table".oid, true) & 8) = 8),
      'is_deletable', ((pg_catalog.pg_relation_is_updatable("table".oid, true) & 16) = 16)) END,
    'description', description.description, 'extra_table_metadata', '[]'::json)::json AS info
FROM (SELECT tracked.name AS table_name, tracked.schema AS table_schema FROM jsonb_to_recordset($1::jsonb) AS tracked("schema" text, "name" text)) tracked_table
LEFT JOIN (SELECT c.oid, c.relkind, c.relname AS table_name, n.nspname AS table_schema FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace) "table"
  ON "table".table_name = tracked_table.table_name AND "table".table_schema = tracked_table.table_schema
LEFT JOIN pg_catalog.pg_description description
  ON description.classoid = 'pg_catalog.pg_class'::regclass AND description.objoid = "table".oid AND description.objsubid = 0
LEFT JOIN LATERAL (
  SELECT jsonb_agg(jsonb_build_object('name', "column".attname, 'position', "column".attnum,
    'type', json_build_object('name', coalesce(base_type.typname, "type".typname), 'type', "type".typtype),
    'is_nullable', NOT "column".attnotnull, 'description', pg_catalog.col_description("table".oid, "column".attnum),
    'mutability', jsonb_build_object('is_insertable', NOT (identity_.attidentity = 'a' OR "column".attgenerated = 's')))) AS info
  FROM pg_catalog.pg_attribute "column"
  INNER JOIN (SELECT attrelid, attnum, attname, CASE WHEN attidentity_exists THEN attidentity::text ELSE ''::text END AS attidentity
    FROM pg_catalog.pg_attribute CROSS JOIN (SELECT current_setting('server_version_num')::int >= 100000) AS attidentity(attidentity_exists)) AS identity_
    ON identity_.attrelid = "column".attrelid AND identity_.attnum = "column".attnum AND identity_.attname = "column".attname
  LEFT JOIN pg_catalog.pg_type "type" ON "type".oid = "column".atttypid
  LEFT JOIN pg_catalog.pg_type base_type ON "type".typtype = 'd' AND base_type.oid = "type".typbasetype
  WHERE "column".attrelid = "table".oid AND "column".attnum > 0 AND NOT "column".attisdropped) columns ON true
LEFT JOIN LATERAL (
  SELECT jsonb_build_object('constraint', jsonb_build_object('name', class.relname, 'oid', class.oid::integer), 'columns', coalesce(columns.info, '[]')) AS info
  FROM pg_catalog.pg_index idx JOIN pg_catalog.pg_class class ON class.oid = idx.indexrelid
  LEFT JOIN LATERAL (SELECT jsonb_agg("column".attname) AS info FROM pg_catalog.pg_attribute "column"
    WHERE "column".attrelid = "table".oid AND "column".attnum = ANY (idx.indkey)) AS columns ON true
  WHERE idx.indrelid = "table".oid AND idx.indisprimary) primary_key ON true
LEFT JOIN LATERAL (
  SELECT jsonb_agg(jsonb_build_object('name', class.relname, 'oid', class.oid::integer)) AS info FROM pg_catalog.pg_index idx
  JOIN pg_catalog.pg_class class ON class.oid = idx.indexrelid
  WHERE idx.indrelid = "table".oid AND idx.indisunique AND NOT idx.indisprimary) unique_constraints ON true
LEFT JOIN (
  SELECT jsonb_agg(jsonb_build_object('constraint', jsonb_build_object('name', fk.constraint_name, 'oid', fk.constraint_oid::integer),
    'columns', fk.columns, 'foreign_table', jsonb_build_object('schema', fk.ref_schema, 'name', fk.ref_table), 'foreign_columns', fk.ref_columns)) AS info,
    fk.table_schema, fk.table_name
  FROM (SELECT q.table_schema::text, q.table_name::text, q.constraint_name::text, min(q.constraint_oid)::integer AS constraint_oid,
      min(q.ref_schema)::text AS ref_schema, min(q.ref_table)::text AS ref_table, json_agg(ac.attname) AS columns, json_agg(afc.attname) AS ref_columns
    FROM (SELECT ctn.nspname AS table_schema, ct.relname AS table_name, r.conrelid AS table_id, r.conname AS constraint_name, r.oid AS constraint_oid,
        cftn.nspname AS ref_schema, cft.relname AS ref_table, r.confrelid AS ref_table_id, unnest(r.conkey) AS column_id, unnest(r.confkey) AS ref_column_id
      FROM pg_catalog.pg_constraint r JOIN pg_catalog.pg_class ct ON r.conrelid = ct.oid JOIN pg_catalog.pg_namespace ctn ON ct.relnamespace = ctn.oid
      JOIN pg_catalog.pg_class cft ON r.confrelid = cft.oid JOIN pg_catalog.pg_namespace cftn ON cft.relnamespace = cftn.oid WHERE r.contype = 'f') q
    JOIN pg_catalog.pg_attribute ac ON q.column_id = ac.attnum AND q.table_id = ac.attrelid
    JOIN pg_catalog.pg_attribute afc ON q.ref_column_id = afc.attnum AND q.ref_table_id = afc.attrelid
    GROUP BY q.table_schema, q.table_name, q.constraint_name) fk
  GROUP BY fk.table_schema, fk.table_name) foreign_key_constraints
  ON "table".table_name = foreign_key_constraints.table_name AND "table".table_schema = foreign_key_constraints.table_schema
WHERE "table".relkind IN ('r', 't', 'v', 'm', 'f', 'p') AND "table".table_schema NOT LIKE 'pg_%'
  AND "table".table_schema NOT IN ('information_schema', 'hdb_catalog', 'hdb_lib', '_timescaledb_internal')

-- :: {"kind": "ext"}
SELECT p.proname AS function_name, n.nspname AS function_schema, pg_catalog.format_type(p.prorettype, NULL) AS return_type_name,
  CASE WHEN p.provariadic::integer = 0 THEN false ELSE true END AS has_variadic,
  CASE WHEN p.provolatile::text = 'i'::character(1)::text THEN 'IMMUTABLE'::text WHEN p.provolatile::text = 's'::character(1)::text THEN 'STABLE'::text
    WHEN p.provolatile::text = 'v'::character(1)::text THEN 'VOLATILE'::text ELSE NULL::text END AS function_type,
  to_json(coalesce(p.proallargtypes, p.proargtypes::oid[])) AS input_arg_types, to_json(coalesce(p.proargnames, ARRAY[]::text[])) AS input_arg_names,
  p.pronargdefaults AS default_args, p.oid::integer AS function_oid
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_type rt ON rt.oid = p.prorettype
WHERE n.nspname NOT LIKE 'pg\_%' AND n.nspname NOT IN ('information_schema') AND p.prokind = 'f'
  AND NOT EXISTS (SELECT 1 FROM pg_aggregate WHERE pg_aggregate.aggfnoid::oid = p.oid)

-- :: {"kind": "ext"}
SELECT coalesce(json_agg(schema_name ORDER BY schema_name), '[]') FROM information_schema.schemata
WHERE schema_name NOT IN ('information_schema', 'pg_catalog', 'hdb_catalog') AND schema_name NOT LIKE 'pg_toast%' AND schema_name NOT LIKE 'pg_temp_%'

-- :: {"kind": "ext", "rows": true}
SELECT coalesce(json_agg("root"), '[]') AS "root" FROM (
  SELECT row_to_json((SELECT "_e" FROM (SELECT "_root.base"."id" AS "id", "_root.base"."name" AS "name") AS "_e")) AS "root"
  FROM (SELECT * FROM "public"."profiles" WHERE (("public"."profiles"."id") = (('7')::bigint)) ORDER BY "id" ASC NULLS LAST LIMIT 2) AS "_root.base") AS "_root"

-- :: {"kind": "ext", "rows": true}
SELECT json_build_object('aggregate', json_build_object('count', count(*), 'max', json_build_object('id', max("id"))),
  'nodes', coalesce(json_agg(row_to_json((SELECT e FROM (SELECT "id" AS "id") AS e)) ORDER BY "id"), '[]')) AS root
FROM (SELECT * FROM "public"."profiles" WHERE "id" <= 3) AS "_root.base"
