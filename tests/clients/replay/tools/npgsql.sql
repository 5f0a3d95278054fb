-- What Npgsql asks, through which Power BI and programs for .NET come: its types at the first connection, its schema collections,
-- the description of a result's columns, and what it sends before a pooled connection is used again.
-- After: npgsql/npgsql, src/Npgsql/PostgresDatabaseInfo.cs, NpgsqlSchema.cs, Schema/DbColumnSchemaGenerator.cs and
-- Internal/NpgsqlConnector.cs (PostgreSQL License). The statements are our own: they use the relations, functions and forms that
-- Npgsql does.

-- :: {"kind": "simple"}
SELECT version();
SELECT ns.nspname, t.oid, t.typname, t.typtype, t.typnotnull, t.inner_oid
FROM (
  -- An array is a base type whose typreceive is array_recv; its inner type is the element's.
  SELECT own.oid, own.typnamespace, own.typname, own.typtype, own.typrelid, own.typnotnull, own.relkind,
    inn.oid AS inner_oid, inn.typname AS inner_name, innclass.relkind AS inner_kind,
    CASE WHEN innproc.proname='array_recv' THEN 'a' ELSE inn.typtype END AS inner_type
  FROM (
    SELECT p.oid, typnamespace, typname, typrelid, typnotnull, relkind, typelem AS element,
      CASE WHEN proc.proname='array_recv' THEN 'a' ELSE p.typtype END AS typtype,
      CASE
        WHEN proc.proname='array_recv' THEN p.typelem
        WHEN p.typtype='r' THEN rngsubtype
        WHEN p.typtype='m' THEN (SELECT rngtypid FROM pg_range WHERE rngmultitypid = p.oid)
        WHEN p.typtype='d' THEN p.typbasetype
      END AS inner_type_oid
    FROM pg_type AS p
    LEFT JOIN pg_class AS class ON (class.oid = p.typrelid)
    LEFT JOIN pg_proc AS proc ON proc.oid = p.typreceive
    LEFT JOIN pg_range ON (pg_range.rngtypid = p.oid)
  ) AS own
  LEFT JOIN pg_type AS inn ON inn.oid = inner_type_oid
  LEFT JOIN pg_class AS innclass ON (innclass.oid = inn.typrelid)
  LEFT JOIN pg_proc AS innproc ON innproc.oid = inn.typreceive
) AS t
JOIN pg_namespace AS ns ON (ns.oid = typnamespace)
WHERE
  typtype IN ('b', 'r', 'm', 'e', 'd') OR
  (typtype = 'c' AND relkind='c') OR
  (typtype = 'p' AND typname IN ('record', 'void')) OR
  (typtype = 'a' AND (
    inner_type IN ('b', 'r', 'm', 'e', 'd') OR
    (inner_type = 'p' AND inner_name IN ('record', 'void')) OR
    (inner_type = 'c' AND inner_kind='c')))
ORDER BY CASE
  WHEN typtype IN ('b', 'e', 'p') THEN 0
  WHEN typtype = 'r' THEN 1
  WHEN typtype = 'm' THEN 2
  WHEN typtype = 'c' THEN 3
  WHEN typtype = 'd' AND inner_type <> 'a' THEN 4
  WHEN typtype = 'a' THEN 5
  WHEN typtype = 'd' AND inner_type = 'a' THEN 6
END;
-- Fields of composite types that are no tables.
SELECT t.oid, a.attname, a.atttypid
FROM pg_type AS t
JOIN pg_namespace AS n ON (n.oid = t.typnamespace)
JOIN pg_class AS c ON (c.oid = t.typrelid)
JOIN pg_attribute AS a ON (a.attrelid = t.typrelid)
WHERE (t.typtype = 'c' AND c.relkind='c') AND attnum > 0 AND NOT attisdropped
ORDER BY t.oid, a.attnum;
-- Labels of enums.
SELECT pg_type.oid, enumlabel FROM pg_enum JOIN pg_type ON pg_type.oid=enumtypid ORDER BY oid, enumsortorder;

-- :: {"kind": "ext"}
/* Types as the release asks that Power BI Desktop has */
SELECT s.nspname, t.typname, t.oid, t.typrelid, t.typbasetype,
  CASE WHEN pg_proc.proname='array_recv' THEN 'a' ELSE t.typtype END AS type,
  CASE WHEN pg_proc.proname='array_recv' THEN t.typelem WHEN t.typtype='r' THEN rngsubtype ELSE 0 END AS inner_oid,
  CASE WHEN pg_proc.proname IN ('array_recv','oidvectorrecv') THEN 3 WHEN t.typtype='r' THEN 2 WHEN t.typtype='d' THEN 1 ELSE 0 END AS turn
