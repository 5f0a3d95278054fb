-- What tools that copy tables ask before and while they do: Airbyte of cursors, sizes and transactions, Spark of the shape of a query.
-- After: airbytehq/airbyte, airbyte-integrations/connectors/source-postgres/src/main/java/io/airbyte/integrations/source/postgres/
-- PostgresQueryUtils.java at 01e5f10 (ELv2), and apache/spark, sql/core/src/main/scala/org/apache/spark/sql/jdbc/JdbcDialects.scala
-- (Apache-2.0). The statements are our own: they use the relations, functions and forms that those do, and none of their text.

-- :: {"kind": "ext"}
SELECT (EXISTS (SELECT FROM information_schema.columns WHERE table_schema = 'public' AND table_name = 'profiles' AND is_nullable = 'YES'
    AND column_name = 'email'))
  AND (EXISTS (SELECT FROM "public"."profiles" WHERE "email" IS NULL LIMIT 1)) AS nullvalue

-- :: {"kind": "ext"}
SELECT (SELECT reltuples::int8 AS count FROM pg_class c JOIN pg_catalog.pg_namespace n ON n.oid=c.relnamespace
    WHERE nspname='public' AND relname='profiles') AS rowcount, pg_relation_size('"public"."profiles"') AS totalbytes

-- :: {"kind": "ext"}
SELECT * FROM "public"."profiles" WHERE 1=0

-- :: {"kind": "ext"}
SELECT "name","amount" FROM (SELECT name, amount FROM profiles) SPARK_GEN_SUBQ_0 WHERE 1=0

-- :: {"kind": "ext"}
SELECT "name" FROM public.profiles WHERE ("amount" IS NOT NULL) AND ("amount" > 10.5) AND "id" < 1000 or "id" is null

-- :: {"kind": "ext"}
SELECT (txid_snapshot_xmin(txid_current_snapshot()) >> 32) AS num_wraparound,
  (txid_snapshot_xmin(txid_current_snapshot()) % (2^32)::bigint) AS xmin_xid_value,
  txid_snapshot_xmin(txid_current_snapshot()) AS xmin_raw_value
