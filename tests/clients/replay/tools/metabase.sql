-- What Metabase asks when it looks a database over, samples its columns and answers questions.
-- After: metabase/metabase, src/metabase/driver/postgres.clj and src/metabase/driver/sql_jdbc/sync (AGPL-3.0). The statements are
-- our own: they use the relations, functions and forms that the driver does, and none of its text.

-- :: {"kind": "ext", "rows": true}
show timezone;

-- :: {"kind": "ext", "rows": true}
SELECT n.nspname, t.typname
FROM pg_catalog.pg_namespace n, pg_type t
WHERE n.oid = t.typnamespace AND t.oid IN (SELECT DISTINCT e.enumtypid FROM pg_enum e)

-- :: {"kind": "ext", "params": ["public"]}
SELECT s.nspname AS "schema", r.relname AS "name",
  CASE r.relkind WHEN 'r' THEN 'TABLE' WHEN 'p' THEN 'PARTITIONED TABLE' WHEN 'v' THEN 'VIEW' WHEN 'f' THEN 'FOREIGN TABLE'
    WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE NULL END AS "type",
  c.description AS "description", u.n_live_tup AS "estimated_row_count"
FROM pg_catalog.pg_class AS r
INNER JOIN pg_catalog.pg_namespace AS s ON s.oid = r.relnamespace
LEFT JOIN pg_catalog.pg_description AS c ON (r.oid = c.objoid) AND (c.objsubid = 0) AND (c.classoid = 'pg_class'::regclass)
LEFT JOIN pg_stat_user_tables AS u ON (s.nspname = u.schemaname) AND (r.relname = u.relname)
WHERE (s.oid = r.relnamespace) AND (s.nspname !~ '^pg_') AND (s.nspname <> 'information_schema')
  AND r.relkind IN ('r', 'p', 'v', 'f', 'm') AND (s.nspname IN ($1))
ORDER BY "type" ASC, "schema" ASC, "name" ASC

-- :: {"kind": "ext", "params": ["public", "profiles"], "rows": true}
SELECT col.column_name AS "name",
  CASE WHEN col.udt_schema IN ('public', 'pg_catalog') THEN FORMAT('%s', col.udt_name)
    ELSE FORMAT('"%s"."%s"', col.udt_schema, col.udt_name) END AS "database-type",
  col.ordinal_position - 1 AS "database-position", col.table_schema AS "table-schema", col.table_name AS "table-name",
  (keys.column_name IS NOT NULL) AS "pk?",
  COL_DESCRIPTION(CAST(CAST(FORMAT('%I.%I', CAST(col.table_schema AS text), CAST(col.table_name AS text)) AS regclass) AS oid),
    col.ordinal_position) AS "field-comment",
  ((col.column_default IS NULL) OR (LOWER(col.column_default) = 'null')) AND (col.is_nullable = 'NO')
    AND NOT (((col.column_default IS NOT NULL) AND (col.column_default LIKE '%nextval(%')) OR (col.is_identity <> 'NO'))
    AS "database-required",
  ((col.column_default IS NOT NULL) AND (col.column_default LIKE '%nextval(%')) OR (col.is_identity <> 'NO')
    AS "database-is-auto-increment"
FROM information_schema.columns AS col
LEFT JOIN (
  SELECT con.table_schema, con.table_name, usage.column_name
  FROM information_schema.table_constraints AS con
  INNER JOIN information_schema.key_column_usage AS usage ON (con.constraint_name = usage.constraint_name)
    AND (con.table_schema = usage.table_schema) AND (con.table_name = usage.table_name)
  WHERE con.constraint_type = 'PRIMARY KEY') AS keys
  ON (col.table_schema = keys.table_schema) AND (col.table_name = keys.table_name) AND (col.column_name = keys.column_name)
WHERE col.table_schema !~ '^information_schema|catalog_history|pg_' AND (col.table_schema IN ($1)) AND (col.table_name IN ($2))
UNION ALL
SELECT att.attname AS "name",
  CASE WHEN own.nspname IN ('public', 'pg_catalog') THEN FORMAT('%s', typ.typname)
    ELSE FORMAT('"%s"."%s"', own.nspname, typ.typname) END AS "database-type",
  att.attnum - 1 AS "database-position", sch.nspname AS "table-schema", rel.relname AS "table-name",
  FALSE AS "pk?", NULL AS "field-comment", FALSE AS "database-required", FALSE AS "database-is-auto-increment"
FROM pg_catalog.pg_class AS rel
INNER JOIN pg_catalog.pg_namespace AS sch ON sch.oid = rel.relnamespace
INNER JOIN pg_catalog.pg_attribute AS att ON att.attrelid = rel.oid
INNER JOIN pg_catalog.pg_type AS typ ON typ.oid = att.atttypid
INNER JOIN pg_catalog.pg_namespace AS own ON own.oid = typ.typnamespace
WHERE (rel.relkind = 'm') AND (att.attnum >= 1) AND (sch.nspname IN ($1)) AND (rel.relname IN ($2))
ORDER BY "table-schema" ASC, "table-name" ASC, "database-position" ASC

