//! What psql and drivers ask about sequences, the columns that they number, and keys.

use super::*;
use crate::analytics::Counted;
use crate::catalog::{
    Identity, NumberedColumn, SequenceOwner, SequenceRange, UniqueConstraint, WholeNumber,
};

/// A sequence of the schema `cdp`, which goes with a column of `tickets`.
fn sequence(name: &str, number: u64, column: &str, identity: bool) -> Relation {
    let columns = vec![
        column_of("last_value", DataType::Int64),
        column_of("log_cnt", DataType::Int64),
        column_of("is_called", DataType::Boolean),
    ];
    let (table, column) = ("cdp.tickets".to_string(), column.to_string());
    let counted = Counted {
        number,
        key: format!("{number}.0"),
        name: name.to_string(),
        first: 1,
        range: SequenceRange::ascending(WholeNumber::Integer),
        restarted: false,
    };
    let owned_by = Some(SequenceOwner { table, column, identity });
    let known = Sequence { counted, owned_by, readable: true, usable: true };
    Relation { sequence: Some(known), ..relation("cdp", name, RelationKind::Sequence, columns) }
}

fn column_of(name: &str, data_type: DataType) -> Field {
    column(name, data_type, None).with_nullable(false)
}

fn tickets() -> Session {
    let columns = vec![
        column_of("id", DataType::Int32),
        column_of("number", DataType::Int32),
        column("code", DataType::Utf8, None),
    ];
    let mut table = relation("cdp", "tickets", RelationKind::Table, columns);
    table.primary_key = vec!["id".to_string()];
    table.constraints.unique = vec![UniqueConstraint {
        name: "tickets_code_number_key".to_string(),
        columns: vec!["code".to_string(), "number".to_string()],
    }];
    for (column, identity) in [("id", None), ("number", Some(Identity::Always))] {
        let sequence = format!("cdp.tickets_{column}_seq");
        table.numbered.insert(column.to_string(), NumberedColumn { sequence, identity });
    }
    let session = session_of(vec![
        table,
        sequence("tickets_id_seq", 1, "id", false),
        sequence("tickets_number_seq", 2, "number", true),
    ]);
    assert!(session.facts.set("search_path", Some("cdp")));
    session
}

#[tokio::test]
async fn psql_describes_sequences() {
    let session = tickets();
    let check =
        async |sql: &str, expected: &str| assert_eq!(session.value(sql).await, expected, "{sql}");
    check(
        "SELECT n.nspname, c.relname, CASE c.relkind WHEN 'r' THEN 'table' WHEN 'S' THEN 'sequence' END, pg_catalog.pg_get_userbyid(c.relowner) FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('S','') AND n.nspname <> 'pg_catalog' AND n.nspname !~ '^pg_toast' AND n.nspname <> 'information_schema' AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY 1,2",
        "cdp|tickets_id_seq|sequence|onefold;cdp|tickets_number_seq|sequence|onefold",
    )
    .await;
    check(
        "SELECT pg_catalog.format_type(seqtypid, NULL) AS \"Type\", seqstart AS \"Start\", seqmin AS \"Minimum\", seqmax AS \"Maximum\", seqincrement AS \"Increment\", CASE WHEN seqcycle THEN 'yes' ELSE 'no' END AS \"Cycles?\", seqcache AS \"Cache\" FROM pg_catalog.pg_sequence WHERE seqrelid = 'tickets_id_seq'::regclass",
        "integer|1|1|2147483647|1|no|1",
    )
    .await;
    let owner = "SELECT pg_catalog.quote_ident(nspname) || '.' || pg_catalog.quote_ident(relname) || '.' || pg_catalog.quote_ident(attname), d.deptype FROM pg_catalog.pg_class c INNER JOIN pg_catalog.pg_depend d ON c.oid=d.refobjid INNER JOIN pg_catalog.pg_namespace n ON n.oid=c.relnamespace INNER JOIN pg_catalog.pg_attribute a ON ( a.attrelid=c.oid AND a.attnum=d.refobjsubid) WHERE d.classid='pg_catalog.pg_class'::pg_catalog.regclass AND d.refclassid='pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype IN ('a', 'i')";
    check(&format!("{owner} AND d.objid = 'tickets_id_seq'::regclass"), "cdp.tickets.id|a").await;
    check(&format!("{owner} AND d.objid = 'tickets_number_seq'::regclass"), "cdp.tickets.number|i")
        .await;
    check(
        "SELECT sequencename, data_type, last_value FROM pg_sequences ORDER BY 1",
        "tickets_id_seq|integer|~;tickets_number_seq|integer|~",
    )
    .await;
    check(
        "SELECT sequence_name, start_value, cycle_option FROM information_schema.sequences",
        "tickets_id_seq|1|NO",
    )
    .await;
    check(
        "SELECT pg_get_serial_sequence('tickets', 'number'), 'tickets_id_seq'::regclass::text",
        "cdp.tickets_number_seq|tickets_id_seq",
    )
    .await;
}

