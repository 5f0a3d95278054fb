-- What Django asks of a schema: for `inspectdb`, and before it changes a table.
-- After: django/django, django/db/backends/postgresql/introspection.py (BSD-3-Clause). The statements are our
-- own: they use the relations, functions and forms that those do.

-- :: {"kind": "simple"}
SELECT k.relname, CASE WHEN k.relispartition THEN 'p' WHEN k.relkind IN ('m', 'v') THEN 'v' ELSE 't' END, obj_description(k.oid, 'pg_class')
FROM pg_catalog.pg_class k LEFT JOIN pg_catalog.pg_namespace s ON s.oid = k.relnamespace
WHERE k.relkind IN ('f', 'm', 'p', 'r', 'v') AND s.nspname NOT IN ('pg_catalog', 'pg_toast') AND pg_catalog.pg_table_is_visible(k.oid)

-- :: {"kind": "simple", "rows": true}
SELECT f.attname AS column_name, NOT (f.attnotnull OR (y.typtype = 'd' AND y.typnotnull)) AS is_nullable,
  pg_get_expr(d.adbin, d.adrelid) AS column_default, CASE WHEN collname = 'default' THEN NULL ELSE collname END AS collation,
  f.attidentity != '' AS is_autofield, coalesce(col_description(f.attrelid, f.attnum), '') <> '-' AS described
FROM pg_attribute f LEFT JOIN pg_attrdef d ON f.attrelid = d.adrelid AND f.attnum = d.adnum
LEFT JOIN pg_collation o ON f.attcollation = o.oid JOIN pg_type y ON f.atttypid = y.oid JOIN pg_class k ON f.attrelid = k.oid
JOIN pg_namespace s ON k.relnamespace = s.oid
WHERE k.relkind IN ('f', 'm', 'p', 'r', 'v') AND k.relname = 'profiles' AND s.nspname NOT IN ('pg_catalog', 'pg_toast')
  AND pg_catalog.pg_table_is_visible(k.oid) AND f.attnum > 0

-- :: {"kind": "simple", "rows": true}
SELECT q.relname AS sequence_name, f.attname AS colname
FROM pg_class q JOIN pg_depend d ON d.objid = q.oid AND d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
JOIN pg_attribute f ON d.refobjid = f.attrelid AND d.refobjsubid = f.attnum
JOIN pg_class t ON t.oid = d.refobjid AND t.relname = 'profiles' AND pg_catalog.pg_table_is_visible(t.oid)
WHERE q.relkind = 'S'

-- :: {"kind": "simple", "rows": true}
SELECT f1.attname, k2.relname, f2.attname
FROM pg_constraint r LEFT JOIN pg_class k1 ON r.conrelid = k1.oid LEFT JOIN pg_class k2 ON r.confrelid = k2.oid
LEFT JOIN pg_attribute f1 ON k1.oid = f1.attrelid AND f1.attnum = r.conkey[1]
LEFT JOIN pg_attribute f2 ON k2.oid = f2.attrelid AND f2.attnum = r.confkey[1]
WHERE k1.relname = 'profiles' AND r.contype = 'f' AND k1.relnamespace = k2.relnamespace AND pg_catalog.pg_table_is_visible(k1.oid)

-- :: {"kind": "simple", "rows": true}
SELECT r.conname, array(SELECT attname FROM unnest(r.conkey) WITH ORDINALITY parts(place, at) JOIN pg_attribute f ON parts.place = f.attnum
    WHERE f.attrelid = r.conrelid ORDER BY parts.at), r.contype,
  (SELECT ok.relname || '.' || fk.attname FROM pg_attribute fk JOIN pg_class ok ON fk.attrelid = ok.oid
   WHERE fk.attrelid = r.confrelid AND fk.attnum = r.confkey[1]), k.reloptions
FROM pg_constraint r JOIN pg_class k ON r.conrelid = k.oid WHERE k.relname = 'profiles' AND pg_catalog.pg_table_is_visible(k.oid)

-- :: {"kind": "simple", "rows": true}
SELECT index_name, array_agg(attname ORDER BY at), indisunique, indisprimary, array_agg(direction ORDER BY at), amname, of_expressions, s.options
FROM (
  SELECT k2.relname AS index_name, x.*, f.attname, m.amname,
    CASE WHEN x.indexprs IS NOT NULL THEN pg_get_indexdef(x.indexrelid) END AS of_expressions,
    CASE m.amname WHEN 'btree' THEN CASE (option & 1) WHEN 1 THEN 'DESC' ELSE 'ASC' END END AS direction, k2.reloptions AS options
  FROM (SELECT * FROM pg_index i, unnest(i.indkey, i.indoption) WITH ORDINALITY parts(key, option, at)) x
  LEFT JOIN pg_class k ON x.indrelid = k.oid LEFT JOIN pg_class k2 ON x.indexrelid = k2.oid LEFT JOIN pg_am m ON k2.relam = m.oid
  LEFT JOIN pg_attribute f ON f.attrelid = k.oid AND f.attnum = x.key
  WHERE k.relname = 'profiles' AND pg_catalog.pg_table_is_visible(k.oid)) s
GROUP BY index_name, indisunique, indisprimary, amname, of_expressions, options

-- :: {"kind": "simple"}
SELECT d.datcollate, pg_size_pretty(pg_database_size(d.datname)) IS NOT NULL FROM pg_database d WHERE d.datname = current_database()
