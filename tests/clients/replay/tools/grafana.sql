-- What Grafana's PostgreSQL data source asks for its query builder, and what its macros become.
-- After: grafana/grafana, public/app/plugins/datasource/grafana-postgresql-datasource/postgresMetaQuery.ts and
-- pkg/tsdb/grafana-postgresql-datasource/macros.go (AGPL-3.0). The statements are our own: they use the relations, functions and
-- forms that the data source does, and none of its text.

-- :: {"kind": "simple", "rows": true}
select (current_setting('server_version_num'))::int/100 AS version

-- :: {"kind": "simple", "rows": true}
select extversion from pg_extension where extname='timescaledb'

-- :: {"kind": "simple"}
select schema_name as "name" from information_schema.schemata
where schema_name not in ('pg_toast', 'pg_catalog', 'information_schema', '_timescaledb_internal', '_timescaledb_catalog')
order by schema_name

-- :: {"kind": "simple"}
select
  case when quote_ident(table_schema) in (
      select case when trim(parts[n]) = '"$user"' then user else trim(parts[n]) end
      from generate_series(
          array_lower(string_to_array(current_setting('search_path'), ','), 1),
          array_upper(string_to_array(current_setting('search_path'), ','), 1)) as n,
        string_to_array(current_setting('search_path'), ',') parts)
    then quote_ident(table_name)
    else quote_ident(table_schema) || '.' || quote_ident(table_name)
  end as "table"
from information_schema.tables
where quote_ident(table_schema) not in ('pg_catalog', 'information_schema', '_timescaledb_config')
order by case when quote_ident(table_schema) in (
      select case when trim(parts[n]) = '"$user"' then user else trim(parts[n]) end
      from generate_series(
          array_lower(string_to_array(current_setting('search_path'), ','), 1),
          array_upper(string_to_array(current_setting('search_path'), ','), 1)) as n,
        string_to_array(current_setting('search_path'), ',') parts)
    then 0 else 1 end, 1

-- :: {"kind": "simple"}
select quote_ident(table_name) as "table" from information_schema.tables where quote_ident(table_schema) = 'public' order by 1

-- :: {"kind": "simple", "rows": true}
select quote_ident(column_name) as "column", data_type as "type"
from information_schema.columns
where case when array_length(parse_ident('public.profiles'), 1) = 2
  then quote_ident(table_schema) = (parse_ident('public.profiles'))[1]
    and quote_ident(table_name) = (parse_ident('public.profiles'))[2]
  else quote_ident(table_name) = 'public.profiles'
    and quote_ident(table_schema) in (
      select case when trim(parts[n]) = '"$user"' then user else trim(parts[n]) end
      from generate_series(
          array_lower(string_to_array(current_setting('search_path'), ','), 1),
          array_upper(string_to_array(current_setting('search_path'), ','), 1)) as n,
        string_to_array(current_setting('search_path'), ',') parts)
  end

-- :: {"kind": "simple", "rows": true}
select column_name as "column", data_type as "type" from information_schema.columns
where table_schema = 'public' and table_name = 'profiles'
  and data_type in ('bigint', 'integer', 'double precision', 'numeric', 'real', 'timestamp with time zone')
order by ordinal_position

-- :: {"kind": "ext", "rows": true}
SELECT floor((extract(epoch from created_at))/300)*300 AS "time", avg(amount) AS "amount", count(*)
FROM profiles
WHERE created_at BETWEEN '1970-01-01T00:00:00Z' AND '1970-01-01T00:50:00Z'
GROUP BY 1 ORDER BY 1

-- :: {"kind": "ext", "rows": true}
SELECT extract(epoch from created_at) as "time", amount AS value, name AS metric
FROM profiles
WHERE created_at >= '1970-01-01T00:00:00Z' AND created_at <= '1970-01-01T00:01:00.5Z'
ORDER BY 1, metric LIMIT 50

-- :: {"kind": "ext", "rows": true}
SELECT floor((id)/60)*60 AS "time", sum(amount), max(CASE WHEN active THEN 1 ELSE 0 END) AS "any"
FROM profiles WHERE id >= 60 AND id <= 400
GROUP BY floor((id)/60)*60 ORDER BY 1

-- :: {"kind": "ext", "rows": true}
SELECT DISTINCT name AS "__text", id AS "__value" FROM profiles WHERE name ~* '^USER_1[0-9]$' OR name IN ('user_1','user_2') ORDER BY id
