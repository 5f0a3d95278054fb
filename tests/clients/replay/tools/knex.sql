-- What Knex asks before it changes a table, and Directus, which is built upon it, of the schema that it makes an API of.
-- After: knex/knex, lib/dialects/postgres at e25d54b (MIT), and directus/directus, packages/schema/src/dialects/postgres.ts at 0637d7d
-- (BUSL-1.1). The statements are our own: they use the relations, functions and forms that those do, and none of their text.

-- :: {"kind": "ext", "params": ["profiles"]}
select * from information_schema.tables where table_name = $1 and table_schema = current_schema()

-- :: {"kind": "ext", "params": ["profiles", "email"]}
select * from information_schema.columns where table_name = $1 and column_name = $2 and table_schema = current_schema()

-- :: {"kind": "ext", "params": ["profiles"]}
select * from information_schema.columns where table_name = $1 and table_catalog = current_database() and table_schema = current_schema()

-- :: {"kind": "ext", "params": ["public"]}
SELECT c.table_name, c.column_name, c.column_default AS default_value, c.data_type, c.character_maximum_length AS max_length,
  c.is_generated = 'ALWAYS' is_generated, CASE WHEN c.is_identity = 'YES' THEN true ELSE false END is_identity
FROM information_schema.columns c LEFT JOIN information_schema.tables t ON c.table_name = t.table_name
WHERE t.table_type = 'BASE TABLE' AND c.table_schema IN ($1)

-- :: {"kind": "ext", "params": ["public"]}
SELECT relname AS table_name, pg_attribute.attname AS column_name FROM pg_index, pg_class, pg_attribute, pg_namespace
WHERE indrelid = pg_class.oid AND nspname IN ($1) AND pg_class.relnamespace = pg_namespace.oid
  AND pg_attribute.attrelid = pg_class.oid AND pg_attribute.attnum = ANY (pg_index.indkey) AND indisprimary

-- :: {"kind": "ext", "params": ["public"], "rows": true}
SELECT EXISTS (SELECT FROM pg_proc p JOIN pg_namespace n ON p.pronamespace = n.oid
  WHERE n.nspname IN ($1) AND p.oid::regprocedure::varchar = 'postgis_version()')

-- :: {"kind": "ext", "params": ["a%", 2]}
select "name", count(*) as "count" from "profiles" where "name" like $1 group by "name" having count(*) > $2 order by "count" desc nulls last
