-- What DBeaver reads of a database when it is opened, and of a schema and a table when they are looked at.
-- After: dbeaver/dbeaver, plugins/org.jkiss.dbeaver.ext.postgresql (Apache-2.0). The statements are our own: they use the relations,
-- functions and forms that those do.

-- :: {"kind": "ext", "params": ["cdp"]}
SELECT d.oid, d.* FROM pg_catalog.pg_database d WHERE (d.datallowconn AND NOT d.datistemplate) OR d.datname = $1 ORDER BY d.datname

-- :: {"kind": "ext"}
SELECT s.* FROM pg_catalog.pg_settings s

-- :: {"kind": "ext"}
SELECT y.oid, y.*, r.relkind, format_type(nullif(y.typbasetype, 0), y.typtypmod) AS base_type, c.description
FROM pg_catalog.pg_type y LEFT OUTER JOIN pg_catalog.pg_type e ON e.oid = y.typelem LEFT OUTER JOIN pg_catalog.pg_class r ON r.oid = y.typrelid
LEFT OUTER JOIN pg_catalog.pg_description c ON c.objoid = y.oid
WHERE y.typname IS NOT NULL AND (r.relkind IS NULL OR r.relkind = 'c') AND (e.typcategory IS NULL OR e.typcategory <> 'C')

-- :: {"kind": "ext"}
SELECT s.oid, s.*, c.description FROM pg_catalog.pg_namespace s
LEFT OUTER JOIN pg_catalog.pg_description c ON c.objoid = s.oid AND c.objsubid = 0 AND c.classoid = 'pg_namespace'::regclass ORDER BY s.nspname

-- :: {"kind": "ext", "params": ["2200"]}
SELECT r.oid, r.*, c.description, pg_catalog.pg_get_expr(r.relpartbound, r.oid) AS bounds, pg_catalog.pg_get_partkeydef(r.oid) AS cut_by
FROM pg_catalog.pg_class r LEFT OUTER JOIN pg_catalog.pg_description c ON c.objoid = r.oid AND c.objsubid = 0 AND c.classoid = 'pg_class'::regclass
WHERE r.relnamespace = $1 AND r.relkind NOT IN ('i', 'I', 'c')

-- :: {"kind": "ext"}
SELECT r.relname, f.*, pg_catalog.pg_get_expr(x.adbin, x.adrelid, true) AS default_value, c.description, n.objid
FROM pg_catalog.pg_attribute f INNER JOIN pg_catalog.pg_class r ON (f.attrelid = r.oid)
LEFT OUTER JOIN pg_catalog.pg_attrdef x ON (f.attrelid = x.adrelid AND f.attnum = x.adnum)
LEFT OUTER JOIN pg_catalog.pg_description c ON (r.oid = c.objoid AND f.attnum = c.objsubid)
LEFT OUTER JOIN pg_depend n ON n.refobjid = f.attrelid AND n.deptype = 'i' AND n.refobjsubid = f.attnum AND n.classid = n.refclassid
WHERE NOT f.attisdropped AND r.relkind NOT IN ('i', 'I', 'c') AND r.oid = 'profiles'::regclass ORDER BY f.attnum

-- :: {"kind": "ext", "params": ["2200"]}
SELECT k.oid, k.*, t.relname AS of_table, o.relnamespace AS other_schema,
  CASE WHEN k.contype = 'c' THEN "substring"(pg_get_constraintdef(k.oid), 7) ELSE NULL END AS condition
FROM pg_catalog.pg_constraint k INNER JOIN pg_catalog.pg_class t ON t.oid = k.conrelid LEFT OUTER JOIN pg_catalog.pg_class o ON o.oid = k.confrelid
WHERE t.relnamespace = $1 ORDER BY k.oid

-- :: {"kind": "ext", "params": ["2200"]}
SELECT i.*, i.indkey AS columns, x.relname, x.relam, t.relname AS of_table, pg_catalog.pg_get_expr(i.indpred, i.indrelid) AS condition,
  pg_catalog.pg_get_expr(i.indexprs, i.indrelid, true) AS terms, pg_catalog.pg_relation_size(i.indexrelid) AS bytes,
  pg_catalog.pg_stat_get_numscans(i.indexrelid) AS scans
FROM pg_catalog.pg_index i INNER JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid INNER JOIN pg_catalog.pg_class t ON t.oid = i.indrelid
WHERE x.relnamespace = $1 ORDER BY of_table, x.relname

-- :: {"kind": "ext"}
SELECT g.* FROM (
  SELECT DISTINCT relnamespace, relacl, relname, relkind, (aclexplode(relacl)).grantee AS to_whom FROM pg_class
  WHERE relacl IS NOT NULL AND relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname NOT LIKE 'pg_%' AND nspname != 'information_schema')
) AS g WHERE g.to_whom = 10

-- :: {"kind": "ext"}
SELECT DISTINCT p.* FROM (SELECT a.*, (aclexplode(defaclacl)).grantee AS grantee FROM pg_default_acl a WHERE a.defaclnamespace <> 0) AS p
WHERE p.grantee = 10

-- :: {"kind": "ext"}
SELECT e.oid, c.relations, e.* FROM pg_catalog.pg_extension e LEFT JOIN (
  SELECT array_agg(n.nspname || '.' || r.relname) relations, m.extension FROM (
    SELECT unnest(x.extconfig) oid, x.oid extension FROM pg_catalog.pg_extension x) m
  JOIN pg_class r ON r.oid = m.oid JOIN pg_namespace n ON n.oid = r.relnamespace GROUP BY m.extension) c ON c.extension = e.oid ORDER BY e.oid
