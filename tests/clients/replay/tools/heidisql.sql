-- What HeidiSQL reads of a server, a schema and a table.
-- After: HeidiSQL/HeidiSQL, source/dbconnection.pas and dbstructures.postgresql.pas at 152ab70 (GPL-2.0). The statements are our own:
-- they use the relations, functions and forms that those do, and none of its text.

-- :: {"kind": "simple"}
SELECT EXTRACT(EPOCH FROM CURRENT_TIMESTAMP - pg_postmaster_start_time())::INTEGER

-- :: {"kind": "simple"}
SELECT "nspname" FROM "pg_catalog"."pg_namespace" WHERE ("nspname" NOT LIKE 'pg\_%' AND "nspname" != 'information_schema'
  OR "nspname" IN ('pg_catalog', 'public', 'information_schema')) ORDER BY "nspname"

-- :: {"kind": "simple"}
SELECT n.nspname AS schema_name, c.relname AS object_name, c.relkind AS object_kind,
  pg_table_size(format('%I.%I', n.nspname, c.relname))::bigint AS data_length,
  pg_relation_size(format('%I.%I', n.nspname, c.relname))::bigint AS index_length, c.reltuples,
  obj_description(c.oid) AS comment, NULL AS proargtypes
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public' AND c.relkind IN ('r','v','m')
UNION ALL
SELECT n.nspname, p.proname, p.prokind, NULL::bigint, NULL::bigint, NULL::real, obj_description(p.oid), p.proargtypes
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'public' AND p.prokind IN ('f','p')

-- :: {"kind": "simple"}
SELECT a.attname AS column_name, a.attnum AS ordinal_position, pg_catalog.format_type(a.atttypid, a.atttypmod) AS data_type,
  CASE WHEN (bt.typcategory = 'S' OR (bt.oid IS NULL AND t.typcategory = 'S')) AND a.atttypmod <> -1 THEN a.atttypmod - 4 ELSE NULL END
    AS character_maximum_length,
  CASE WHEN (bt.typcategory IN ('N','F')) OR (bt.oid IS NULL AND t.typcategory IN ('N','F'))
    THEN CASE WHEN a.atttypmod = -1 THEN NULL ELSE ((a.atttypmod - 4) >> 16)::integer END END AS numeric_precision,
  CASE WHEN t.typcategory IN ('N','F') THEN CASE WHEN a.atttypmod = -1 THEN NULL ELSE ((a.atttypmod - 4) & 65535)::integer END END
    AS numeric_scale,
  CASE WHEN t.typcategory = 'S' THEN current_database() ELSE NULL END AS character_set_name,
  CASE WHEN a.attcollation <> t.typcollation THEN coll.collname ELSE NULL END AS collation_name,
  CASE WHEN a.attgenerated = '' AND a.atthasdef THEN pg_get_expr(ad.adbin, ad.adrelid) ELSE NULL END AS column_default, d.description
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_type AS bt ON bt.oid = t.typbasetype
LEFT JOIN pg_catalog.pg_attrdef AS ad ON ad.adrelid = a.attrelid AND ad.adnum = a.attnum
LEFT JOIN pg_catalog.pg_description AS d ON d.objoid = a.attrelid AND d.objsubid = a.attnum
LEFT JOIN pg_catalog.pg_collation AS coll ON coll.oid = a.attcollation
WHERE n.nspname = 'public' AND a.attnum > 0 AND NOT a.attisdropped AND c.relname = 'profiles' ORDER BY ordinal_position

-- :: {"kind": "simple"}
WITH ndx_list AS (SELECT pg_index.indexrelid, pg_class.oid FROM pg_index, pg_class
    WHERE pg_class.relname = 'profiles' AND pg_class.oid = pg_index.indrelid),
  ndx_cols AS (SELECT pg_class.relname, UNNEST(i.indkey) AS col_ndx,
    CASE i.indisprimary WHEN true THEN 'PRIMARY' ELSE CASE i.indisunique WHEN true THEN 'UNIQUE' ELSE 'KEY' END END AS constraint_type,
    pg_class.oid
    FROM pg_class JOIN pg_index i ON (pg_class.oid = i.indexrelid) JOIN ndx_list ON (pg_class.oid = ndx_list.indexrelid)
    WHERE pg_table_is_visible(pg_class.oid))
SELECT ndx_cols.relname AS constraint_name, ndx_cols.constraint_type, a.attname AS column_name
FROM pg_attribute a JOIN ndx_cols ON (a.attnum = ndx_cols.col_ndx)
JOIN ndx_list ON (ndx_list.oid = a.attrelid AND ndx_list.indexrelid = ndx_cols.oid)

-- :: {"kind": "simple"}
SELECT con.conname, src_tbl.relname AS table_name, string_agg(src_col.attname, ',' ORDER BY ord.pos) AS columns,
  ref_ns.nspname AS ref_schema, ref_tbl.relname AS ref_table, string_agg(ref_col.attname, ',' ORDER BY ord.pos) AS ref_columns,
  string_agg(ord.pos::text, ',' ORDER BY ord.pos) AS ord_position
FROM pg_constraint con JOIN pg_class src_tbl ON src_tbl.oid = con.conrelid JOIN pg_namespace src_ns ON src_ns.oid = src_tbl.relnamespace
JOIN LATERAL unnest(con.conkey) WITH ORDINALITY AS ord(attnum, pos) ON TRUE
JOIN pg_attribute src_col ON src_col.attrelid = src_tbl.oid AND src_col.attnum = ord.attnum
JOIN pg_class ref_tbl ON ref_tbl.oid = con.confrelid JOIN pg_namespace ref_ns ON ref_ns.oid = ref_tbl.relnamespace
JOIN LATERAL unnest(con.confkey) WITH ORDINALITY AS ref_ord(attnum, pos) ON ref_ord.pos = ord.pos
JOIN pg_attribute ref_col ON ref_col.attrelid = ref_tbl.oid AND ref_col.attnum = ref_ord.attnum
WHERE con.contype = 'f' AND src_ns.nspname = 'public' AND src_tbl.relname = 'profiles'
GROUP BY con.conname, src_tbl.relname, ref_ns.nspname, ref_tbl.relname

-- :: {"kind": "simple"}
SELECT n.nspname AS enum_schema, t.typname AS enum_name, string_agg(e.enumlabel, '|' ORDER BY e.enumsortorder) AS enum_labels
FROM pg_type AS t JOIN pg_enum AS e ON t.oid = e.enumtypid JOIN pg_namespace AS n ON n.oid = t.typnamespace
WHERE t.typtype = 'e' GROUP BY n.nspname, t.typname ORDER BY UPPER(t.typname)

-- :: {"kind": "simple"}
SELECT * FROM "pg_type" WHERE "oid"=1700

-- :: {"kind": "simple"}
SELECT "definition" FROM "pg_matviews" WHERE "matviewname"='v' AND "schemaname"='segments'

-- :: {"kind": "simple"}
SELECT reltuples::bigint FROM pg_class LEFT JOIN pg_namespace ON pg_namespace.oid = pg_class.relnamespace
WHERE pg_class.relkind='r' AND pg_namespace.nspname='public' AND pg_class.relname='profiles'

-- :: {"kind": "simple"}
SELECT "p"."prosrc", "p"."proargnames", "p"."proargtypes", "p"."prorettype" FROM "pg_catalog"."pg_namespace" AS "n"
JOIN "pg_catalog"."pg_proc" AS "p" ON "p"."pronamespace" = "n"."oid"
WHERE "n"."nspname"='pg_catalog' AND "p"."proname"='set_config' AND "p"."proargtypes"='25 25 16'
