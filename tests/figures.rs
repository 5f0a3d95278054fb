//! The exact figures of the shop, over psql.

use crate::harness::{psql, shared_server};

#[test]
fn the_figures_come_back_over_psql() {
    let server = shared_server();
    let question = "SELECT count(*), sum(amount) FROM sources.shop_orders";
    let Some(answer) =
        psql(&server, "engineer", &["--no-align", "--tuples-only", "--command", question])
    else {
        return;
    };
    assert_eq!(answer.success().stdout.trim(), "25659|921944.96");
}

#[test]
fn psql_shows_where_a_statement_is_wrong() {
    let server = shared_server();
    let Some(answer) = psql(
        &server,
        "engineer",
        &["--set", "VERBOSITY=verbose", "--command", "SELECT frist_name FROM profiles"],
    ) else {
        return;
    };
    assert_eq!(answer.code(), 1, "{answer}");
    for part in ["42703", "first_name", "^"] {
        assert!(answer.stderr.contains(part), "no {part} in\n{}", answer.stderr);
    }
}
