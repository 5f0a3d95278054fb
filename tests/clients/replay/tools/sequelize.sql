-- What mappers of Node ask of a schema: Sequelize, MikroORM, Kysely, and Drizzle of its indexes.
-- After: sequelize/sequelize, src/dialects/postgres/query-generator.js (MIT), mikro-orm/mikro-orm, PostgreSqlSchemaHelper.ts (MIT),
-- kysely-org/kysely, postgres-introspector.ts (MIT), and drizzle-team/drizzle-orm, pgSerializer.ts (Apache-2.0). The statements are our
-- own: they use the relations, functions and forms that those do.

-- :: {"kind": "simple", "rows": true}
SELECT k.constraint_type AS "Constraint", c.column_name AS "Field", c.column_default AS "Default", c.is_nullable AS "Null",
  (CASE WHEN c.udt_name = 'hstore' THEN c.udt_name ELSE c.data_type END)
    || (CASE WHEN c.character_maximum_length IS NOT NULL THEN '(' || c.character_maximum_length || ')' ELSE '' END) AS "Type",
  (SELECT array_agg(e.enumlabel) FROM pg_catalog.pg_type y JOIN pg_catalog.pg_enum e ON y.oid = e.enumtypid WHERE y.typname = c.udt_name) AS "special",
  coalesce((SELECT d.description FROM pg_catalog.pg_statio_all_tables AS st INNER JOIN pg_catalog.pg_description d ON (d.objoid = st.relid)
    WHERE c.ordinal_position = d.objsubid AND c.table_name = st.relname), '') <> '-' AS "Comment"
FROM information_schema.columns c
LEFT JOIN (SELECT t.table_schema, t.table_name, u.column_name, t.constraint_type
  FROM information_schema.TABLE_CONSTRAINTS t JOIN information_schema.KEY_COLUMN_USAGE u
    ON t.table_schema = u.table_schema AND t.table_name = u.table_name AND t.constraint_name = u.constraint_name
      AND t.constraint_type = 'PRIMARY KEY') k
  ON k.table_schema = c.table_schema AND k.table_name = c.table_name AND k.column_name = c.column_name
WHERE c.table_name = 'profiles' AND c.table_schema = 'public'

-- :: {"kind": "simple", "rows": true}
SELECT ki.relname AS name, i.indisprimary AS primary, i.indisunique AS unique, i.indkey AS indkey, array_agg(f.attnum ORDER BY f.attnum) AS column_indexes,
  array_agg(f.attname ORDER BY f.attnum) AS column_names, pg_get_indexdef(i.indexrelid) AS definition
FROM pg_class k, pg_class ki, pg_index i, pg_attribute f, pg_namespace s
WHERE k.oid = i.indrelid AND ki.oid = i.indexrelid AND f.attrelid = k.oid AND k.relkind = 'r' AND k.relname = 'profiles'
  AND s.oid = k.relnamespace AND s.nspname = 'public' AND f.attnum > 0
GROUP BY ki.relname, i.indexrelid, i.indisprimary, i.indisunique, i.indkey ORDER BY ki.relname

-- :: {"kind": "simple", "rows": true}
WITH spans AS (SELECT r.rngtypid, y.typname AS rngtypname, y.typarray AS rngtyparray, r.rngsubtype
  FROM pg_range r LEFT OUTER JOIN pg_type y ON y.oid = r.rngtypid)
SELECT y.typname, y.typtype, y.oid, y.typarray, spans.rngtypname, spans.rngtypid, spans.rngtyparray
FROM pg_type y LEFT OUTER JOIN spans ON y.oid = spans.rngsubtype WHERE y.typtype IN ('b', 'e') AND y.typname IN ('int4', 'numeric', 'text')

-- :: {"kind": "ext", "rows": true}
SELECT i.indrelid::regclass::text AS table_name, s.nspname AS schema_name, ki.relname AS constraint_name, i.indisunique AS unique, i.indisprimary AS primary,
  r.contype, r.condeferrable, r.condeferred,
  array(SELECT pg_get_indexdef(i.indexrelid, n + 1, true) FROM generate_subscripts(i.indkey, 1) AS n ORDER BY n) AS index_def
