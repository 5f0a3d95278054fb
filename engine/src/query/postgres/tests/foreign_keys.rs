//! What psql and drivers ask about foreign keys. The answers are PostgreSQL's to the same tables.

use super::*;
use crate::catalog::{Deferral, ForeignKey, ReferenceAction, UniqueConstraint};

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Two tables of the schema `cdp`, one of which refers to the other by two keys.
fn family() -> Session {
    let mut parents = relation(
        "cdp",
        "parents",
        RelationKind::Table,
        vec![
            column("id", DataType::Int32, None).with_nullable(false),
            column("a", DataType::Int32, None),
            column("b", DataType::Utf8, None),
        ],
    );
    parents.primary_key = names(&["id"]);
    parents.constraints.unique =
        vec![UniqueConstraint { name: "parents_b_a_key".into(), columns: names(&["b", "a"]) }];
    let mut children = relation(
        "cdp",
        "children",
        RelationKind::Table,
        vec![
            column("p_id", DataType::Int64, None),
            column("x", DataType::Int32, None),
            column("y", DataType::Utf8, None),
        ],
    );
    let by_id = ForeignKey {
        name: "children_p_id_fkey".into(),
        columns: names(&["p_id"]),
        table: "cdp.parents".into(),
        referred: names(&["id"]),
        on_delete: ReferenceAction::Cascade,
        on_update: ReferenceAction::NoAction,
        match_full: false,
        deferral: Deferral::Deferred,
        not_valid: false,
    };
    let of_both = ForeignKey {
        name: "of_both".into(),
        columns: names(&["x", "y"]),
        referred: names(&["a", "b"]),
        on_delete: ReferenceAction::NoAction,
        on_update: ReferenceAction::SetNull,
        match_full: true,
        deferral: Deferral::None,
        ..by_id.clone()
    };
    children.constraints.foreign_keys = vec![by_id, of_both];
    let session = session_of(vec![parents, children]);
    assert!(session.facts.set("search_path", Some("cdp")));
    session
}

#[tokio::test]
async fn psql_describes_foreign_keys_from_both_ends() {
    let session = family();
    let check =
        async |sql: &str, expected: &str| assert_eq!(session.value(sql).await, expected, "{sql}");
    check(
        "SELECT true as sametable, conname, pg_catalog.pg_get_constraintdef(r.oid, true) as condef, conrelid::pg_catalog.regclass AS ontable FROM pg_catalog.pg_constraint r WHERE r.conrelid = 'children'::regclass AND r.contype = 'f' AND conparentid = 0 ORDER BY conname",
        "t|children_p_id_fkey|FOREIGN KEY (p_id) REFERENCES parents(id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED|children;t|of_both|FOREIGN KEY (x, y) REFERENCES parents(a, b) MATCH FULL ON UPDATE SET NULL|children",
    )
    .await;
    check(
        "SELECT conname, conrelid::pg_catalog.regclass AS ontable, pg_catalog.pg_get_constraintdef(oid, true) AS condef FROM pg_catalog.pg_constraint c WHERE confrelid IN (SELECT pg_catalog.pg_partition_ancestors('parents') UNION ALL VALUES ('parents'::pg_catalog.regclass)) AND contype = 'f' AND conparentid = 0 ORDER BY conname",
        "children_p_id_fkey|children|FOREIGN KEY (p_id) REFERENCES parents(id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;of_both|children|FOREIGN KEY (x, y) REFERENCES parents(a, b) MATCH FULL ON UPDATE SET NULL",
    )
    .await;
    check(
        "SELECT relname, relhastriggers FROM pg_class WHERE relnamespace = 'cdp'::regnamespace AND relkind = 'r' ORDER BY 1",
        "children|t;parents|t",
    )
    .await;
    check(
        "SELECT conname, contype, condeferrable, condeferred, convalidated, confrelid::regclass, conindid::regclass, confupdtype, confdeltype, confmatchtype, conkey, confkey FROM pg_constraint WHERE contype = 'f' ORDER BY 1",
        "children_p_id_fkey|f|t|t|t|parents|parents_pkey|a|c|s|{1}|{1};of_both|f|f|f|t|parents|parents_b_a_key|n|a|f|{2,3}|{2,3}",
    )
    .await;
}

