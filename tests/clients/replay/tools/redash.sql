-- What tools for reports ask of a database: Redash of its schema, Cube of types and keys, and Lightdash of the columns of models; and
-- the medians that the last computes.
-- After: getredash/redash, redash/query_runner/pg.py at ca79fe9 (BSD-2-Clause), cube-js/cube,
-- packages/cubejs-postgres-driver/src/PostgresDriver.ts at 030aae0 (Apache-2.0), and lightdash/lightdash,
-- packages/warehouses/src/warehouseClients/PostgresWarehouseClient.ts at 072ae67 (MIT). The statements are our own: they use the
-- relations, functions and forms that those do.

-- :: {"kind": "simple"}
SELECT s.nspname AS table_schema, c.relname AS table_name, a.attname AS column_name, NULL AS data_type
FROM pg_class c JOIN pg_namespace s ON c.relnamespace = s.oid AND s.nspname NOT IN ('pg_catalog', 'information_schema')
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind = 'm' AND has_table_privilege(quote_ident(s.nspname) || '.' || quote_ident(c.relname), 'select')
  AND has_schema_privilege(s.nspname, 'usage')
UNION
SELECT table_schema, table_name, column_name, data_type FROM information_schema.columns
WHERE table_schema NOT IN ('pg_catalog', 'information_schema')
  AND has_table_privilege(quote_ident(table_schema) || '.' || quote_ident(table_name), 'select')
  AND has_schema_privilege(table_schema, 'usage')

-- :: {"kind": "ext", "params": ["1"], "rows": true}
SELECT $1::int AS number

-- :: {"kind": "simple"}
SET TIME ZONE 'UTC'

-- :: {"kind": "simple"}
SET statement_timeout TO 600000

-- :: {"kind": "ext"}
SELECT oid, CASE WHEN typcategory = 'E' THEN 'varchar' ELSE typname END FROM pg_type WHERE typcategory IN ('U', 'E')

-- :: {"kind": "ext"}
SELECT columns.table_schema AS "table_schema", columns.table_name AS "table_name", columns.column_name AS "column_name"
FROM information_schema.table_constraints tc
JOIN information_schema.constraint_column_usage AS ccu USING (constraint_schema, constraint_name)
JOIN information_schema.columns AS columns ON columns.table_schema = tc.constraint_schema
  AND tc.table_name = columns.table_name AND ccu.column_name = columns.column_name
WHERE constraint_type = 'PRIMARY KEY' AND columns.table_schema NOT IN ('pg_catalog', 'information_schema', 'INFORMATION_SCHEMA')

-- :: {"kind": "ext"}
SELECT tc.table_schema AS "table_schema", kcu.column_name AS "column_name", columns.table_name AS "target_table"
FROM information_schema.table_constraints AS tc
JOIN information_schema.key_column_usage AS kcu ON tc.constraint_name = kcu.constraint_name
JOIN information_schema.constraint_column_usage AS columns ON columns.constraint_name = tc.constraint_name
WHERE constraint_type = 'FOREIGN KEY' AND tc.table_schema NOT IN ('pg_catalog', 'information_schema')

-- :: {"kind": "ext"}
SELECT table_catalog, table_schema, table_name, column_name, data_type FROM information_schema.columns
WHERE table_catalog IN ('cdp') AND table_schema IN ('public') AND table_name IN ('profiles')

-- :: {"kind": "ext"}
SELECT "profiles".active AS "profiles_active", PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY "profiles".amount) AS "profiles_median"
FROM "public"."profiles" AS "profiles" GROUP BY 1 ORDER BY "profiles_active" LIMIT 500
-- {"user_uuid":"x"}

-- :: {"kind": "ext"}
SELECT date_trunc('month', ("profiles".created_at::timestamptz AT TIME ZONE 'UTC')) "profiles__created_at_month",
  count(distinct "profiles".id) "profiles__count"
FROM profiles AS "profiles"
WHERE ("profiles".created_at >= '1970-01-01T00:00:00.000Z'::timestamptz AND "profiles".created_at <= '1970-12-31T23:59:59.999Z'::timestamptz)
GROUP BY 1 ORDER BY 1 ASC LIMIT 10000
