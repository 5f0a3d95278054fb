-- What Beekeeper Studio reads of a database: tables and their parts, columns, routines, triggers, indexes and keys, and how many
-- rows a table has about.
-- After: beekeeper-studio/beekeeper-studio, apps/studio/src/lib/db/clients/postgresql.ts at bc4dd51 (GPL-3.0). The statements are our
-- own: they use the relations, functions and forms that those do, and none of its text.

-- :: {"kind": "ext"}
SELECT t.table_schema AS schema, t.table_name AS name, c.relkind AS tabletype, parent.relname AS parenttable
FROM information_schema.tables AS t
JOIN pg_class AS c ON t.table_name = c.relname AND quote_ident(t.table_schema) = c.relnamespace::regnamespace::text
LEFT OUTER JOIN pg_inherits AS i ON c.oid = i.inhrelid
LEFT OUTER JOIN pg_class AS parent ON parent.oid = i.inhparent
WHERE t.table_type NOT LIKE '%VIEW%' AND table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2

-- :: {"kind": "ext", "params": ["public", "profiles"]}
SELECT s.schemaname AS schema, s.relname AS name, pg_get_expr(part.relpartbound, part.oid, true) AS expression
FROM pg_class whole JOIN pg_inherits i ON i.inhparent = whole.oid JOIN pg_class part ON part.oid = i.inhrelid
JOIN pg_stat_all_tables s ON s.relid = i.inhrelid JOIN pg_namespace n ON n.oid = whole.relnamespace
WHERE n.nspname = $1 AND whole.relname = $2 AND whole.relkind = 'p'

-- :: {"kind": "ext"}
SELECT r.specific_name AS id, r.routine_schema, r.routine_name AS name, r.routine_type, r.data_type, p.oid::integer AS oid
FROM information_schema.routines r LEFT JOIN pg_catalog.pg_proc p ON r.specific_name::text = p.proname || '_' || p.oid::text
WHERE r.routine_schema NOT IN ('sys', 'information_schema', 'pg_catalog', 'performance_schema') ORDER BY routine_schema, routine_name

-- :: {"kind": "ext"}
SELECT r.routine_schema, r.specific_name, p.parameter_name, p.character_maximum_length AS char_length, p.data_type
FROM information_schema.routines r LEFT JOIN information_schema.parameters p
  ON p.specific_schema = r.routine_schema AND p.specific_name = r.specific_name
WHERE r.routine_schema NOT IN ('information_schema', 'pg_catalog') AND p.parameter_mode = 'IN'
ORDER BY r.routine_schema, r.specific_name, p.ordinal_position

-- :: {"kind": "ext", "params": ["public", "profiles"]}
SELECT table_schema, table_name, column_name, is_nullable, is_generated, ordinal_position, column_default,
  CASE WHEN character_maximum_length IS NOT NULL AND udt_name != 'text'
      THEN udt_name || '(' || character_maximum_length::varchar(255) || ')'
    WHEN numeric_precision IS NOT NULL AND numeric_scale IS NOT NULL
      THEN udt_name || '(' || numeric_precision::varchar(255) || ',' || numeric_scale::varchar(255) || ')'
    WHEN datetime_precision IS NOT NULL AND udt_name != 'date' THEN udt_name || '(' || datetime_precision::varchar(255) || ')'
    ELSE udt_name END AS data_type,
  CASE WHEN data_type = 'ARRAY' THEN 'YES' ELSE 'NO' END AS is_array,
  pg_catalog.col_description(format('%I.%I', table_schema, table_name)::regclass::oid, ordinal_position) AS column_comment
FROM information_schema.columns WHERE table_schema = $1 AND table_name = $2 ORDER BY table_schema, table_name, ordinal_position

-- :: {"kind": "ext", "params": ["public", "profiles"]}
SELECT (SELECT relname FROM pg_class c WHERE c.oid = i.indexrelid) AS indexname, k.i AS index_order, i.indexrelid AS id,
  i.indisunique, i.indisprimary, i.indnullsnotdistinct,
  coalesce(a.attname, pg_get_indexdef(i.indexrelid, k.i, false)) AS index_column, i.indoption[k.i - 1] = 0 AS ascending
FROM pg_index i
CROSS JOIN LATERAL (SELECT unnest(i.indkey), generate_subscripts(i.indkey, 1) + 1) AS k(attnum, i)
LEFT JOIN pg_attribute AS a ON i.indrelid = a.attrelid AND k.attnum = a.attnum
JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace c ON c.oid = t.relnamespace
WHERE c.nspname = $1 AND t.relname = $2

-- :: {"kind": "ext", "params": ["profiles", "public"]}
SELECT ctu.table_name AS referenced_table_name FROM information_schema.table_constraints AS tc
JOIN information_schema.constraint_table_usage AS ctu ON ctu.constraint_name = tc.constraint_name
WHERE tc.constraint_type = 'FOREIGN KEY' AND tc.table_name = $1 AND tc.table_schema = $2

-- :: {"kind": "ext", "params": ["public", "profiles"]}
SELECT c.conname AS constraint_name, a.attname AS column_name, n.nspname AS from_schema, t.relname AS from_table,
  af.attname AS to_column, tf.relname AS to_table, nf.nspname AS to_schema,
  CASE c.confupdtype::text WHEN 'a' THEN 'NO ACTION' WHEN 'c' THEN 'CASCADE' ELSE c.confupdtype::text END AS update_rule,
  CASE c.confdeltype::text WHEN 'a' THEN 'NO ACTION' WHEN 'c' THEN 'CASCADE' ELSE c.confdeltype::text END AS delete_rule, pos AS ordinal
FROM pg_constraint c JOIN pg_class t ON c.conrelid = t.oid JOIN pg_namespace n ON t.relnamespace = n.oid
JOIN generate_subscripts(c.conkey, 1) pos ON true
JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = c.conkey[pos]
JOIN pg_class tf ON c.confrelid = tf.oid JOIN pg_namespace nf ON tf.relnamespace = nf.oid
JOIN pg_attribute af ON af.attrelid = tf.oid AND af.attnum = c.confkey[pos]
WHERE c.contype = 'f' AND n.nspname = $1 AND t.relname = $2 ORDER BY c.conname, pos

-- :: {"kind": "ext", "params": ["public", "profiles"]}
SELECT trigger_name, action_timing AS timing, event_manipulation AS manipulation, action_statement AS action,
  action_condition AS condition
FROM information_schema.triggers WHERE event_object_schema = $1 AND event_object_table = $2

-- :: {"kind": "ext"}
SELECT a.attname AS column_name, format_type(a.atttypid, a.atttypmod) AS data_type, attnum AS position
FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
WHERE i.indrelid = '"public"."profiles"'::regclass AND i.indisprimary ORDER BY a.attnum

-- :: {"kind": "ext"}
SELECT reltuples AS total FROM pg_class WHERE oid = '"public"."profiles"'::regclass

-- :: {"kind": "ext"}
SELECT n.nspname AS schema, t.typname AS typename, t.oid::integer AS typeid
FROM pg_type t LEFT JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
WHERE (t.typrelid = 0 OR (SELECT c.relkind = 'c' FROM pg_catalog.pg_class c WHERE c.oid = t.typrelid))
  AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_type el WHERE el.oid = t.typelem AND el.typarray = t.oid)
