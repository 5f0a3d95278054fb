-- What Entity Framework Core asks of a database that it makes classes of, by way of Npgsql.
-- After: npgsql/efcore.pg, src/EFCore.PG/Scaffolding/Internal/NpgsqlDatabaseModelFactory.cs (PostgreSQL). The statements are our own:
-- they use the relations, functions and forms that it does.

-- :: {"kind": "ext"}
SELECT s.nspname, k.relname, k.relkind, d.description
FROM pg_class AS k JOIN pg_namespace AS s ON s.oid = k.relnamespace
LEFT OUTER JOIN pg_description AS d ON d.objoid = k.oid AND d.objsubid = 0
WHERE k.relkind IN ('r', 'v', 'm', 'f') AND s.nspname NOT IN ('pg_catalog', 'information_schema') AND k.relname <> '__EFMigrationsHistory'
  AND NOT EXISTS (SELECT 1 FROM pg_depend WHERE classid = (SELECT k.oid FROM pg_class AS k JOIN pg_namespace AS s ON s.oid = k.relnamespace
      WHERE relname = 'pg_class' AND s.nspname = 'pg_catalog') AND objid = k.oid AND deptype IN ('e', 'x'))

-- :: {"kind": "ext", "rows": true}
SELECT s.nspname, k.relname, y.typname, b.typname AS base, f.attname, f.attisdropped, f.attidentity::text, f.attgenerated::text,
  format_type(y.oid, f.atttypmod) AS formatted, format_type(b.oid, y.typtypmod) AS formatted_base,
  CASE WHEN p.proname = 'array_recv' THEN 'a' ELSE y.typtype END AS typtype, CASE WHEN p.proname = 'array_recv' THEN e.typname END AS element,
  NOT (f.attnotnull OR y.typnotnull) AS nullable,
  CASE WHEN f.atthasdef THEN (SELECT pg_get_expr(adbin, k.oid) FROM pg_attrdef WHERE adrelid = k.oid AND adnum = f.attnum) END AS default,
  format_type(q.seqtypid, 0) AS seqtype, q.seqstart, q.seqmin, q.seqmax, q.seqincrement, q.seqcycle, q.seqcache
FROM pg_class AS k JOIN pg_namespace AS s ON s.oid = k.relnamespace LEFT JOIN pg_attribute AS f ON f.attrelid = k.oid
LEFT JOIN pg_type AS y ON f.atttypid = y.oid LEFT JOIN pg_proc AS p ON p.oid = y.typreceive LEFT JOIN pg_type AS e ON e.oid = y.typelem
LEFT JOIN pg_type AS b ON b.oid = y.typbasetype LEFT JOIN pg_collation AS o ON o.oid = f.attcollation
LEFT JOIN pg_depend AS d ON d.refobjid = k.oid AND d.refobjsubid = f.attnum AND d.deptype = 'i'
LEFT JOIN pg_sequence AS q ON q.seqrelid = d.objid
WHERE k.relkind IN ('r', 'v', 'm', 'f') AND s.nspname NOT IN ('pg_catalog', 'information_schema') AND f.attnum > 0 AND k.relname = 'profiles'
ORDER BY f.attnum

-- :: {"kind": "ext", "rows": true}
SELECT s.nspname, k.relname, r.conname, r.contype::text, r.conkey, os.nspname AS other_schema, ok.relname AS other_name, r.confkey, r.confdeltype::text
FROM pg_class AS k JOIN pg_namespace AS s ON s.oid = k.relnamespace JOIN pg_constraint AS r ON r.conrelid = k.oid
LEFT OUTER JOIN pg_class AS ok ON ok.oid = r.confrelid LEFT OUTER JOIN pg_namespace AS os ON os.oid = ok.relnamespace
WHERE k.relkind = 'r' AND s.nspname NOT IN ('pg_catalog', 'information_schema') AND r.contype IN ('p', 'f', 'u') AND k.relname = 'profiles'

-- :: {"kind": "ext", "rows": true}
SELECT s.nspname, k.relname AS table_name, ki.relname AS index_name, i.indisunique, i.indnkeyatts,
  pg_indexam_has_property(m.oid, 'can_order') AS amcanorder, i.indkey, m.amname, i.indclass, i.indoption, i.indcollation,
  CASE WHEN i.indexprs IS NULL THEN NULL ELSE pg_get_expr(i.indexprs, k.oid) END AS exprs,
  CASE WHEN i.indpred IS NULL THEN NULL ELSE pg_get_expr(i.indpred, k.oid) END AS pred
FROM pg_class AS k JOIN pg_namespace AS s ON s.oid = k.relnamespace JOIN pg_index AS i ON i.indrelid = k.oid
JOIN pg_class AS ki ON ki.oid = i.indexrelid JOIN pg_am AS m ON m.oid = ki.relam
WHERE k.relkind = 'r' AND s.nspname NOT IN ('pg_catalog', 'information_schema') AND k.relname = 'profiles'

-- :: {"kind": "ext", "rows": true}
SELECT datcollate FROM pg_database WHERE datname = current_database() AND datcollate <> (SELECT datcollate FROM pg_database WHERE datname = 'template1')

-- :: {"kind": "ext"}
SELECT opcname, opcdefault FROM pg_opclass

-- :: {"kind": "ext"}
SELECT q.sequence_schema, q.sequence_name, q.data_type, q.start_value, q.minimum_value, q.maximum_value, q.increment, q.cycle_option = 'YES' AS cycles
FROM information_schema.sequences q JOIN pg_namespace AS s ON s.nspname = q.sequence_schema
JOIN pg_class AS k ON k.relnamespace = s.oid AND k.relname = q.sequence_name LEFT OUTER JOIN pg_depend AS d ON d.objid = k.oid AND d.deptype = 'i'
WHERE k.relkind = 'S' AND d.deptype IS NULL

-- :: {"kind": "ext"}
SELECT s.nspname, c.collname, c.collprovider, c.collcollate, c.collctype, c.colliculocale, c.collisdeterministic
FROM pg_collation c JOIN pg_namespace s ON s.oid = c.collnamespace WHERE s.nspname NOT IN ('pg_catalog')
