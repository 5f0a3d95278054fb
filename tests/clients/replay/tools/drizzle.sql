-- What Drizzle reads of indexes and views when it pulls a schema, besides what `typeorm` has, and how it asks for related rows.
-- After: drizzle-team/drizzle-orm, drizzle-kit/src/serializer/pgSerializer.ts and drizzle-orm/src/pg-core/dialect.ts (Apache-2.0). The
-- statements are our own: they use the relations, functions and forms that those do.

-- :: {"kind": "ext"}
SELECT DISTINCT ON (t.relname, ic.relname, k.i) t.relname AS table_name, ic.relname AS indexname, k.i AS index_order, i.indisunique AS is_unique,
  am.amname AS method, ic.reloptions AS with, coalesce(a.attname, (('{' || pg_get_expr(i.indexprs, i.indrelid) || '}')::text[])[k.i]) AS column_name,
  CASE WHEN pg_get_expr(i.indexprs, i.indrelid) IS NOT NULL THEN 1 ELSE 0 END AS is_expression,
  i.indoption[k.i - 1] & 1 = 1 AS descending, i.indoption[k.i - 1] & 2 = 2 AS nulls_first, pg_get_expr(i.indpred, i.indrelid) AS where, opc.opcname
FROM pg_class t LEFT JOIN pg_index i ON t.oid = i.indrelid LEFT JOIN pg_class ic ON ic.oid = i.indexrelid
CROSS JOIN LATERAL (SELECT unnest(i.indkey), generate_subscripts(i.indkey, 1) + 1) AS k(attnum, i)
LEFT JOIN pg_attribute AS a ON t.oid = a.attrelid AND k.attnum = a.attnum
JOIN pg_namespace c ON c.oid = t.relnamespace LEFT JOIN pg_am AS am ON ic.relam = am.oid JOIN pg_opclass opc ON opc.oid = ANY (i.indclass)
WHERE c.nspname = 'public' AND t.relname = 'profiles';

-- :: {"kind": "ext"}
SELECT c.relname AS view_name, n.nspname AS schema_name, pg_get_viewdef(c.oid, true) IS NOT NULL AS definition, ts.spcname AS tablespace_name,
  c.reloptions AS options, pg_tablespace_location(ts.oid) AS location
FROM pg_class c JOIN pg_namespace n ON c.relnamespace = n.oid LEFT JOIN pg_tablespace ts ON c.reltablespace = ts.oid
WHERE (c.relkind = 'm' OR c.relkind = 'v') AND n.nspname = 'segments' AND c.relname = 'v';

-- :: {"kind": "ext", "params": ["1"], "rows": true}
select "profiles"."id", "profiles"."name", "profiles_mates"."data" as "mates" from "profiles" "profiles"
left join lateral (select coalesce(json_agg(json_build_array("profiles_mates"."id", "profiles_mates"."name")), '[]'::json) as "data"
  from "profiles" "profiles_mates" where "profiles_mates"."id" < "profiles"."id") "profiles_mates" on true
where "profiles"."id" = $1::bigint limit 1
