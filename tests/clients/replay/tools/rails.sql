-- What Rails sends by way of ActiveRecord: how it sets up a connection, its types, and the columns, keys and indexes of a relation.
-- After: rails/rails, activerecord/lib/active_record/connection_adapters/postgresql_adapter.rb and postgresql/schema_statements.rb
-- (MIT). The statements are our own: they use the relations, functions and forms that ActiveRecord does.

-- :: {"kind": "simple"}
SET client_min_messages TO 'warning'

-- :: {"kind": "simple"}
SET standard_conforming_strings = on

-- :: {"kind": "simple"}
SET intervalstyle = iso_8601

-- :: {"kind": "simple", "rows": true}
SELECT interval '1 year 2 mons -3 days 04:05:06.7' AS span, ARRAY[interval '0', interval '-00:00:00.5'] AS spans

-- :: {"kind": "simple"}
SET SESSION timezone TO 'UTC'

-- :: {"kind": "simple"}
SHOW max_identifier_length

-- :: {"kind": "simple"}
SELECT t.oid, t.typname, t.typelem, t.typdelim, t.typinput, r.rngsubtype, t.typtype, t.typbasetype
FROM pg_type AS t LEFT JOIN pg_range AS r ON oid = rngtypid
WHERE t.typname IN ('int4', 'int8', 'numeric', 'bool', 'jsonb', 'timestamptz') OR t.typtype IN ('r', 'e', 'd')
  OR t.typinput = 'array_in(cstring,oid,integer)'::regprocedure OR t.typelem != 0

-- :: {"kind": "simple", "rows": true}
SELECT a.attname, format_type(a.atttypid, a.atttypmod), pg_get_expr(d.adbin, d.adrelid), a.attnotnull, a.atttypid, a.atttypmod,
  c.collname, attidentity AS identity, attgenerated AS attgenerated
FROM pg_attribute a
LEFT JOIN pg_attrdef d ON a.attrelid = d.adrelid AND a.attnum = d.adnum
LEFT JOIN pg_type t ON a.atttypid = t.oid
LEFT JOIN pg_collation c ON a.attcollation = c.oid AND a.attcollation <> t.typcollation
WHERE a.attrelid = '"profiles"'::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum

-- :: {"kind": "simple", "rows": true}
SELECT a.attname FROM (
  SELECT indrelid, indkey, generate_subscripts(indkey, 1) AS at FROM pg_index
  WHERE indrelid = '"profiles"'::regclass AND indisprimary) i
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[i.at] ORDER BY i.at

-- :: {"kind": "simple"}
SELECT distinct i.relname, d.indisunique, d.indkey, pg_get_indexdef(d.indexrelid), pg_catalog.obj_description(i.oid, 'pg_class') AS comment,
  d.indisvalid
FROM pg_class t INNER JOIN pg_index d ON t.oid = d.indrelid INNER JOIN pg_class i ON d.indexrelid = i.oid
LEFT JOIN pg_namespace n ON n.oid = t.relnamespace
WHERE i.relkind IN ('i', 'I') AND d.indisprimary = 'f' AND t.relname = 'profiles' AND n.nspname = ANY (current_schemas(false))
ORDER BY i.relname

-- :: {"kind": "simple", "rows": true}
SELECT ok.oid::regclass::text AS to_table, r.conname AS name, r.confupdtype AS on_update, r.confdeltype AS on_delete, r.convalidated AS valid,
  (SELECT array_agg(f.attname ORDER BY at) FROM (SELECT at, r.conkey[at] AS place FROM generate_subscripts(r.conkey, 1) AS at) parts
   JOIN pg_attribute f ON f.attrelid = k.oid AND f.attnum = parts.place) AS conkey_names,
  (SELECT array_agg(f.attname ORDER BY at) FROM (SELECT at, r.confkey[at] AS place FROM generate_subscripts(r.confkey, 1) AS at) parts
   JOIN pg_attribute f ON f.attrelid = ok.oid AND f.attnum = parts.place) AS confkey_names
FROM pg_constraint r JOIN pg_class k ON r.conrelid = k.oid JOIN pg_class ok ON r.confrelid = ok.oid JOIN pg_namespace s ON r.connamespace = s.oid
WHERE r.contype = 'f' AND k.relname = 'profiles' AND s.nspname = ANY (current_schemas(false)) ORDER BY r.conname

-- :: {"kind": "simple", "rows": true}
SELECT r.conname, (SELECT array_agg(f.attname ORDER BY at) FROM (SELECT at, r.conkey[at] AS place FROM generate_subscripts(r.conkey, 1) AS at) parts
   JOIN pg_attribute f ON f.attrelid = k.oid AND f.attnum = parts.place) AS conkey_names
FROM pg_constraint r JOIN pg_class k ON r.conrelid = k.oid WHERE k.oid = 'profiles'::regclass AND r.contype IN ('p', 'u')