#[tokio::test]
async fn the_standard_tells_of_foreign_keys() {
    let session = family();
    let check =
        async |sql: &str, expected: &str| assert_eq!(session.value(sql).await, expected, "{sql}");
    check(
        "SELECT constraint_name, unique_constraint_name, match_option, update_rule, delete_rule FROM information_schema.referential_constraints ORDER BY 1",
        "children_p_id_fkey|parents_pkey|NONE|NO ACTION|CASCADE;of_both|parents_b_a_key|FULL|SET NULL|NO ACTION",
    )
    .await;
    check(
        "SELECT constraint_name, column_name, ordinal_position, position_in_unique_constraint FROM information_schema.key_column_usage WHERE table_name = 'children' ORDER BY 1, 3",
        "children_p_id_fkey|p_id|1|1;of_both|x|1|2;of_both|y|2|1",
    )
    .await;
    check(
        "SELECT constraint_name, table_name, column_name FROM information_schema.constraint_column_usage WHERE constraint_name IN ('of_both', 'children_p_id_fkey') ORDER BY 1, 3",
        "children_p_id_fkey|parents|id;of_both|parents|a;of_both|parents|b",
    )
    .await;
    check(
        "SELECT constraint_name, is_deferrable, initially_deferred FROM information_schema.table_constraints WHERE constraint_type = 'FOREIGN KEY' ORDER BY 1",
        "children_p_id_fkey|YES|YES;of_both|NO|NO",
    )
    .await;
    check(
        "SELECT constraint_name, table_name FROM information_schema.constraint_table_usage WHERE constraint_name = 'of_both'",
        "of_both|parents",
    )
    .await;
}

