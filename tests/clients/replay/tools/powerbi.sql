-- What Power BI's PostgreSQL connector asks in its navigator, and what folded queries look like.
-- After: the log of datafusion-contrib/datafusion-postgres#218 and cube-js/cube, rust/cubesql/cubesql/src/compile/test/
-- test_introspection.rs (Apache-2.0). The statements are our own, in the forms that are seen there.

-- :: {"kind": "ext"}
select character_set_name from INFORMATION_SCHEMA.CHARACTER_SETS

-- :: {"kind": "ext"}
select TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE
from INFORMATION_SCHEMA.tables
where TABLE_SCHEMA not in ('pg_catalog', 'information_schema')
order by TABLE_SCHEMA, TABLE_NAME

-- :: {"kind": "ext", "rows": true}
select COLUMN_NAME, ORDINAL_POSITION, IS_NULLABLE, case when (data_type like '%unsigned%') then DATA_TYPE || ' unsigned' else DATA_TYPE end as DATA_TYPE
from INFORMATION_SCHEMA.columns
where TABLE_NAME = 'profiles' and TABLE_SCHEMA = 'public'
order by TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION

-- :: {"kind": "ext", "rows": true}
select
  own.COLUMN_NAME as PK_COLUMN_NAME, far.TABLE_SCHEMA AS FK_TABLE_SCHEMA, far.TABLE_NAME AS FK_TABLE_NAME, far.COLUMN_NAME as FK_COLUMN_NAME,
  far.ORDINAL_POSITION as ORDINAL, link.CONSTRAINT_SCHEMA || '_' || far.TABLE_NAME || '_' || 'profiles' || '_' || link.CONSTRAINT_NAME as FK_NAME
from
  (select distinct constraint_catalog, constraint_schema, unique_constraint_schema, constraint_name, unique_constraint_name
    from INFORMATION_SCHEMA.REFERENTIAL_CONSTRAINTS) link
  inner join INFORMATION_SCHEMA.KEY_COLUMN_USAGE far
    on link.CONSTRAINT_NAME = far.CONSTRAINT_NAME and link.CONSTRAINT_SCHEMA = far.CONSTRAINT_SCHEMA
  inner join INFORMATION_SCHEMA.KEY_COLUMN_USAGE own
    on link.UNIQUE_CONSTRAINT_NAME = own.CONSTRAINT_NAME and link.UNIQUE_CONSTRAINT_SCHEMA = own.CONSTRAINT_SCHEMA
where own.TABLE_SCHEMA = 'public' and own.TABLE_NAME = 'profiles' and own.ORDINAL_POSITION = far.ORDINAL_POSITION
order by FK_NAME, far.ORDINAL_POSITION

-- :: {"kind": "ext", "rows": true}
select k.CONSTRAINT_SCHEMA || '_' || k.CONSTRAINT_NAME as INDEX_NAME, u.COLUMN_NAME, u.ORDINAL_POSITION,
  case when k.CONSTRAINT_TYPE = 'PRIMARY KEY' then 'Y' else 'N' end as PRIMARY_KEY
from INFORMATION_SCHEMA.table_constraints k
  inner join INFORMATION_SCHEMA.key_column_usage u
  on k.CONSTRAINT_SCHEMA = u.CONSTRAINT_SCHEMA and k.CONSTRAINT_NAME = u.CONSTRAINT_NAME
    and k.TABLE_SCHEMA = u.TABLE_SCHEMA and k.TABLE_NAME = u.TABLE_NAME
where k.TABLE_SCHEMA = 'public' and k.TABLE_NAME = 'profiles' and k.CONSTRAINT_TYPE in ('PRIMARY KEY', 'UNIQUE')
order by INDEX_NAME, k.TABLE_SCHEMA, k.TABLE_NAME, u.ORDINAL_POSITION

-- :: {"kind": "ext"}
select * from "public"."profiles" "$Table" limit 1000

-- :: {"kind": "ext", "rows": true}
select "$Table"."id" as "id", "$Table"."name" as "name", "$Table"."amount" as "amount"
from "public"."profiles" "$Table" where "$Table"."id" <= 10 order by "$Table"."id" limit 4096

-- :: {"kind": "ext", "rows": true}
select "_"."active", "_"."a0", "_"."a1"
from (
  select "rows"."active" as "active", sum("rows"."amount") as "a0", count(distinct("rows"."name")) + max(case when "rows"."name" is null then 1 else 0 end) as "a1"
  from (
    select "_"."active" as "active", "_"."amount" as "amount", "_"."name" as "name"
    from "public"."profiles" "_"
    where "_"."created_at" >= timestamp '1970-01-01 00:10:00' and "_"."created_at" < timestamp '1970-01-01 00:20:00'
  ) "rows"
  group by "active"
) "_"
where not "_"."a0" is null or not "_"."a1" is null
order by "_"."active"
limit 1000001

-- :: {"kind": "ext", "rows": true}
select "semijoin1"."c1", sum(cast("basetable0"."c2" as decimal)) as "a0"
from (select "_"."name" as "c1", "_"."amount" as "c2" from "public"."profiles" "_") "basetable0"
inner join (
  select 'user_7' as "c1" union all select 'user_8' as "c1"
) "semijoin1" on "semijoin1"."c1" = "basetable0"."c1"
group by "semijoin1"."c1" order by "semijoin1"."c1"

-- :: {"kind": "ext", "rows": true}
select "$Outer"."name", "$Inner"."id"
from (select "name", "email" from "public"."profiles" where "id" between 3 and 5) "$Outer"
left outer join "public"."profiles" "$Inner" on ("$Outer"."email" = "$Inner"."email" or ("$Outer"."email" is null and "$Inner"."email" is null))
order by 2
