//! What another definition of the graph would change: foretold as it then comes about, and told before anything does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::harness::{Contents, Session, files, shared_server, small, sql};

/// Other rules than the shop's: a weaker telephone, less that is shared, other things that agree, and namesakes who are one.
const OTHER: &str = "CREATE OR REPLACE IDENTITY GRAPH customer
    IDENTIFIERS (crm_id PRIORITY 1, customer_id PRIORITY 1, loyalty_card PRIORITY 1,
                 email NORMALIZE email PRIORITY 2 LIMIT 8, phone PRIORITY 3 LIMIT 2, anonymous_id PRIORITY 20)
    MATCH (birth_postal EXACT ON (birth_date, postal_code) PRIORITY 4, name_city EXACT ON (name, city) PRIORITY 5,
           namesakes EXACT ON (name) PRIORITY 6)
    WITH (merge_limit = 12, shared_limit = 2)";

/// One line of the answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    pub(crate) kind: String,
    pub(crate) figure: Option<usize>,
    pub(crate) profiles: Vec<String>,
    pub(crate) rule: String,
    pub(crate) detail: String,
}

/// Asks what a definition would change.
pub(crate) async fn impact(session: &Session, definition: &str) -> Vec<Line> {
    let answer = session.run(&format!("EXPLAIN IMPACT {definition}")).await.unwrap();
    assert_eq!(answer.columns, ["kind", "figure", "profile_ids", "rule", "detail"]);
    let line = |row: Vec<Option<String>>| {
        let [kind, figure, profiles, rule, detail] = row.try_into().unwrap();
        let profiles = profiles.unwrap_or_default();
        let profiles = profiles.trim_matches(['{', '}']).split(',').filter(|id| !id.is_empty());
        Line {
            kind: kind.unwrap(),
            figure: figure.map(|figure| figure.parse().unwrap()),
            profiles: profiles.map(str::to_owned).collect(),
            rule: rule.unwrap_or_default(),
            detail: detail.unwrap_or_default(),
        }
    };
    answer.rows.into_iter().map(line).collect()
}

/// Returns the one figure of a kind.
#[track_caller]
pub(crate) fn figure(lines: &[Line], kind: &str) -> usize {
    let mut of_kind = lines.iter().filter(|line| line.kind == kind);
    let (line, more) = (of_kind.next(), of_kind.next());
    assert!(more.is_none(), "{kind} is told twice");
    line.unwrap_or_else(|| panic!("no {kind} in {lines:#?}")).figure.unwrap()
}

/// Returns the figures of a kind by rule and detail, without those that are nothing.
fn figures(lines: &[Line], kind: &str) -> BTreeMap<(String, String), usize> {
    let of_kind = lines.iter().filter(|line| line.kind == kind);
    let figures = of_kind.map(|line| ((line.rule.clone(), line.detail.clone()), line.figure));
    figures.filter_map(|(of, figure)| Some((of, figure.filter(|count| *count > 0)?))).collect()
}

/// Who is whose, as everybody who sees everyone finds it.
struct Seen {
    profiles: BTreeSet<String>,
    /// By source and key of a record that describes somebody.
    records: BTreeMap<(String, String), String>,
    /// By kind and value.
    identifiers: BTreeMap<(String, String), String>,
    violations: BTreeMap<(String, String), usize>,
}

impl Seen {
    async fn by(session: &Session) -> Seen {
        let rows = async |query: &str| {
            let rows = session.rows(query).await.into_iter();
            rows.map(|row| row.into_iter().map(Option::unwrap).collect())
                .collect::<Vec<Vec<String>>>()
        };
        let profiles = rows("SELECT profile_id FROM profiles").await;
        let records = rows(
            "SELECT source, record_key, profile_id FROM profile_records \
             WHERE source IN ('crm_contacts', 'shop_customers', 'loyalty_members')",
        );
        let identifiers =
            rows("SELECT kind, value, min(status) FROM profile_identifiers GROUP BY kind, value");
        let violations =
            rows("SELECT rule, reason, count(*) FROM identity_violations GROUP BY rule, reason");
        let pairs = |rows: Vec<Vec<String>>| {
            rows.into_iter().map(|row| {
                let [first, second, third] = row.try_into().unwrap();
                ((first, second), third)
            })
        };
        Seen {
            profiles: profiles.into_iter().flatten().collect(),
            records: pairs(records.await).collect(),
            identifiers: pairs(identifiers.await).collect(),
            violations: pairs(violations.await)
                .map(|(of, count)| (of, count.parse().unwrap()))
                .collect(),
        }
    }