#[tokio::test]
async fn drivers_find_foreign_keys() {
    let session = family();
    let check =
        async |sql: &str, expected: &str| assert_eq!(session.value(sql).await, expected, "{sql}");
    // As pgjdbc asks for the keys that a table imports.
    check(
        "SELECT NULL::text AS PKTABLE_CAT, pkn.nspname AS PKTABLE_SCHEM, pkc.relname AS PKTABLE_NAME, pka.attname AS PKCOLUMN_NAME, fkn.nspname AS FKTABLE_SCHEM, fkc.relname AS FKTABLE_NAME, fka.attname AS FKCOLUMN_NAME, pos.n AS KEY_SEQ, CASE con.confupdtype WHEN 'c' THEN 0 WHEN 'n' THEN 2 WHEN 'd' THEN 4 WHEN 'r' THEN 1 WHEN 'p' THEN 1 WHEN 'a' THEN 3 ELSE NULL END AS UPDATE_RULE, CASE con.confdeltype WHEN 'c' THEN 0 WHEN 'n' THEN 2 WHEN 'd' THEN 4 WHEN 'r' THEN 1 WHEN 'p' THEN 1 WHEN 'a' THEN 3 ELSE NULL END AS DELETE_RULE, con.conname AS FK_NAME, pkic.relname AS PK_NAME, CASE WHEN con.condeferrable AND con.condeferred THEN 5 WHEN con.condeferrable THEN 6 ELSE 7 END AS DEFERRABILITY FROM pg_catalog.pg_namespace pkn, pg_catalog.pg_class pkc, pg_catalog.pg_attribute pka, pg_catalog.pg_namespace fkn, pg_catalog.pg_class fkc, pg_catalog.pg_attribute fka, pg_catalog.pg_constraint con, pg_catalog.generate_series(1, 32) pos(n), pg_catalog.pg_class pkic WHERE pkn.oid = pkc.relnamespace AND pkc.oid = pka.attrelid AND pka.attnum = con.confkey[pos.n] AND con.confrelid = pkc.oid AND fkn.oid = fkc.relnamespace AND fkc.oid = fka.attrelid AND fka.attnum = con.conkey[pos.n] AND con.conrelid = fkc.oid AND con.contype = 'f' AND (pkic.relkind = 'i' OR pkic.relkind = 'I') AND pkic.oid = con.conindid AND fkn.nspname = 'cdp' AND fkc.relname = 'children' ORDER BY pkn.nspname, pkc.relname, con.conname, pos.n",
        "~|cdp|parents|id|cdp|children|p_id|1|3|0|children_p_id_fkey|parents_pkey|5;~|cdp|parents|a|cdp|children|x|1|2|3|of_both|parents_b_a_key|7;~|cdp|parents|b|cdp|children|y|2|2|3|of_both|parents_b_a_key|7",
    )
    .await;
    // As Django does.
    check(
        "SELECT c.conname, array(SELECT attname FROM unnest(c.conkey) WITH ORDINALITY cols(colid, arridx) JOIN pg_attribute AS ca ON cols.colid = ca.attnum WHERE ca.attrelid = c.conrelid ORDER BY cols.arridx), c.contype, (SELECT fkc.relname || '.' || fka.attname FROM pg_attribute AS fka JOIN pg_class AS fkc ON fka.attrelid = fkc.oid WHERE fka.attrelid = c.confrelid AND fka.attnum = c.confkey[1]) FROM pg_constraint AS c JOIN pg_class AS cl ON c.conrelid = cl.oid WHERE cl.relname = 'children' AND pg_catalog.pg_table_is_visible(cl.oid) ORDER BY 1",
        "children_p_id_fkey|{p_id}|f|parents.id;of_both|{x,y}|f|parents.a",
    )
    .await;
    // As SQLAlchemy does.
    check(
        "SELECT pg_catalog.pg_class.relname, pg_catalog.pg_constraint.conname, CASE WHEN (pg_catalog.pg_constraint.oid IS NOT NULL) THEN pg_catalog.pg_get_constraintdef(pg_catalog.pg_constraint.oid, true) END AS anon_1, nsp_ref.nspname, pg_catalog.pg_description.description FROM pg_catalog.pg_class LEFT OUTER JOIN pg_catalog.pg_constraint ON pg_catalog.pg_class.oid = pg_catalog.pg_constraint.conrelid AND pg_catalog.pg_constraint.contype = 'f' LEFT OUTER JOIN pg_catalog.pg_class AS pg_class_ref ON pg_class_ref.oid = pg_catalog.pg_constraint.confrelid LEFT OUTER JOIN pg_catalog.pg_namespace AS nsp_ref ON pg_class_ref.relnamespace = nsp_ref.oid LEFT OUTER JOIN pg_catalog.pg_description ON pg_catalog.pg_description.objoid = pg_catalog.pg_constraint.oid JOIN pg_catalog.pg_namespace ON pg_catalog.pg_namespace.oid = pg_catalog.pg_class.relnamespace WHERE pg_catalog.pg_class.relkind = ANY (ARRAY['r', 'p', 'f', 'v', 'm']) AND pg_catalog.pg_table_is_visible(pg_catalog.pg_class.oid) AND pg_catalog.pg_namespace.nspname != 'pg_catalog' AND pg_catalog.pg_class.relname IN ('children', 'parents') ORDER BY pg_catalog.pg_class.relname, pg_catalog.pg_constraint.conname",
        "children|children_p_id_fkey|FOREIGN KEY (p_id) REFERENCES parents(id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED|cdp|~;children|of_both|FOREIGN KEY (x, y) REFERENCES parents(a, b) MATCH FULL ON UPDATE SET NULL|cdp|~;parents|~|~|~|~",
    )
    .await;
    // As Rails does.
    check(
        "SELECT t2.oid::regclass::text AS to_table, a1.attname AS column, a2.attname AS primary_key, c.conname AS name, c.confupdtype AS on_update, c.confdeltype AS on_delete, c.convalidated AS valid, c.condeferrable AS deferrable, c.condeferred AS deferred, c.conkey, c.confkey, c.conrelid = t1.oid, c.confrelid = t2.oid FROM pg_constraint c JOIN pg_class t1 ON c.conrelid = t1.oid JOIN pg_class t2 ON c.confrelid = t2.oid JOIN pg_attribute a1 ON a1.attnum = c.conkey[1] AND a1.attrelid = t1.oid JOIN pg_attribute a2 ON a2.attnum = c.confkey[1] AND a2.attrelid = t2.oid JOIN pg_namespace t3 ON c.connamespace = t3.oid WHERE c.contype = 'f' AND t1.relname = 'children' AND t3.nspname = ANY (current_schemas(false)) ORDER BY c.conname",
        "parents|p_id|id|children_p_id_fkey|a|c|t|t|t|{1}|{1}|t|t;parents|x|a|of_both|n|a|t|f|f|{2,3}|{2,3}|t|t",
    )
    .await;
}