-- :: {"kind": "ext", "params": ["public"], "rows": true}
SELECT "from_schema"."nspname" AS "fk-table-schema", "from_table"."relname" AS "fk-table-name", "from_column"."attname" AS "fk-column-name",
  "to_schema"."nspname" AS "pk-table-schema", "to_table"."relname" AS "pk-table-name", "to_column"."attname" AS "pk-column-name"
FROM "pg_constraint" AS "k"
INNER JOIN "pg_class" AS "from_table" ON "from_table"."oid" = "k"."conrelid"
INNER JOIN "pg_namespace" AS "from_schema" ON "from_schema"."oid" = "k"."connamespace"
INNER JOIN "pg_attribute" AS "from_column" ON "from_column"."attrelid" = "k"."conrelid"
INNER JOIN "pg_class" AS "to_table" ON "to_table"."oid" = "k"."confrelid"
INNER JOIN "pg_namespace" AS "to_schema" ON "to_schema"."oid" = "to_table"."relnamespace"
INNER JOIN "pg_attribute" AS "to_column" ON "to_column"."attrelid" = "k"."confrelid"
WHERE from_schema.nspname !~ '^information_schema|catalog_history|pg_' AND ("k"."contype" = 'f'::char)
  AND ("from_column"."attnum" = ANY(k.conkey)) AND ("to_column"."attnum" = ANY(k.confkey)) AND ("from_schema"."nspname" IN ($1))
ORDER BY "fk-table-schema" ASC, "fk-table-name" ASC

-- :: {"kind": "ext", "params": ["public"], "rows": true}
SELECT "keys"."table-schema", "keys"."table-name", TRIM(BOTH '"' FROM PG_CATALOG.PG_GET_INDEXDEF("keys"."index_oid", "keys"."at", FALSE)) AS "field-name"
FROM (
  SELECT "s"."nspname" AS "table-schema", "t"."relname" AS "table-name", "x"."oid" AS "index_oid",
    (INFORMATION_SCHEMA._PG_EXPANDARRAY("i"."indkey")).n AS "at"
  FROM "pg_catalog"."pg_class" AS "t"
  INNER JOIN "pg_catalog"."pg_namespace" AS "s" ON "t"."relnamespace" = "s"."oid"
  INNER JOIN "pg_catalog"."pg_index" AS "i" ON "t"."oid" = "i"."indrelid"
  INNER JOIN "pg_catalog"."pg_class" AS "x" ON "x"."oid" = "i"."indexrelid"
  WHERE (PG_CATALOG.PG_GET_EXPR("i"."indpred", "i"."indrelid") IS NULL)
    AND s.nspname !~ '^information_schema|catalog_history|pg_' AND ("s"."nspname" IN ($1))) AS "keys"
WHERE "keys"."at" = 1

-- :: {"kind": "ext"}
with rights as (
  select NULL as role, r.schemaname as schema, r.relation as table,
    pg_catalog.has_any_column_privilege(current_user, '"' || replace(r.schemaname, '"', '""') || '"' || '.' || '"' || replace(r.relation, '"', '""') || '"', 'update') as update,
    pg_catalog.has_any_column_privilege(current_user, '"' || replace(r.schemaname, '"', '""') || '"' || '.' || '"' || replace(r.relation, '"', '""') || '"', 'select') as select,
    pg_catalog.has_any_column_privilege(current_user, '"' || replace(r.schemaname, '"', '""') || '"' || '.' || '"' || replace(r.relation, '"', '""') || '"', 'insert') as insert,
    pg_catalog.has_table_privilege(current_user, '"' || replace(r.schemaname, '"', '""') || '"' || '.' || '"' || replace(r.relation, '"', '""') || '"', 'delete') as delete
  from (
    select schemaname, tablename as relation from pg_catalog.pg_tables
    union
    select schemaname, viewname as relation from pg_catalog.pg_views
    union
    select schemaname, matviewname as relation from pg_catalog.pg_matviews
  ) r
  where r.schemaname !~ '^pg_' and r.schemaname <> 'information_schema'
    and pg_catalog.has_schema_privilege(current_user, r.schemaname, 'usage')
)
select r.* from rights r

-- :: {"kind": "ext", "rows": true}
SELECT TRUE AS "_" FROM "public"."profiles" WHERE 1 <> 1 LIMIT 0

-- :: {"kind": "ext", "rows": true}
-- Metabase
SELECT SUBSTRING("source"."name", 1, 1234) AS "substring1", SUBSTRING("source"."email", 1, 1234) AS "substring2"
FROM (SELECT "public"."profiles"."name" AS "name", "public"."profiles"."email" AS "email" FROM "public"."profiles") AS "source"
ORDER BY "substring1" ASC LIMIT 20