FROM pg_type AS t
JOIN pg_namespace AS s ON (s.oid = t.typnamespace)
JOIN pg_proc ON pg_proc.oid = t.typreceive
LEFT OUTER JOIN pg_class AS c ON (c.oid = t.typrelid)
LEFT OUTER JOIN pg_type AS e ON (e.oid = t.typelem)
LEFT OUTER JOIN pg_class AS ec ON (ec.oid = e.typrelid)
LEFT OUTER JOIN pg_range ON (pg_range.rngtypid = t.oid)
WHERE
  t.typtype IN ('b', 'r', 'e', 'd') OR
  (t.typtype = 'c' AND c.relkind='c') OR
  (pg_proc.proname='array_recv' AND (
    e.typtype IN ('b', 'r', 'e', 'd') OR
    (e.typtype = 'p' AND e.typname IN ('record', 'void')) OR
    (e.typtype = 'c' AND ec.relkind='c'))) OR
  (t.typtype = 'p' AND t.typname IN ('record', 'void'))
ORDER BY turn

-- :: {"kind": "ext", "rows": true}
SELECT oid, typname, typelem FROM pg_type WHERE oid IN (16, 20, 21, 23, 25, 700, 701, 1043, 1082, 1114, 1184, 1700, 2950, 3802, 1016, 1231) ORDER BY oid

-- :: {"kind": "ext"}
SELECT b.datname AS database_name, o.usename AS owner, pg_catalog.pg_encoding_to_char(b.encoding) AS encoding
FROM pg_catalog.pg_database b LEFT JOIN pg_catalog.pg_user o ON b.datdba = o.usesysid

-- :: {"kind": "ext", "params": ["public"]}
select * from (
  select current_database() as catalog_name, nspname AS schema_name, o.rolname AS schema_owner
  from pg_catalog.pg_namespace left join pg_catalog.pg_roles o on o.oid = nspowner
) found WHERE schema_name = $1

-- :: {"kind": "ext", "params": ["public", "profiles"]}
SELECT table_catalog, table_schema, table_name, table_type FROM information_schema.tables
WHERE table_type IN ('BASE TABLE', 'FOREIGN', 'FOREIGN TABLE') AND table_schema NOT IN ('pg_catalog', 'information_schema')
  AND table_schema = $1 AND table_name = $2

-- :: {"kind": "ext", "params": ["public", "profiles"]}
SELECT table_catalog, table_schema, table_name, column_name, ordinal_position, column_default, is_nullable,
  CASE WHEN udt_schema IS NULL THEN udt_name ELSE format_type(t.oid, NULL) END,
  character_maximum_length, character_octet_length, numeric_precision, numeric_precision_radix, numeric_scale, datetime_precision,
  character_set_catalog, character_set_schema, character_set_name, collation_catalog
FROM information_schema.columns
JOIN pg_namespace AS s ON s.nspname = udt_schema
JOIN pg_type AS t ON typnamespace = s.oid AND typname = udt_name
WHERE table_schema = $1 AND table_name = $2

-- :: {"kind": "ext", "params": ["public", "profiles"], "rows": true}
SELECT table_schema, table_name, column_name, ordinal_position, column_default, is_nullable, udt_name::regtype::text AS data_type,
  numeric_precision, numeric_precision_radix, numeric_scale, datetime_precision
FROM information_schema.columns WHERE table_schema = $1 AND table_name = $2 ORDER BY ordinal_position

-- :: {"kind": "ext"}
SELECT table_catalog, table_schema, table_name, check_option, is_updatable FROM information_schema.views
WHERE table_schema NOT IN ('pg_catalog', 'information_schema')

-- :: {"kind": "ext", "rows": true}
SELECT schemaname, matviewname, matviewowner, hasindexes, ispopulated FROM pg_catalog.pg_matviews

-- :: {"kind": "ext"}
SELECT usename AS user_name, usesysid AS user_sysid FROM pg_catalog.pg_user

-- :: {"kind": "ext", "params": ["profiles"]}
SELECT current_database() AS table_catalog, s.nspname AS table_schema, t.relname AS table_name, x.relname AS index_name, '' AS type_desc
FROM pg_catalog.pg_class x
JOIN pg_catalog.pg_index i ON i.indexrelid = x.oid
JOIN pg_catalog.pg_class t ON i.indrelid = t.oid
LEFT JOIN pg_catalog.pg_user o ON o.usesysid = x.relowner
LEFT JOIN pg_catalog.pg_namespace s ON s.oid = x.relnamespace
WHERE x.relkind = 'i' AND s.nspname NOT IN ('pg_catalog', 'pg_toast') AND pg_catalog.pg_table_is_visible(x.oid)
  AND t.relkind = 'r' AND t.relname = $1

-- :: {"kind": "ext", "params": ["profiles"], "rows": true}
SELECT s.nspname AS constraint_schema, t.relname AS table_name, a.attname AS column_name, x.relname AS index_name
FROM pg_class t
JOIN pg_index i ON t.oid = i.indrelid
JOIN pg_class x ON i.indexrelid = x.oid
JOIN pg_attribute a ON t.oid = a.attrelid
LEFT JOIN pg_namespace s ON x.relnamespace = s.oid
WHERE x.relkind = 'i' AND s.nspname NOT IN ('pg_catalog', 'pg_toast') AND pg_catalog.pg_table_is_visible(x.oid)
  AND a.attnum = ANY(i.indkey) AND t.relkind = 'r' AND t.relname = $1

