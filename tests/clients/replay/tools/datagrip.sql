-- What DataGrip, and the database tools of other JetBrains programs, read of a database: everything with the transaction that changed
-- it, so that the next look reads what is newer.
-- After: the statements that such programs show in their log, and JetBrains' documentation of introspection levels. The statements
-- are our own, in the forms that are seen there.

-- :: {"kind": "simple"}
select case when pg_catalog.pg_is_in_recovery() then null else (pg_catalog.txid_current() % 4294967296)::varchar::bigint end as current_txid

-- :: {"kind": "ext", "rows": true}
select round(extract(epoch from pg_catalog.pg_postmaster_start_time() at time zone 'UTC')) > 0 as started

-- :: {"kind": "simple"}
select l.transactionid::varchar::bigint as transaction_id from pg_catalog.pg_locks l where l.transactionid is not null
order by pg_catalog.age(l.transactionid) desc limit 1

-- :: {"kind": "ext"}
select d.oid::bigint as id, d.datname as name, s.description, d.datistemplate as is_template,
  pg_catalog.pg_get_userbyid(d.datdba) as "owner"
from pg_catalog.pg_database d left join pg_catalog.pg_shdescription s on d.oid = s.objoid
order by case when d.datname = pg_catalog.current_database() then -1::bigint else d.oid::bigint end

-- :: {"kind": "ext"}
select n.oid::bigint as id, n.xmin as state_number, n.nspname as name, c.description
from pg_catalog.pg_namespace n left join pg_catalog.pg_description c on n.oid = c.objoid
order by case when n.nspname = pg_catalog.current_schema() then -1::bigint else n.oid::bigint end

-- :: {"kind": "ext"}
select t.relkind as table_kind, t.relname as table_name, t.oid as table_id, t.xmin as state_number, t.reloptions as options,
  (select pg_catalog.array_agg(inhparent::bigint order by inhseqno)::varchar from pg_catalog.pg_inherits where t.oid = inhrelid) as ancestors,
  pg_catalog.pg_get_partkeydef(t.oid) as partition_key, pg_catalog.pg_get_userbyid(t.relowner) as "owner"
from pg_catalog.pg_class t
where t.relnamespace = 2200::oid and t.relkind in ('r', 'm', 'v', 'f', 'p')
  and pg_catalog.age(t.xmin) <= coalesce(nullif(greatest(pg_catalog.age('7'::varchar::xid), -1), -1), 2147483647)
order by table_kind, table_id

-- :: {"kind": "ext"}
with t as (
  select distinct t.oid as table_id, t.relname as table_name
  from pg_catalog.pg_class t, pg_catalog.pg_attribute a
  where t.relnamespace = 2200::oid and t.relkind in ('r', 'm', 'v', 'f', 'p') and a.attrelid = t.oid)
select t.table_id, c.attnum as column_position, c.attname as column_name, c.xmin as state_number, c.atttypmod as type_mod,
  pg_catalog.format_type(c.atttypid, c.atttypmod) as type_spec, c.attnotnull as mandatory, not c.attislocal as is_inherited,
  c.attidentity as identity_kind
from t join pg_catalog.pg_attribute c on t.table_id = c.attrelid
left join pg_catalog.pg_attrdef d on (c.attrelid, c.attnum) = (d.adrelid, d.adnum)
where c.attnum > 0 order by table_id, attnum

-- :: {"kind": "ext"}
select r.oid::bigint as role_id, r.rolname as role_name, r.rolsuper as is_super, r.rolcanlogin as can_login, r.rolvaliduntil as valid_until,
  r.rolconfig as config, s.description
from pg_catalog.pg_roles r left join pg_catalog.pg_shdescription s on s.objoid = r.oid

-- :: {"kind": "ext"}
select member as id, roleid as role_id, admin_option from pg_catalog.pg_auth_members order by id, roleid::text
