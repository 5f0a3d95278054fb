-- What Tableau sends through psqlODBC or pgjdbc: its check of temporary tables, shapes of results without their rows, worksheets, and
-- cursors. The catalog queries of its drivers are in `py` and `jdbc`, as they were recorded.
-- After: cube-js/cube#10721 and test_introspection.rs there (Apache-2.0), tableau/connector-plugin-sdk#1185. The statements are our
-- own, in the forms that are seen there.

-- :: {"kind": "simple"}
CREATE LOCAL TEMPORARY TABLE "#Tableau_4_B7A1_1_Connect_Check" ("COL" INTEGER) ON COMMIT PRESERVE ROWS

-- :: {"kind": "simple"}
DROP TABLE "#Tableau_4_B7A1_1_Connect_Check"

-- :: {"kind": "ext"}
SELECT "SUBCOL" AS "COL" FROM (SELECT 1 AS "SUBCOL") "SUBQUERY" GROUP BY 2

-- :: {"kind": "ext", "rows": true}
SELECT "SUBCOL" AS "COL" FROM (SELECT 1 AS "SUBCOL") "SUBQUERY" GROUP BY 1

-- :: {"kind": "ext", "rows": true}
SELECT 1 AS "COL" FROM (SELECT 1 AS "SUBCOL") "CHECKSUBQUERY"

-- :: {"kind": "simple"}
SELECT * FROM (SELECT * FROM "public"."profiles") "TableauSQL" LIMIT 0

-- :: {"kind": "simple", "rows": true}
SELECT "profiles"."active" AS "active", SUM("profiles"."amount") AS "sum:amount:ok", COUNT(DISTINCT "profiles"."name") AS "ctd:name:ok"
FROM "public"."profiles" "profiles"
GROUP BY 1

-- :: {"kind": "simple", "rows": true}
SELECT CAST(DATE_TRUNC('MONTH', CAST("profiles"."created_at" AS TIMESTAMP)) AS DATE) AS "tmn:created_at:ok",
  CAST(TRUNC(EXTRACT(YEAR FROM "profiles"."created_at")) AS INTEGER) AS "yr:created_at:ok",
  CAST(TRUNC(EXTRACT(QUARTER FROM "profiles"."created_at")) AS INTEGER) AS "qr:created_at:ok", AVG("profiles"."amount") AS "avg:amount:ok"
FROM "public"."profiles" "profiles"
WHERE (("profiles"."created_at" >= (TIMESTAMP '1970-01-01 00:00:00.000')) AND ("profiles"."created_at" <= (TIMESTAMP '1970-01-31 23:59:59.000')))
GROUP BY 1, 2, 3

-- :: {"kind": "simple", "rows": true}
SELECT MIN("profiles"."created_at") AS "TEMP(min)", MAX("profiles"."created_at") AS "TEMP(max)", COUNT(1) AS "cnt"
FROM "public"."profiles" "profiles"
HAVING (COUNT(1) > 0)

-- :: {"kind": "simple", "rows": true}
SELECT "profiles"."name" AS "name", SUM("profiles"."amount") AS "$__alias__0"
FROM "public"."profiles" "profiles"
INNER JOIN (
  SELECT "profiles"."name" AS "name", SUM("profiles"."amount") AS "$__alias__1"
  FROM "public"."profiles" "profiles" GROUP BY 1 ORDER BY 2 DESC NULLS LAST, 1 ASC NULLS FIRST LIMIT 3
) "t0" ON ("profiles"."name" = "t0"."name")
GROUP BY 1 ORDER BY 2 DESC NULLS LAST

-- :: {"kind": "simple", "rows": true}
SELECT (CASE WHEN ("profiles"."id" % 2) = 0 THEN 'even' ELSE NULL END) AS "Calculation_1",
  CAST("profiles"."id" AS DOUBLE PRECISION) / 3 AS "ratio", (CAST("profiles"."created_at" AS DATE) + 1 * INTERVAL '1 DAY') AS "next",
  POSITION('_' IN "profiles"."name") AS "at", ASCII("profiles"."name") AS "ascii", (("profiles"."name" IS NULL) OR ("profiles"."name" = '')) AS "none"
FROM "public"."profiles" "profiles" WHERE "profiles"."id" <= 4 ORDER BY "ratio"

-- :: {"kind": "simple", "rows": true}
BEGIN;declare "SQL_CUR0x1a2b" cursor with hold for SELECT "profiles"."id" AS "id" FROM "public"."profiles" "profiles" WHERE "profiles"."id" < 100 ORDER BY 1 ASC;fetch 10 in "SQL_CUR0x1a2b"

-- :: {"kind": "simple", "rows": true}
commit;fetch 10 in "SQL_CUR0x1a2b";close "SQL_CUR0x1a2b"

-- :: {"kind": "simple"}
CREATE TEMPORARY TABLE "#Tableau_4_B7A1_2_Filter" AS SELECT "profiles"."name" AS "x_name" FROM "public"."profiles" "profiles" WHERE "profiles"."id" < 4

-- :: {"kind": "simple", "rows": true}
SELECT SUM("profiles"."amount") AS "sum:amount:ok" FROM "public"."profiles" "profiles" INNER JOIN "#Tableau_4_B7A1_2_Filter" "f" ON ("profiles"."name" = "f"."x_name") HAVING (COUNT(1) > 0)

-- :: {"kind": "simple"}
DROP TABLE "#Tableau_4_B7A1_2_Filter"