    /// Counts identifiers by kind and by what becomes of their class.
    fn reclassed(&self, then: &Seen) -> BTreeMap<(String, String), usize> {
        let mut counts = BTreeMap::new();
        let all: BTreeSet<_> = self.identifiers.keys().chain(then.identifiers.keys()).collect();
        for of in all {
            let class =
                |seen: &Seen| seen.identifiers.get(of).map_or("none", String::as_str).to_owned();
            let (before, after) = (class(self), class(then));
            if before != after {
                *counts.entry((of.0.clone(), format!("{before} -> {after}"))).or_default() += 1;
            }
        }
        counts
    }

    /// Counts profiles whose records are not together then.
    fn split(&self, then: &Seen) -> usize {
        let mut ends: BTreeMap<&String, BTreeSet<&String>> = BTreeMap::new();
        for (record, profile) in &self.records {
            ends.entry(profile).or_default().extend(then.records.get(record));
        }
        ends.values().filter(|ends| ends.len() > 1).count()
    }
}

#[tokio::test]
async fn what_is_foretold_is_what_the_next_refresh_makes() {
    let lake = small().copied();
    let server = lake.serve();
    let engineer = server.session("engineer").await;
    // A decision is in force by whatever rules.
    let loners = "SELECT min(profile_id), max(profile_id) FROM (SELECT profile_id FROM profile_records \
                  WHERE source = 'crm_contacts' GROUP BY profile_id HAVING count(*) = 1)";
    let loners = engineer.rows(loners).await.remove(0).into_iter().map(Option::unwrap);
    let loners: Vec<String> = loners.collect();
    engineer.rows(&format!("MERGE PROFILES {} REASON 'they said so'", loners.join(", "))).await;

    let now = Seen::by(&engineer).await;
    let told = impact(&engineer, OTHER).await;
    engineer.rows(OTHER).await;
    engineer.rows("REFRESH ALL").await;
    let then = Seen::by(&engineer).await;

    assert_eq!(figure(&told, "profiles_now"), now.profiles.len());
    assert_eq!(figure(&told, "profiles_then"), then.profiles.len());
    let lost = now.profiles.difference(&then.profiles).count();
    assert_eq!(figure(&told, "profiles_merged") + figure(&told, "profiles_gone"), lost);
    assert_eq!(figure(&told, "profiles_new"), then.profiles.difference(&now.profiles).count());
    let moved =
        now.records.iter().filter(|(record, profile)| then.records.get(record) != Some(profile));
    assert_eq!(figure(&told, "records_moved"), moved.count());
    assert!(figure(&told, "profiles_split") >= now.split(&then), "{} fall apart", now.split(&then));
    assert!(figure(&told, "profiles_unchanged") > 0);
    assert_eq!(figures(&told, "violations_now"), now.violations);
    assert_eq!(figures(&told, "violations_then"), then.violations);
    let classes = figures(&told, "identifiers_changed");
    assert_eq!(classes, now.reclassed(&then));
    assert!(classes.keys().any(|(kind, _)| kind == "phone"), "{classes:?}");

    // Samples are true: whoever would be merged was, by the rule that is named.
    let samples = |kind: &'static str| told.iter().filter(move |line| line.kind == kind);
    for kind in ["merge", "split", "identifier", "violation"] {
        assert!((1..=20).contains(&samples(kind).count()), "{} of {kind}", samples(kind).count());
    }
    for sample in samples("merge") {
        let [from, into] = sample.profiles.as_slice() else { panic!("{sample:?}") };
        assert!(now.profiles.contains(from) && !then.profiles.contains(from), "{sample:?}");
        assert!(then.profiles.contains(into), "{sample:?}");
        assert!(!sample.rule.is_empty() && sample.detail.contains(" joins "), "{sample:?}");
        let led = format!(
            "SELECT count(*) FROM profile_merges WHERE merged_profile_id = {from} AND profile_id = {into}"
        );
        assert!(engineer.number(&led).await > 0, "{sample:?}");
        let edges = format!(
            "SELECT count(*) FROM identity_edges WHERE profile_id = {into} AND joined AND rule = '{}'",
            sample.rule
        );
        assert!(engineer.number(&edges).await > 0, "{sample:?}");
    }
    for sample in samples("split") {
        assert!(now.profiles.contains(&sample.profiles[0]), "{sample:?}");
        assert!(sample.profiles[1..].iter().all(|part| then.profiles.contains(part)), "{sample:?}");
        assert!(sample.figure.unwrap() > 1, "{sample:?}");
    }
    assert!(samples("split").any(|sample| !sample.rule.is_empty()), "no rule parts anybody");
    let one = samples("violation").next().unwrap();
    let refused = format!(
        "SELECT count(*) FROM identity_violations WHERE rule = '{}' AND profile_id IN ({})",
        one.rule,
        one.profiles.join(", ")
    );
    assert!(engineer.number(&refused).await > 0, "{one:?}");

    // Asked again, the same definition changes nothing any more.
    let again = impact(&engineer, OTHER).await;
    assert_eq!(figure(&again, "profiles_unchanged"), then.profiles.len());
    for kind in [
        "profiles_merged",
        "profiles_split",
        "profiles_new",
        "profiles_gone",
        "records_moved",
        "linkers_moved",
    ] {
        assert_eq!(figure(&again, kind), 0, "{kind}");
    }
    assert!(figures(&again, "identifiers_changed").is_empty(), "{again:#?}");
    assert_eq!(figures(&again, "violations_now"), figures(&again, "violations_then"));
    assert_eq!(again.iter().filter(|line| line.figure.is_none()).count(), 0, "{again:#?}");
}

