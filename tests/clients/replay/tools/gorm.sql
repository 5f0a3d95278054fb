-- What GORM asks before it changes a table, and SQLx of the statements that it checks.
-- After: go-gorm/postgres, migrator.go (MIT), and launchbadge/sqlx, sqlx-postgres/src/connection/describe.rs (MIT or Apache-2.0). The
-- statements are our own: they use the relations, functions and forms that those do.

-- :: {"kind": "ext", "rows": true}
SELECT i.column_name, i.is_nullable = 'YES', i.udt_name, i.character_maximum_length, i.numeric_precision, i.numeric_precision_radix, i.numeric_scale,
  i.datetime_precision, 8 * y.typlen, i.column_default, coalesce(d.description, '') <> '-', i.identity_increment
FROM information_schema.columns AS i JOIN pg_type AS y ON i.udt_name = y.typname
LEFT JOIN pg_catalog.pg_description AS d ON d.objsubid = i.ordinal_position AND d.objoid = (
  SELECT k.oid FROM pg_catalog.pg_class k WHERE k.relname = i.table_name
    AND k.relnamespace = (SELECT s.oid FROM pg_catalog.pg_namespace s WHERE s.nspname = i.table_schema))
WHERE i.table_catalog = current_database() AND i.table_schema = 'public' AND i.table_name = 'profiles'

-- :: {"kind": "ext", "rows": true}
SELECT i.column_name, constraint_name, constraint_type
FROM information_schema.table_constraints r
JOIN information_schema.constraint_column_usage AS u USING (constraint_schema, constraint_catalog, table_name, constraint_name)
JOIN information_schema.columns AS i ON i.table_schema = r.constraint_schema AND r.table_name = i.table_name AND u.column_name = i.column_name
WHERE constraint_type IN ('PRIMARY KEY', 'UNIQUE') AND i.table_catalog = current_database() AND i.table_schema = 'public' AND i.table_name = 'profiles'

-- :: {"kind": "ext", "rows": true}
SELECT k.relname AS table_name, ki.relname AS index_name, i.indisunique, i.indisprimary, f.attname AS column_name
FROM pg_index i LEFT JOIN pg_class k ON k.oid = i.indrelid LEFT JOIN pg_class ki ON ki.oid = i.indexrelid
LEFT JOIN pg_attribute f ON f.attrelid = k.oid LEFT JOIN pg_constraint r ON r.conindid = i.indexrelid
WHERE f.attnum = ANY (i.indkey) AND r.oid IS NULL AND k.relkind = 'r' AND k.relname = 'profiles'

-- :: {"kind": "ext", "rows": true}
SELECT f.attname AS column_name, format_type(f.atttypid, f.atttypmod) AS data_type
FROM pg_attribute f JOIN pg_class k ON f.attrelid = k.oid AND k.relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'public')
WHERE f.attnum > 0 AND NOT f.attisdropped AND k.relname = 'profiles'

-- :: {"kind": "ext", "params": ["odd"], "rows": true}
SELECT count(description) FROM pg_catalog.pg_description
WHERE objsubid = (SELECT ordinal_position FROM information_schema.columns WHERE table_name = $1 AND column_name = 'id')
  AND objoid = (SELECT oid FROM pg_catalog.pg_class WHERE relname = $1 AND relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'public'))

-- :: {"kind": "ext", "rows": true}
SELECT oid::regtype::text, typname, typtype, typcategory, typrelid, typelem, typbasetype FROM pg_catalog.pg_type WHERE oid = 23

-- :: {"kind": "ext", "params": ["int4"], "rows": true}
SELECT $1::regtype::oid
