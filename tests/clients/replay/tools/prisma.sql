-- What Prisma reads of a database when it writes a schema, and what other mappers of objects ask at first.
-- After: prisma/prisma-engines, schema-engine/sql-schema-describer/src/postgres (Apache-2.0), porsager/postgres (Unlicense) and
-- elixir-ecto/postgrex (Apache-2.0). The statements are our own: they use the relations, functions and forms that those do.

-- :: {"kind": "ext", "params": ["{public}"]}
WITH raw AS (
  SELECT indrelid, indexrelid, indisunique, indisprimary, unnest(indkey) AS key, generate_subscripts(indkey, 1) AS at,
    unnest(indclass) AS class, unnest(indoption) AS option
  FROM pg_index WHERE indpred IS NULL AND NOT indisexclusion)
SELECT n.nspname AS namespace, i.relname AS index_name, t.relname AS table_name, a.attname AS column_name, raw.indisunique AS is_unique,
  raw.at AS column_index, o.opcname AS opclass, m.amname AS algorithm, CASE raw.option & 1 WHEN 1 THEN 'DESC' ELSE 'ASC' END AS column_order,
  c.condeferrable AS condeferrable
FROM raw INNER JOIN pg_class AS t ON t.oid = raw.indrelid INNER JOIN pg_class AS i ON i.oid = raw.indexrelid
INNER JOIN pg_namespace AS n ON n.oid = t.relnamespace
LEFT JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = raw.key
INNER JOIN pg_am AS m ON m.oid = i.relam LEFT JOIN pg_opclass AS o ON o.oid = raw.class
LEFT JOIN pg_constraint c ON raw.indexrelid = c.conindid AND c.contype <> 'f'
WHERE n.nspname = ANY ($1) ORDER BY namespace, table_name, index_name, column_index

-- :: {"kind": "ext", "params": ["{public}"]}
SELECT t.relname AS table_name, n.nspname AS namespace, (t.relhassubclass AND t.relkind = 'p') AS is_partition,
  t.relrowsecurity AS has_row_level_security, reloptions, obj_description(t.oid, 'pg_class') AS description
FROM pg_class AS t INNER JOIN pg_namespace AS n ON n.oid = t.relnamespace
WHERE ((t.relkind = 'r' AND t.relispartition = 'f') OR t.relkind = 'p') AND n.nspname = ANY ($1) ORDER BY namespace, table_name

-- :: {"kind": "ext", "rows": true}
SELECT b.oid, b.typarray FROM pg_catalog.pg_type a LEFT JOIN pg_catalog.pg_type b ON b.oid = a.typelem
WHERE a.typcategory = 'A' AND b.typname IN ('int4', 'text', 'jsonb', 'timestamptz') GROUP BY b.oid, b.typarray ORDER BY b.oid

-- :: {"kind": "ext"}
SELECT t.oid, t.typname, t.typsend, t.typreceive, t.typoutput, t.typinput, coalesce(d.typelem, t.typelem), coalesce(r.rngsubtype, 0),
  ARRAY (SELECT a.atttypid FROM pg_attribute AS a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum)
FROM pg_type AS t LEFT JOIN pg_type AS d ON t.typbasetype = d.oid
LEFT JOIN pg_range AS r ON r.rngtypid = t.oid OR r.rngmultitypid = t.oid OR (t.typbasetype <> 0 AND r.rngtypid = t.typbasetype)
WHERE (t.typrelid = 0) AND (t.typelem = 0 OR NOT EXISTS (SELECT 1 FROM pg_catalog.pg_type s WHERE s.typrelid != 0 AND s.oid = t.typelem))
