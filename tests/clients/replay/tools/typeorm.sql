-- What TypeORM and Drizzle read of a schema before they change it or write its classes.
-- After: typeorm/typeorm, src/driver/postgres/PostgresQueryRunner.ts (MIT), and drizzle-team/drizzle-orm,
-- drizzle-kit/src/serializer/pgSerializer.ts (Apache-2.0). The statements are our own: they use the relations, functions and forms
-- that those do.

-- :: {"kind": "ext", "rows": true}
SELECT * FROM current_schema()

-- :: {"kind": "ext", "rows": true}
SELECT c.column_name, c.is_nullable, ('"' || c."udt_schema" || '"."' || c."udt_name" || '"')::"regtype"::text AS "regtype",
  pg_catalog.format_type(a."atttypid", a."atttypmod") AS "format_type"
FROM "information_schema"."columns" c
LEFT JOIN "pg_catalog"."pg_attribute" AS a ON a."attname" = c."column_name" AND a."attrelid" = (
  SELECT k."oid" FROM "pg_catalog"."pg_class" AS k LEFT JOIN "pg_catalog"."pg_namespace" AS n ON n."oid" = k."relnamespace"
  WHERE k."relname" = c."table_name" AND n."nspname" = c."table_schema")
WHERE (c."table_schema" = 'public' AND c."table_name" = 'profiles')

-- :: {"kind": "ext", "rows": true}
SELECT n."nspname" AS "table_schema", t."relname" AS "table_name", k."conname" AS "constraint_name",
  pg_get_constraintdef(k."oid") AS "expression", CASE k."contype" WHEN 'p' THEN 'PRIMARY' WHEN 'u' THEN 'UNIQUE' END AS "constraint_type",
  a."attname" AS "column_name"
FROM "pg_constraint" k INNER JOIN "pg_class" t ON t."oid" = k."conrelid" INNER JOIN "pg_namespace" n ON n."oid" = k."connamespace"
LEFT JOIN "pg_attribute" a ON a."attrelid" = k."conrelid" AND a."attnum" = ANY (k."conkey")
WHERE t."relkind" IN ('r', 'p') AND (n."nspname" = 'public' AND t."relname" = 'profiles')

-- :: {"kind": "ext", "rows": true}
SELECT i."relname" AS "index_name", a."attname" AS "column_name", CASE x."indisunique" WHEN 't' THEN 'TRUE' ELSE 'FALSE' END AS "is_unique",
  pg_get_expr(x."indpred", x."indrelid") AS "condition", m."amname" AS "index_type"
FROM "pg_class" t INNER JOIN "pg_index" x ON x."indrelid" = t."oid"
INNER JOIN "pg_attribute" a ON a."attrelid" = t."oid" AND a."attnum" = ANY (x."indkey")
INNER JOIN "pg_class" i ON i."oid" = x."indexrelid" INNER JOIN "pg_am" m ON i."relam" = m."oid"
WHERE t."relkind" IN ('r', 'p') AND t."relname" = 'profiles'

-- :: {"kind": "ext"}
SELECT k."conname" AS "constraint_name", a."attname" AS "column_name", c."relname" AS "referenced_table", k."confdeltype" AS "on_delete",
  k."deferrable", k."condeferred" AS "deferred"
FROM (
  SELECT UNNEST (o."conkey") AS "parent", UNNEST (o."confkey") AS "child", o."confrelid", o."conrelid", o."conname", o."condeferrable" AS deferrable,
    CASE WHEN o."condeferred" THEN 'INITIALLY DEFERRED' ELSE 'INITIALLY IMMEDIATE' END AS condeferred,
    CASE o."confdeltype" WHEN 'a' THEN 'NO ACTION' WHEN 'c' THEN 'CASCADE' END AS "confdeltype"
  FROM "pg_class" t INNER JOIN "pg_namespace" n ON t."relnamespace" = n."oid" INNER JOIN "pg_constraint" o ON o."conrelid" = t."oid"
  WHERE o."contype" = 'f' AND (n."nspname" = 'public' AND t."relname" = 'profiles')) k
INNER JOIN "pg_attribute" a ON a."attrelid" = k."conrelid" AND a."attnum" = k."parent"
INNER JOIN "pg_class" c ON c."oid" = k."confrelid" AND c."relispartition" = 'f'

-- :: {"kind": "ext", "rows": true}
SELECT a.attrelid::regclass::text AS table_name, a.attname AS column_name,
  CASE WHEN a.atttypid = ANY ('{int,int8,int2}'::regtype[]) AND EXISTS (
    SELECT FROM pg_attrdef d WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum)
  THEN 'serial' ELSE format_type(a.atttypid, a.atttypmod) END AS data_type
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relname = 'profiles' ORDER BY a.attnum

-- :: {"kind": "ext"}
SELECT schemaname, tablename, policyname AS name, roles AS to, cmd AS for, qual AS using FROM pg_policies