FROM pg_index i JOIN pg_class AS ki ON ki.oid = i.indexrelid JOIN pg_namespace AS s ON ki.relnamespace = s.oid
LEFT JOIN pg_constraint AS r ON r.conname = ki.relname WHERE i.indrelid IN ('"public"."profiles"'::regclass) ORDER BY ki.relname

-- :: {"kind": "ext", "rows": true}
SELECT k.relname AS table_name, ok.relname AS referenced, f.attname AS column_name, ff.attname AS referenced_column, r.conname, r.confupdtype, r.confdeltype,
  array_position(r.conkey, f.attnum) AS place, pg_get_constraintdef(r.oid) AS definition
FROM pg_attribute f JOIN pg_constraint r ON r.conrelid = f.attrelid AND f.attnum = ANY (r.conkey)
JOIN pg_attribute ff ON ff.attnum = r.confkey[array_position(r.conkey, f.attnum)] AND ff.attrelid = r.confrelid
JOIN pg_class k ON k.oid = r.conrelid JOIN pg_class ok ON ok.oid = r.confrelid
WHERE k.relname IN ('profiles') AND r.confrelid > 0 ORDER BY k.relname, r.conname, place

-- :: {"kind": "ext", "rows": true}
SELECT f.attname AS column, f.attnotnull AS not_null, f.atthasdef AS has_default, k.relname AS table, k.relkind AS table_type, y.typname AS type,
  ys.nspname AS type_schema, pg_get_serial_sequence(quote_ident(s.nspname) || '.' || quote_ident(k.relname), f.attname) AS auto_incrementing
FROM pg_catalog.pg_attribute AS f INNER JOIN pg_catalog.pg_class AS k ON f.attrelid = k.oid INNER JOIN pg_catalog.pg_namespace AS s ON k.relnamespace = s.oid
INNER JOIN pg_catalog.pg_type AS y ON f.atttypid = y.oid INNER JOIN pg_catalog.pg_namespace AS ys ON y.typnamespace = ys.oid
WHERE k.relkind IN ('r', 'v', 'p') AND s.nspname !~ '^pg_' AND s.nspname != 'information_schema' AND has_schema_privilege(s.nspname, 'USAGE')
  AND f.attnum >= 0 AND f.attisdropped != true AND k.relname = 'profiles' ORDER BY s.nspname, k.relname, f.attnum

-- :: {"kind": "ext", "rows": true}
SELECT DISTINCT ON (k.relname, ki.relname, parts.at) k.relname AS table_name, ki.relname AS indexname, parts.at AS index_order, i.indisunique AS is_unique,
  m.amname AS method, coalesce(f.attname, pg_get_indexdef(i.indexrelid, parts.at, false)) AS column_name,
  CASE WHEN pg_get_expr(i.indexprs, i.indrelid) IS NOT NULL THEN 1 ELSE 0 END AS is_expression,
  i.indoption[parts.at - 1] & 1 = 1 AS descending, i.indoption[parts.at - 1] & 2 = 2 AS nulls_first, c.opcname
FROM pg_class k LEFT JOIN pg_index i ON k.oid = i.indrelid LEFT JOIN pg_class ki ON ki.oid = i.indexrelid
CROSS JOIN LATERAL (SELECT unnest(i.indkey), generate_subscripts(i.indkey, 1) + 1) AS parts (num, at)
LEFT JOIN pg_attribute AS f ON i.indrelid = f.attrelid AND parts.num = f.attnum JOIN pg_namespace s ON s.oid = k.relnamespace
LEFT JOIN pg_am AS m ON ki.relam = m.oid JOIN pg_opclass c ON c.oid = ANY (i.indclass)
WHERE s.nspname = 'public' AND k.relname = 'profiles'