-- :: {"kind": "ext", "params": ["profiles"]}
SELECT current_database() AS "CONSTRAINT_CATALOG", s.nspname AS "CONSTRAINT_SCHEMA", k.conname AS "CONSTRAINT_NAME",
  current_database() AS "TABLE_CATALOG", ts.nspname AS "TABLE_SCHEMA", t.relname AS "TABLE_NAME", "CONSTRAINT_TYPE",
  k.condeferrable AS "IS_DEFERRABLE", k.condeferred AS "INITIALLY_DEFERRED"
FROM pg_catalog.pg_constraint k
INNER JOIN pg_catalog.pg_namespace s ON k.connamespace = s.oid
INNER JOIN pg_catalog.pg_class t ON k.conrelid = t.oid
INNER JOIN pg_catalog.pg_namespace ts ON t.relnamespace = ts.oid
INNER JOIN (
  SELECT 'PRIMARY KEY' AS "CONSTRAINT_TYPE", 'p' AS "contype" UNION ALL
  SELECT 'FOREIGN KEY' AS "CONSTRAINT_TYPE", 'f' AS "contype" UNION ALL
  SELECT 'UNIQUE KEY' AS "CONSTRAINT_TYPE", 'u' AS "contype"
) kinds ON kinds.contype = k.contype AND t.relname = $1

-- :: {"kind": "ext", "rows": true}
SELECT s.nspname AS constraint_schema, k.conname AS constraint_name, t.relname AS table_name, a.attname AS column_name,
  a.attnum AS ordinal_number, kinds.constraint_type
FROM pg_constraint k
INNER JOIN pg_namespace s ON s.oid = k.connamespace
INNER JOIN pg_class t ON t.oid = k.conrelid AND t.relkind = 'r'
INNER JOIN pg_attribute a ON t.oid = a.attrelid AND a.attnum = ANY(k.conkey)
INNER JOIN (
  SELECT 'PRIMARY KEY' AS constraint_type, 'p' AS contype UNION ALL
  SELECT 'FOREIGN KEY' AS constraint_type, 'f' AS contype UNION ALL
  SELECT 'UNIQUE KEY' AS constraint_type, 'u' AS contype
) kinds ON kinds.contype = k.contype AND s.nspname = 'public'

-- :: {"kind": "ext"}
SELECT t.oid AS typoid, nspname, relname, attname, attrelid, attnum, attnotnull, attidentity != '' AS isidentity,
  CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE atttypmod END AS typmod,
  CASE WHEN atthasdef THEN (SELECT pg_get_expr(adbin, c.oid) FROM pg_attrdef WHERE adrelid = c.oid AND adnum = a.attnum) ELSE NULL END AS default,
  ((c.relkind = ANY (ARRAY['r'::"char", 'p'::"char"])) OR ((c.relkind = ANY (ARRAY['v'::"char", 'f'::"char"]))
    AND pg_column_is_updatable((c.oid)::regclass, a.attnum, false))) AND a.attidentity NOT IN ('a') AS is_updatable,
  EXISTS (SELECT * FROM pg_index WHERE pg_index.indrelid = c.oid AND pg_index.indisprimary AND attnum = ANY (indkey)) AS isprimarykey,
  EXISTS (SELECT * FROM pg_index WHERE pg_index.indrelid = c.oid AND pg_index.indisunique AND pg_index.indnkeyatts = 1
    AND attnum = pg_index.indkey[0]) AS isunique
FROM pg_attribute AS a
JOIN pg_type AS t ON a.atttypid = t.oid
JOIN pg_class AS c ON c.oid = a.attrelid
JOIN pg_namespace AS s ON s.oid = c.relnamespace
WHERE atttypid <> 0 AND relkind IN ('r', 'v', 'm', 'p') AND NOT attisdropped AND nspname NOT IN ('pg_catalog', 'information_schema')
  AND attnum > 0 AND ((a.attrelid = 'public.profiles'::regclass AND a.attnum = 1) OR (a.attrelid = 'public.profiles'::regclass AND a.attnum = 3))
ORDER BY attnum

-- :: {"kind": "simple"}
SET SESSION AUTHORIZATION DEFAULT;RESET ALL;CLOSE ALL;UNLISTEN *;SELECT pg_advisory_unlock_all();DISCARD SEQUENCES;DISCARD TEMP

-- :: {"kind": "simple"}
DISCARD ALL

-- :: {"kind": "simple"}
select pg_is_in_recovery();SHOW default_transaction_read_only

-- :: {"kind": "ext", "params": ["1", "user_9"], "rows": true}
SELECT id, name, amount, created_at, active FROM profiles WHERE id >= $1::bigint AND name = $2::text
