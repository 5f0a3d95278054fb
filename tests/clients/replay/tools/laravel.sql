-- What Laravel asks of a schema: its tables, columns, types, indexes and foreign keys.
-- After: laravel/framework, src/Illuminate/Database/Schema/Grammars/PostgresGrammar.php (MIT). The statements are our own: they use
-- the relations, functions and forms that Laravel does.

-- :: {"kind": "ext", "rows": true}
SELECT EXISTS (SELECT 1 FROM pg_class k, pg_namespace s
  WHERE s.nspname = current_schema() AND k.relname = 'profiles' AND k.relkind IN ('r', 'p') AND s.oid = k.relnamespace)

-- :: {"kind": "ext"}
SELECT k.relname AS name, s.nspname AS schema, pg_total_relation_size(k.oid) AS size, obj_description(k.oid, 'pg_class') AS comment
FROM pg_class k, pg_namespace s WHERE k.relkind IN ('r', 'p') AND s.oid = k.relnamespace AND s.nspname NOT IN ('pg_catalog', 'information_schema')
ORDER BY k.relname

-- :: {"kind": "ext"}
SELECT f.attname AS name, y.typname AS type_name, format_type(f.atttypid, f.atttypmod) AS type,
  (SELECT o.collcollate FROM pg_catalog.pg_collation o WHERE o.oid = f.attcollation) AS collation, NOT f.attnotnull AS nullable,
  (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE k.oid = pg_attrdef.adrelid AND pg_attrdef.adnum = f.attnum) AS default,
  f.attgenerated AS generated, col_description(k.oid, f.attnum) AS comment
FROM pg_attribute f, pg_class k, pg_type y, pg_namespace s
WHERE k.relname = 'profiles' AND s.nspname = current_schema() AND f.attnum > 0 AND f.attrelid = k.oid AND f.atttypid = y.oid
  AND s.oid = k.relnamespace ORDER BY f.attnum

-- :: {"kind": "ext", "rows": true}
SELECT ki.relname AS name, string_agg(f.attname, ',' ORDER BY parts.at) AS columns, m.amname AS type, i.indisunique AS unique,
  i.indisprimary AS primary
FROM pg_index i JOIN pg_class k ON k.oid = i.indrelid JOIN pg_namespace s ON s.oid = k.relnamespace
JOIN pg_class ki ON ki.oid = i.indexrelid JOIN pg_am m ON m.oid = ki.relam
JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS parts (num, at) ON true
LEFT JOIN pg_attribute f ON f.attrelid = i.indrelid AND f.attnum = parts.num
WHERE k.relname = 'profiles' AND s.nspname = current_schema()
GROUP BY ki.relname, m.amname, i.indisunique, i.indisprimary

-- :: {"kind": "ext", "rows": true}
SELECT r.conname AS name, string_agg(lf.attname, ',' ORDER BY parts.at) AS columns, os.nspname AS foreign_schema, ok.relname AS foreign_table,
  string_agg(ff.attname, ',' ORDER BY parts.at) AS foreign_columns, r.confupdtype AS on_update, r.confdeltype AS on_delete
FROM pg_constraint r JOIN pg_class k ON r.conrelid = k.oid JOIN pg_namespace s ON s.oid = k.relnamespace
JOIN pg_class ok ON r.confrelid = ok.oid JOIN pg_namespace os ON os.oid = ok.relnamespace
JOIN LATERAL unnest(r.conkey) WITH ORDINALITY AS parts (num, at) ON true
JOIN pg_attribute lf ON lf.attrelid = r.conrelid AND lf.attnum = parts.num
JOIN pg_attribute ff ON ff.attrelid = r.confrelid AND ff.attnum = r.confkey[parts.at]
WHERE r.contype = 'f' AND k.relname = 'profiles' AND s.nspname = current_schema()
GROUP BY r.conname, os.nspname, ok.relname, r.confupdtype, r.confdeltype

-- :: {"kind": "ext"}
SELECT y.typname AS name, s.nspname AS schema, y.typtype AS type, y.typcategory AS category,
  ((y.typinput = 'array_in'::regproc AND y.typoutput = 'array_out'::regproc) OR y.typtype = 'm') AS implicit
FROM pg_type y JOIN pg_namespace s ON s.oid = y.typnamespace LEFT JOIN pg_class k ON k.oid = y.typrelid
LEFT JOIN pg_type e ON e.oid = y.typelem LEFT JOIN pg_class ke ON ke.oid = e.typrelid
WHERE ((y.typrelid = 0 AND (ke.relkind = 'c' OR ke.relkind IS NULL)) OR k.relkind = 'c')
  AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid IN (y.oid, y.typelem) AND d.deptype = 'e') AND s.nspname NOT IN ('pg_catalog', 'information_schema')