-- :: {"kind": "ext"}
SET SESSION TIMEZONE TO 'Europe/Berlin';

-- :: {"kind": "ext", "rows": true}
SELECT CAST(CAST(DATE_TRUNC('week', CAST("public"."profiles"."created_at" AS timestamp) + INTERVAL '1 day') AS timestamp) + INTERVAL '-1 day' AS timestamp) AS "created_at",
  COUNT(*) AS "count", SUM("public"."profiles"."amount") AS "sum"
FROM "public"."profiles"
WHERE ("public"."profiles"."created_at" >= timestamp with time zone '1970-01-01 00:00:00.000Z')
  AND ("public"."profiles"."created_at" < timestamp with time zone '1970-02-01 00:00:00.000Z')
GROUP BY CAST(CAST(DATE_TRUNC('week', CAST("public"."profiles"."created_at" AS timestamp) + INTERVAL '1 day') AS timestamp) + INTERVAL '-1 day' AS timestamp)
ORDER BY "created_at" ASC

-- :: {"kind": "ext"}
SET SESSION TIMEZONE TO 'UTC';

-- :: {"kind": "ext", "rows": true}
SELECT DATE_TRUNC('minute', "public"."profiles"."created_at") AS "created_at", COUNT(*) AS "count",
  PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY "public"."profiles"."amount") AS "median",
  COUNT(DISTINCT "public"."profiles"."name") AS "distinct"
FROM "public"."profiles"
GROUP BY DATE_TRUNC('minute', "public"."profiles"."created_at")
ORDER BY DATE_TRUNC('minute', "public"."profiles"."created_at") ASC LIMIT 2000

-- :: {"kind": "ext", "rows": true}
SELECT FLOOR((("public"."profiles"."amount" - 0.0) / 500.0)) * 500.0 + 0.0 AS "amount", COUNT(*) AS "count"
FROM "public"."profiles"
GROUP BY FLOOR((("public"."profiles"."amount" - 0.0) / 500.0)) * 500.0 + 0.0
ORDER BY FLOOR((("public"."profiles"."amount" - 0.0) / 500.0)) * 500.0 + 0.0 ASC

-- :: {"kind": "ext", "rows": true}
SELECT CAST(EXTRACT(doy FROM "public"."profiles"."created_at") AS integer) AS "day",
  CASE WHEN CAST(EXTRACT(dow FROM "public"."profiles"."created_at") AS integer) + 1 = 7 THEN 7
    ELSE (CAST(EXTRACT(dow FROM "public"."profiles"."created_at") AS integer) + 1) % 7 END AS "weekday",
  CAST(EXTRACT(year FROM AGE(DATE_TRUNC('day', TIMESTAMP '2020-02-03 10:00:00'), DATE_TRUNC('day', CAST("public"."profiles"."created_at" AS timestamp)))) AS integer) AS "years",
  CAST(TRUNC(EXTRACT(epoch FROM TIMESTAMP '1970-01-01 01:00:00') - EXTRACT(epoch FROM CAST("public"."profiles"."created_at" AS timestamp))) AS integer) AS "seconds"
FROM "public"."profiles" WHERE "public"."profiles"."id" = 7

-- :: {"kind": "ext", "params": ["Asia/Tokyo"], "rows": true}
SELECT TIMEZONE($1, "public"."profiles"."created_at") AS "in_tokyo",
  MAKE_TIME(EXTRACT(hour FROM "public"."profiles"."created_at")::integer, 0, 0.0) AS "hour",
  SUBSTRING("public"."profiles"."email" FROM '@(.*)$') AS "domain",
  CASE WHEN 2 < 1 THEN '' ELSE SPLIT_PART("public"."profiles"."name", '_', 2) END AS "part"
FROM "public"."profiles" WHERE "public"."profiles"."id" = 4

-- :: {"kind": "ext", "params": ["%user\\_29%"], "rows": true}
SELECT "public"."profiles"."id" AS "id", "public"."profiles"."name" AS "name"
FROM "public"."profiles"
WHERE (LOWER("public"."profiles"."name") LIKE $1)
  AND ("public"."profiles"."created_at" < DATE_TRUNC('month', NOW() + INTERVAL '-6 month'))
ORDER BY "public"."profiles"."id" ASC LIMIT 1048575

-- :: {"kind": "ext"}
SELECT "profiles"."name" AS "name", SUM(COUNT(*)) OVER (ORDER BY "profiles"."name" ASC ROWS UNBOUNDED PRECEDING) AS "sum"
FROM "profiles" WHERE "profiles"."id" <= 5
GROUP BY "profiles"."name" ORDER BY "profiles"."name" ASC

-- :: {"kind": "ext"}
SET ROLE NONE;