#[test]
fn it_writes_nothing_but_that_it_was_asked() {
    let lake = small().copied();
    let all = || -> Vec<PathBuf> {
        files(&lake.lake).into_iter().filter(|file| !file.starts_with("_audit")).collect()
    };
    let (before, contents) = (all(), Contents::of(&lake.lake));
    let told = sql(&lake.lake, "engineer", &format!("EXPLAIN IMPACT {OTHER}")).success().stdout;
    assert!(told.contains("profiles_merged"), "{told}");
    assert_eq!(all(), before);
    Contents::of(&lake.lake).assert_same(&contents, "an explanation");
    let logged = "SELECT role, purpose, status FROM cdp.audit_log WHERE class = 'read' \
                  AND relations LIKE '%identity_edges%' AND relations LIKE '%profile_records%'";
    let logged = sql(&lake.lake, "privacy_officer", logged).success().stdout;
    assert_eq!(
        logged.lines().filter(|line| line.contains("engineer,service,ended")).count(),
        1,
        "{logged}"
    );
}

#[tokio::test]
async fn records_that_came_since_the_last_refresh_are_left_out_and_counted() {
    let lake = crate::incremental::grown(small());
    let server = lake.serve();
    let engineer = server.session("engineer").await;
    let shop = "SHOW CREATE IDENTITY GRAPH customer";
    let shop = engineer.rows(shop).await.concat()[1].clone().unwrap();
    let shop = shop.replacen("CREATE", "CREATE OR REPLACE", 1);
    let now = engineer.number("SELECT count(*) FROM profiles").await;
    engineer.rows("REFRESH SOURCE crm_contacts").await;
    let told = impact(&engineer, &shop).await;
    assert!(figure(&told, "subjects_waiting") > 0);
    assert_eq!(i64::try_from(figure(&told, "profiles_unchanged")).unwrap(), now);
    assert_eq!(figure(&told, "records_moved"), 0);
}

#[tokio::test]
async fn what_cannot_be_defined_fails_as_its_definition_does() {
    let server = shared_server();
    let engineer = server.session("engineer").await;
    for definition in [
        "CREATE IDENTITY GRAPH customer IDENTIFIERS (email PRIORITY 1)",
        "CREATE OR REPLACE IDENTITY GRAPH other IDENTIFIERS (email PRIORITY 1)",
        "CREATE OR REPLACE IDENTITY GRAPH customer IDENTIFIERS (email NORMALIZE emial PRIORITY 1)",
        "CREATE OR REPLACE IDENTITY GRAPH customer IDENTIFIERS (emial PRIORITY 1)",
        "CREATE OR REPLACE IDENTITY GRAPH customer IDENTIFIERS (email PRIORITY 1, email PRIORITY 2)",
        "CREATE OR REPLACE IDENTITY GRAPH customer IDENTIFIERS (record PRIORITY 1)",
        "CREATE OR REPLACE IDENTITY GRAPH customer IDENTIFIERS (email PRIORITY 1 BLOCK MATCHING '(')",
        "CREATE OR REPLACE IDENTITY GRAPH customer IDENTIFIERS (email PRIORITY 1)
           MATCH (m EXACT ON (nmae) PRIORITY 2)",
        "CREATE OR REPLACE IDENTITY GRAPH customer IDENTIFIERS (email PRIORITY 1 LIMIT 2 PER 'a while')",
        "CREATE OR REPLACE IDENTITY GRAPH customer MATCH (m EXACT ON (name) PRIORITY 2)",
    ] {
        let mut wanted = engineer.failure(definition).await;
        let explain = "EXPLAIN IMPACT ";
        wanted.position = wanted.position.map(|position| position + explain.len() as u32);
        let failure = engineer.failure(&format!("{explain}{definition}")).await;
        assert_eq!(failure, wanted, "{definition}");
    }
    for (statement, sqlstate) in [
        ("EXPLAIN IMPACT ALTER IDENTITY GRAPH customer ADD IDENTIFIER x", "42601"),
        ("EXPLAIN IMPACT ALTER IDENTITY GRAPH customer RENAME TO person", "0A000"),
        ("EXPLAIN IMPACT ALTER PURPOSE analytics LEGAL BASIS consent", "42601"),
        ("EXPLAIN IMPACT SELECT 1", "42601"),
        ("EXPLAIN IMPACT CREATE PURPOSE p LEGAL BASIS consent", "42601"),
        ("EXPLAIN IMPACT", "42601"),
    ] {
        let failure = engineer.failure(statement).await;
        assert_eq!(failure.sqlstate, sqlstate, "{statement}: {failure}");
        assert!(sqlstate == "42601" || failure.hint.is_some(), "{failure}");
    }
}

