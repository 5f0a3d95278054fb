//! Noninterference: who is hidden from a purpose is in no answer, however one asks.
//!
//! Two lakes are equal after identity and differ only in rows of people whom the purpose `analytics` must not see: what
//! they bought, clicked, opened and earned, and how often. A person with that purpose puts the same statements to both.
//! Everything that comes back must be the same to the byte: rows in the order in which they are sent, and errors with
//! their message, SQLSTATE, detail, hint and position.
//!
//! Plans of several partitions send rows without `ORDER BY` in racing order. So each server runs on one processor, where a plan
//! has one partition and its order is its own; a second, smaller round runs on all of them, and sorts the rows of
//! statements that do not. Relations that are several tables one after the other race on one processor, too.
//!
//! The same statements over a plain filter in place of the governed leaf must tell the lakes apart ([`calibration`]).

mod calibration;
mod literals;
mod pair;
mod probes;
mod random;
mod relations;
mod statements;

use crate::harness::{Answer, Failure, Session};
use pair::Pair;
use random::Random;

/// Statements of the first round.
const STATEMENTS: usize = 2_200;
/// Statements of the second round.
const RACING_STATEMENTS: usize = 300;
/// Mismatches that are reported.
const REPORTED: usize = 5;
const SEED: u64 = 7;
/// Relations that are a union of tables: which of them comes first is a race.
const UNIONS: [&str; 2] = ["profile_records", "segment_members"];

/// What one statement gives.
type Outcome = Result<Answer, Failure>;

/// A statement, and whether its order is its own.
struct Statement {
    sql: String,
    ordered: bool,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hidden_people_are_in_no_answer() {
    let pair = Pair::build().await;
    let (first, second) = pair.serve_pinned().await;
    let mut statements = statements::of(&pair, &mut Random::new(SEED), STATEMENTS);
    statements.retain(|statement| !races(&statement.sql) || statements::is_settled(statement));
    let wrong = differences(
        &first.session("analyst").await,
        &second.session("analyst").await,
        &statements,
        true,
    )
    .await;
    assert!(
        wrong.is_empty(),
        "{} of {} statements tell the lakes apart:\n\n{}",
        wrong.len(),
        statements.len(),
        shown(&wrong)
    );
    drop((first, second));

    let (first, second) = pair.serve().await;
    let mut statements = statements::of(&pair, &mut Random::new(SEED + 1), RACING_STATEMENTS);
    statements.retain(statements::is_settled);
    let wrong = differences(
        &first.session("analyst").await,
        &second.session("analyst").await,
        &statements,
        false,
    )
    .await;
    assert!(
        wrong.is_empty(),
        "{} of {} statements tell the lakes apart:\n\n{}",
        wrong.len(),
        statements.len(),
        shown(&wrong)
    );

    // The lakes do differ, and in what these statements ask about.
    let (first, second) = (first.session("engineer").await, second.session("engineer").await);
    for question in [
        "SELECT sum(total_spent) FROM profiles",
        "SELECT count(*) FROM events",
        "SELECT sum(loyalty_points) FROM profiles",
    ] {
        assert_ne!(
            first.value(question).await,
            second.value(question).await,
            "the lakes are equal in {question}"
        );
    }
}

fn shown(wrong: &[String]) -> String {
    wrong.iter().take(REPORTED).cloned().collect::<Vec<_>>().join("\n\n")
}

/// Puts every statement to both, and returns those whose outcomes differ.
async fn differences(
    first: &Session,
    second: &Session,
    statements: &[Statement],
    in_order: bool,
) -> Vec<String> {
    let (mut wrong, mut rows, mut errors) = (Vec::new(), 0, 0);
    for Statement { sql, ordered } in statements {
        let (left, right) = tokio::join!(first.run(sql), second.run(sql));
        let (left, right) = match *ordered || (in_order && !races(sql)) {
            true => (left, right),
            false => (sorted(left), sorted(right)),
        };
        match &left {
            Ok(answer) => rows += usize::from(!answer.rows.is_empty()),
            Err(_) => errors += 1,
        }
        if left != right {
            let again = first.run(sql).await;
            let note = if in_order && again != left {
                "\n(the first lake itself answers differently each time)"
            } else {
                ""
            };
            wrong.push(format!(
                "{sql}\n  first:  {}\n  second: {}{note}",
                brief(&left, &right),
                brief(&right, &left)
            ));
        }
    }
    println!(
        "{} statements: {rows} gave rows, {errors} were refused, {} differ",
        statements.len(),
        wrong.len()
    );
    // A round in which most statements fail, or in which none does, tests nothing.
    assert!(
        rows * 2 > statements.len() && errors > 10,
        "{rows} statements with rows and {errors} errors of {}",
        statements.len()
    );
    wrong
}

fn races(sql: &str) -> bool {
    UNIONS.iter().any(|relation| sql.contains(relation))
}

fn sorted(outcome: Outcome) -> Outcome {
    outcome.map(|mut answer| {
        answer.rows.sort_unstable();
        answer
    })
}

/// Shows the part of an outcome that is not in the other one.
fn brief(outcome: &Outcome, other: &Outcome) -> String {
    match (outcome, other) {
        (Ok(answer), Ok(other)) => {
            let differs = answer.rows.iter().zip(&other.rows).position(|(row, other)| row != other);
            let row = answer.rows.get(differs.unwrap_or(other.rows.len()));
            format!(
                "{} rows of {:?}; the first that differs: {row:?}",
                answer.rows.len(),
                answer.columns
            )
        }
        (Ok(answer), Err(_)) => {
            format!("{} rows, such as {:?}", answer.rows.len(), answer.rows.first())
        }
        (Err(failure), _) => failure.to_string(),
    }
}
