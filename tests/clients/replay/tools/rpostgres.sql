-- What RPostgres asks of types, tables and columns, and Postgrex, through which Ecto connects, of types.
-- After: r-dbi/RPostgres, R/tables.R and R/dbConnect_PqDriver.R at 1a95d3d (MIT), and elixir-ecto/postgrex, lib/postgrex/types.ex
-- at f6e5f2f (Apache-2.0). The statements are our own: they use the relations, functions and forms that those do.

-- :: {"kind": "simple"}
SELECT oid, typname FROM pg_type

-- :: {"kind": "simple"}
SELECT EXISTS (SELECT table_schema, table_name FROM information_schema.tables WHERE TRUE
  AND (table_schema = ANY(current_schemas(true))) AND (table_schema <> 'pg_catalog') AND table_name = 'profiles')

-- :: {"kind": "simple"}
SELECT column_name FROM (SELECT *, rank() OVER (ORDER BY nr) AS rnr FROM (
    SELECT * FROM unnest(current_schemas(true)) WITH ORDINALITY AS tbl(table_schema, nr) WHERE table_schema != 'pg_catalog') schemas_on_path
  INNER JOIN INFORMATION_SCHEMA.COLUMNS USING (table_schema) WHERE table_name = 'profiles') tttt WHERE rnr = 1 ORDER BY ordinal_position

-- :: {"kind": "simple"}
SELECT NULL::text AS schema, table_name AS table FROM (SELECT table_schema, table_name FROM information_schema.tables WHERE TRUE
    AND (table_schema = ANY(current_schemas(true))) AND (table_schema <> 'pg_catalog') ORDER BY table_type, table_name) AS table_query
UNION ALL
SELECT DISTINCT table_schema AS schema, NULL::text AS table FROM (SELECT table_schema, table_name FROM information_schema.tables
  WHERE TRUE AND true) AS schema_query;

-- :: {"kind": "ext"}
SELECT t.oid, t.typname, t.typsend, t.typreceive, t.typoutput, t.typinput, coalesce(d.typelem, t.typelem), coalesce(r.rngsubtype, 0),
  ARRAY (SELECT a.atttypid FROM pg_attribute AS a WHERE a.attrelid = coalesce(d.typrelid, t.typrelid) AND a.attnum > 0
    AND NOT a.attisdropped ORDER BY a.attnum)
FROM pg_type AS t LEFT JOIN pg_type AS d ON t.typbasetype = d.oid
LEFT JOIN pg_range AS r ON r.rngtypid = t.oid OR r.rngmultitypid = t.oid OR (t.typbasetype <> 0 AND r.rngtypid = t.typbasetype)
WHERE (t.typrelid = 0)
  AND (t.typelem = 0 OR NOT EXISTS (SELECT 1 FROM pg_catalog.pg_type s WHERE s.typrelid != 0 AND s.oid = t.typelem))

-- :: {"kind": "ext"}
SELECT nspname FROM pg_catalog.pg_namespace WHERE oid = pg_my_temp_schema()