#[tokio::test]
async fn an_alteration_is_foretold_as_the_definition_that_it_makes() {
    let server = shared_server();
    let engineer = server.session("engineer").await;
    let shop = "SHOW CREATE IDENTITY GRAPH customer";
    let shop = engineer.rows(shop).await.concat()[1].clone().unwrap();
    let mut whole = shop.replacen("CREATE", "CREATE OR REPLACE", 1);
    for (from, to) in [
        ("phone NORMALIZE phone('PL') PRIORITY 3 LIMIT 6", "phone PRIORITY 3 LIMIT 2"),
        ("name_birth EXACT ON (name, birth_date)", "name_birth EXACT ON (name, birth_date, city)"),
        ("shared_limit = 5", "shared_limit = 2"),
    ] {
        assert!(whole.contains(from), "{from} in {whole}");
        whole = whole.replacen(from, to, 1);
    }
    let alter = "ALTER IDENTITY GRAPH customer
        ALTER IDENTIFIER phone DROP NORMALIZE, ALTER IDENTIFIER phone SET LIMIT 2,
        ALTER MATCH name_birth SET EXACT ON (name, birth_date, city), SET (shared_limit = 2)";
    let told = impact(&engineer, alter).await;
    assert!(figure(&told, "profiles_split") > 0, "{told:#?}");
    assert_eq!(told, impact(&engineer, &whole).await);
    let kept = engineer.rows("SHOW CREATE IDENTITY GRAPH customer").await.concat()[1].clone();
    assert_eq!(kept, Some(shop));
}

#[tokio::test]
async fn it_is_told_to_those_who_may_define_and_see_everyone() {
    let lake = small().copied();
    let server = lake.serve();
    let engineer = server.session("engineer").await;
    for role in ["marketer", "privacy_officer"] {
        let session = server.session(role).await;
        let failure = session.failure(&format!("EXPLAIN IMPACT {OTHER}")).await;
        assert_eq!(failure, session.failure(OTHER).await);
        assert_eq!(failure.sqlstate, "42501", "{failure}");
    }
    // Who may define and sees some of the people is not told of any.
    for purposes in ["analytics", "email_marketing", "privacy", "analytics, service"] {
        let create = format!(
            "CREATE OR REPLACE ROLE steward LOGIN PASSWORD 'demo' PURPOSES ({purposes}) MAY (define)"
        );
        engineer.rows(&create).await;
        let steward = server.session("steward").await;
        let failure = steward.failure(&format!("EXPLAIN IMPACT {OTHER}")).await;
        assert_eq!(failure.sqlstate, "42501", "{purposes}: {failure}");
        assert!(!failure.message.contains("may not"), "{failure}");
    }
    let steward = server.session("steward").await;
    steward.rows("SET cdp.purpose = 'service'").await;
    assert!(figure(&impact(&steward, OTHER).await, "profiles_merged") > 0);
    // It reads, so that it may stand where nothing may be written; and a refresh may go on beside it.
    steward.rows("BEGIN READ ONLY").await;
    let beside = server.session("engineer").await;
    let (told, _) = tokio::join!(impact(&steward, OTHER), beside.rows("REFRESH ALL FULL"));
    assert!(figure(&told, "profiles_split") > 0);
    steward.rows("COMMIT").await;
}

#[tokio::test]
async fn it_ends_when_it_is_to_and_the_session_goes_on() {
    let server = shared_server();
    let engineer = server.session("engineer").await;
    engineer.rows("SET statement_timeout = '20ms'").await;
    for _ in 0..3 {
        let failure = engineer.failure(&format!("EXPLAIN IMPACT {OTHER}")).await;
        assert_eq!(failure.sqlstate, "57014", "{failure}");
    }
    engineer.rows("SET statement_timeout = 0").await;
    assert_eq!(engineer.number("SELECT 1").await, 1);
}
