-- What Apache Superset asks beside the inspector of SQLAlchemy, which `sa_psycopg2` has, and what its charts send.
-- After: apache/superset, superset/db_engine_specs/postgres.py and superset/models/helpers.py (Apache-2.0). The statements are our
-- own, in the forms that Superset makes.

-- :: {"kind": "simple"}
SELECT datname FROM pg_database
WHERE datistemplate = false;

-- :: {"kind": "simple"}
set search_path = "public"

-- :: {"kind": "simple"}
SELECT pg_backend_pid()

-- :: {"kind": "simple", "rows": true}
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid='0'

-- :: {"kind": "simple"}
EXPLAIN SELECT name, count(*) AS count FROM public.profiles GROUP BY name LIMIT 100

-- :: {"kind": "simple", "rows": true}
SELECT DATE_TRUNC('hour', created_at) AS created_at, sum(amount) AS "SUM(amount)", count(*) AS count, COUNT(DISTINCT name) AS "COUNT_DISTINCT(name)"
FROM public.profiles
WHERE created_at >= TO_TIMESTAMP('1970-01-01 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US')
  AND created_at < TO_TIMESTAMP('1970-01-02 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US')
GROUP BY DATE_TRUNC('hour', created_at) ORDER BY "SUM(amount)" DESC LIMIT 10000;

-- :: {"kind": "simple", "rows": true}
SELECT virtual_table.active AS active, AVG(virtual_table.amount) AS "AVG(amount)", MAX(virtual_table.created_at) AS latest
FROM (SELECT id, name, amount, active, created_at FROM profiles WHERE id % 3 = 0) AS virtual_table
WHERE virtual_table.active IN (true) OR virtual_table.active IS NULL
GROUP BY virtual_table.active ORDER BY "AVG(amount)" DESC LIMIT 1000;

-- :: {"kind": "simple", "rows": true}
SELECT DATE_TRUNC('minute', created_at) AS __timestamp, name AS name, SUM(amount) AS total
FROM public.profiles JOIN (
  SELECT name AS name__, SUM(amount) AS mme_inner__ FROM public.profiles GROUP BY name ORDER BY mme_inner__ DESC LIMIT 7
) AS series_limit ON name = name__
GROUP BY name, DATE_TRUNC('minute', created_at) ORDER BY total DESC, name LIMIT 100;

-- :: {"kind": "simple", "rows": true}
SELECT (timestamp 'epoch' + id * interval '1 second') AS moment, TO_DATE('2024-02-29', 'YYYY-MM-DD') AS day,
  created_at >= TO_DATE('1970-01-01', 'YYYY-MM-DD') AS later
FROM public.profiles WHERE name LIKE 'user\_299%' ORDER BY id LIMIT 5

-- :: {"kind": "simple"}
SELECT * FROM public.profiles LIMIT 1001

-- :: {"kind": "simple"}
reset search_path