#[tokio::test]
async fn columns_have_the_defaults_that_sequences_give() {
    let session = tickets();
    let check =
        async |sql: &str, expected: &str| assert_eq!(session.value(sql).await, expected, "{sql}");
    // As psql asks for a table.
    check(
        "SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), (SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid, true) FROM pg_catalog.pg_attrdef d WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.atthasdef), a.attnotnull, a.attidentity FROM pg_catalog.pg_attribute a WHERE a.attrelid = 'tickets'::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
        "id|integer|nextval('tickets_id_seq'::regclass)|t|;number|integer|~|t|a;code|text|~|f|",
    )
    .await;
    // As SQLAlchemy asks: what it makes of both rows, there is one for identity columns alone.
    check(
        "SELECT a.attname, (SELECT json_build_object('always', a.attidentity = 'a', 'start', s.seqstart, 'cycle', s.seqcycle) FROM pg_catalog.pg_sequence s WHERE a.attidentity != '' AND s.seqrelid = CAST(CAST(pg_catalog.pg_get_serial_sequence(CAST(CAST(a.attrelid AS REGCLASS) AS TEXT), a.attname) AS REGCLASS) AS OID)) AS options FROM pg_catalog.pg_attribute a WHERE a.attrelid = 'tickets'::regclass ORDER BY a.attnum",
        "id|~;number|{\"always\" : true, \"start\" : 1, \"cycle\" : false};code|~",
    )
    .await;
    check(
        "SELECT column_name, column_default, is_identity, identity_generation, identity_start FROM information_schema.columns WHERE table_name = 'tickets' ORDER BY ordinal_position",
        "id|nextval('cdp.tickets_id_seq'::regclass)|NO|~|~;number|~|YES|ALWAYS|1;code|~|NO|~|~",
    )
    .await;
}

#[tokio::test]
async fn unique_constraints_are_listed_beside_primary_keys() {
    let session = tickets();
    let check =
        async |sql: &str, expected: &str| assert_eq!(session.value(sql).await, expected, "{sql}");
    check(
        "SELECT conname, contype, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'tickets'::regclass ORDER BY contype",
        "tickets_pkey|p|PRIMARY KEY (id);tickets_code_number_key|u|UNIQUE (code, number)",
    )
    .await;
    check(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'tickets' ORDER BY 1",
        "tickets_code_number_key|CREATE UNIQUE INDEX tickets_code_number_key ON cdp.tickets USING btree (code, number);tickets_pkey|CREATE UNIQUE INDEX tickets_pkey ON cdp.tickets USING btree (id)",
    )
    .await;
    check(
        "SELECT constraint_name, constraint_type, nulls_distinct FROM information_schema.table_constraints ORDER BY 1",
        "tickets_code_number_key|UNIQUE|YES;tickets_pkey|PRIMARY KEY|~",
    )
    .await;
    check(
        "SELECT column_name, ordinal_position FROM information_schema.key_column_usage WHERE constraint_name = 'tickets_code_number_key' ORDER BY 2",
        "code|1;number|2",
    )
    .await;
    check(
        "SELECT indisprimary, indisunique, pg_get_indexdef(indexrelid, 2, true) FROM pg_index WHERE indexrelid = 'tickets_code_number_key'::regclass",
        "f|t|number",
    )
    .await;
}
