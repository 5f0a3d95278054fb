//! What each definition becomes, and that its stored text says the same.

use std::time::Duration;

use arrow::datatypes::{DataType, TimeUnit};
use engine::catalog::{
    BlockPart, Body, Capability, ConnectorSpec, Definition, Format, Freshness, FuzzyRule,
    LegalBasis, OnError, Secret, Shape, SurvivorshipRule, SyncInput,
};

use super::*;

/// Returns the definition that a text makes, after checking that its stored text makes the same.
fn define(sql: &str) -> Definition {
    let Statement::Create { definition, .. } = one(sql).statement else { panic!("{sql}") };
    let Statement::Create { definition: again, mode, password } = one(&definition.sql).statement
    else {
        panic!("{}", definition.sql)
    };
    assert_eq!(*definition, *again, "{sql}");
    assert_eq!(mode, CreateMode::Create);
    assert!(password.is_none(), "the stored text holds a verifier");
    *definition
}

#[test]
fn sources() {
    let definition = define(
        "CREATE SOURCE crm_contacts (crm_id text, \"Full Name\" varchar(80), points integer, amount numeric(12,2),
           born date, at timestamp with time zone, local timestamp(6), extra jsonb, id uuid, ok boolean)
         ON ERROR SKIP TRUST 7 FORMAT csv NULL VALUES ('', 'n/a')
         AS RECORDS KEY (crm_id) VERSION BY at EVERY '1 hour' PUBLIC (points, \"Full Name\")
         IDENTIFIERS (crm_id => crm_id, email => lower(traits->>'email'))
         PERSON (name => full_name, city => coalesce(city, 'x, y'))
         FROM FILE ('data/*.csv', 'more/*.csv.gz')",
    );
    assert_eq!(definition.name, "crm_contacts");
    let Body::Source(source) = definition.body else { panic!("no source") };
    assert_eq!(
        source.connector,
        ConnectorSpec::File { paths: vec!["data/*.csv".to_string(), "more/*.csv.gz".to_string()] }
    );
    let types: Vec<(&str, DataType)> = source
        .columns
        .iter()
        .map(|column| (column.name.as_str(), column.data_type.clone()))
        .collect();
    assert_eq!(
        types,
        [
            ("crm_id", DataType::Utf8),
            ("Full Name", DataType::Utf8),
            ("points", DataType::Int32),
            ("amount", DataType::Decimal128(12, 2)),
            ("born", DataType::Date32),
            ("at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
            ("local", DataType::Timestamp(TimeUnit::Microsecond, None)),
            ("extra", DataType::Utf8),
            ("id", DataType::Utf8),
            ("ok", DataType::Boolean),
        ]
    );
    let logical: Vec<(&str, &str)> = source
        .logical_types
        .iter()
        .map(|(name, logical)| (name.as_str(), logical.as_str()))
        .collect();
    assert_eq!(logical, [("Full Name", "varchar(80)"), ("extra", "jsonb"), ("id", "uuid")]);
    assert_eq!(
        source.shape,
        Shape::Records { key: vec!["crm_id".to_string()], version_by: Some("at".to_string()) }
    );
    assert_eq!(source.null_values, ["", "n/a"]);
    let identifiers: Vec<(&str, &str)> =
        source.identifiers.iter().map(|i| (i.kind.as_str(), i.expression.as_str())).collect();
    assert_eq!(identifiers, [("crm_id", "crm_id"), ("email", "lower(traits->>'email')")]);
    assert_eq!(source.person["name"], "full_name");
    assert_eq!(source.person["city"], "coalesce(city, 'x, y')");
    assert_eq!(source.public_columns, ["points", "full_name"]);
    assert_eq!((source.format, source.on_error, source.trust), (Format::Csv, OnError::Skip, 7));
    assert_eq!(source.freshness, Freshness::Every(Duration::from_secs(3_600)));

    let definition = define(
        "create source web from file 'web.ndjson' format segment as events
         identifiers (anonymous_id => anonymous_id, email => traits->>'email')",
    );
    let Body::Source(source) = definition.body else { panic!("no source") };
    assert_eq!(source.shape, Shape::Events { key: Vec::new(), event_time: None });
    assert_eq!(
        (source.on_error, source.trust, source.freshness),
        (OnError::Quarantine, 100, Freshness::OnDemand)
    );
}

#[test]
fn graphs() {
    let definition = define(
        "CREATE IDENTITY GRAPH customer
           IDENTIFIERS (user_id PRIORITY 1 LIMIT 1,
                        phone NORMALIZE phone('PL') PRIORITY 3 LIMIT 5 BLOCK VALUES ('0', '1') BLOCK MATCHING '^0+$'
                          BLOCK MATCHING '^9+$')
           MATCH (name_birth EXACT ON (name, birth_date) PRIORITY 5)
           WITH (merge_limit = 12, shared_limit = 3)",
    );
    let Body::IdentityGraph(graph) = definition.body else { panic!("no graph") };
    assert_eq!((graph.merge_limit, graph.shared_limit), (12, 3));
    let phone = &graph.identifiers[1];
    assert_eq!((phone.kind.as_str(), phone.priority, phone.limit), ("phone", 3, Some(5)));
    let normalizer = phone.normalize.as_ref().unwrap();
    assert_eq!(
        (normalizer.function.as_str(), normalizer.arguments.as_slice()),
        ("phone", &["PL".to_string()][..])
    );
    assert_eq!(phone.block_values, ["0", "1"]);
    assert_eq!(phone.block_matching, ["^0+$", "^9+$"]);
    assert_eq!((graph.identifiers[0].limit, graph.identifiers[0].limit_per), (Some(1), None));
    assert_eq!(graph.matches[0].exact_on, ["name", "birth_date"]);
    assert_eq!(graph.fuzzy, None);
}

#[test]
fn identifiers_may_be_limited_for_a_time_and_expire() {
    let limit = |clause: &str| {
        let definition = define(&format!(
            "CREATE IDENTITY GRAPH customer IDENTIFIERS (email PRIORITY 1 LIMIT {clause} BLOCK VALUES ('0'))"
        ));
        let Body::IdentityGraph(mut graph) = definition.body else { panic!("no graph") };
        let rule = graph.identifiers.remove(0);
        (rule.limit, rule.limit_per.map(|per| per.as_secs() / 86_400))
    };
    assert_eq!(limit("5"), (Some(5), None));
    assert_eq!(limit("5 PER '30 days'"), (Some(5), Some(30)));
    assert_eq!(limit("1 per interval '1 week'"), (Some(1), Some(7)));
    let definition = define(
        "CREATE IDENTITY GRAPH g IDENTIFIERS (a EXPIRE AFTER '700 days' PRIORITY 1 LIMIT 5 PER '1 day', b PRIORITY 2)",
    );
    let Body::IdentityGraph(graph) = definition.body else { panic!("no graph") };
    let expire = |at: usize| graph.identifiers[at].expire_after.map(|after| after.as_secs());
    assert_eq!((expire(0), expire(1)), (Some(700 * 86_400), None));
}

#[test]
fn a_graph_may_have_a_fuzzy_rule() {
    let fuzzy = |clauses: &str| {
        let definition = define(&format!(
            "CREATE IDENTITY GRAPH customer IDENTIFIERS (email NORMALIZE email PRIORITY 1)
               MATCH (name_birth EXACT ON (name, birth_date) PRIORITY 5, same_person FUZZY {clauses})"
        ));
        let Body::IdentityGraph(graph) = definition.body else { panic!("no graph") };
        assert_eq!(graph.matches.len(), 1);
        let rule = graph.fuzzy.unwrap();
        (rule.name, rule.score, rule.review_below, rule.priority, rule.household_score)
    };
    let named = |score, below, priority| ("same_person".to_owned(), score, below, priority, None);
    assert_eq!(fuzzy(""), named(0.95, None, 1_000));
    assert_eq!(fuzzy("SCORE >= 0.9"), named(0.9, None, 1_000));
    assert_eq!(fuzzy("review below .99 priority 7 score >= .8"), named(0.8, Some(0.99), 7));
    let with_households = fuzzy("score >= .8 household score >= 0.9 review below .99");
    assert_eq!(with_households, ("same_person".to_owned(), 0.8, Some(0.99), 1_000, Some(0.9)));
}

#[test]
fn a_fuzzy_rule_may_name_its_keys() {
    let definition = define(
        "CREATE IDENTITY GRAPH customer IDENTIFIERS (email NORMALIZE email PRIORITY 1)
           MATCH (same_person FUZZY BLOCK ON ((surname, Year(birth_date)), (email), (\"City\")) SCORE >= 0.9)",
    );
    let Body::IdentityGraph(graph) = definition.body else { panic!("no graph") };
    let rule = graph.fuzzy.unwrap();
    let part = |function: Option<&str>, of: &str| BlockPart {
        function: function.map(str::to_owned),
        of: of.to_owned(),
    };
    let keys = [
        vec![part(None, "surname"), part(Some("year"), "birth_date")],
        vec![part(None, "email")],
        vec![part(None, "City")],
    ];
    assert_eq!((rule.score, rule.block_on.as_slice()), (0.9, &keys[..]));
    let stored = serde_json::to_string(&rule).unwrap();
    assert_eq!(serde_json::from_str::<FuzzyRule>(&stored).unwrap(), rule);
    // A graph of an earlier version has none, and means the usual ones.
    let stored = r#"{"name":"m","score":0.9,"review_below":null,"priority":1000}"#;
    let earlier = serde_json::from_str::<FuzzyRule>(stored).unwrap();
    assert_eq!(earlier.block_on, [] as [Vec<BlockPart>; 0]);
    assert_eq!(serde_json::to_string(&earlier).unwrap(), stored);
}

#[test]
fn attributes_name_the_source_of_each_value_once() {
    let definition = define(
        "CREATE ATTRIBUTE birth_date ON customer
         FROM (normalize_birth_date(crm.birth_date, normalize_country(CRM.country)), loyalty.birth_date,
               web.traits->>'born', shop.shop)
         RESOLVE BY SOURCE PRIORITY (loyalty, crm)",
    );
    let Body::Attribute(attribute) = definition.body else { panic!("no attribute") };
    let inputs: Vec<(&str, &str)> = attribute
        .inputs
        .iter()
        .map(|input| (input.source.as_str(), input.expression.as_str()))
        .collect();
    assert_eq!(
        inputs,
        [
            ("crm", "normalize_birth_date(birth_date, normalize_country(country))"),
            ("loyalty", "birth_date"),
            ("web", "traits->>'born'"),
            ("shop", "shop"),
        ]
    );
    assert_eq!(
        attribute.rule,
        SurvivorshipRule::SourcePriority(vec!["loyalty".to_string(), "crm".to_string()])
    );
}

#[test]
fn derived_objects() {
    let Body::Trait(orders) =
        define("CREATE TRAIT orders ON customer EVERY INTERVAL '1 hour' AS SELECT profile_id, count(*) n FROM o GROUP BY 1")
            .body
    else {
        panic!("no trait")
    };
    assert_eq!(orders.query, "SELECT profile_id, count(*) n FROM o GROUP BY 1");
    let Body::Segment(segment) = define(
        "CREATE SEGMENT vips ON customer FOR PURPOSE email_marketing TARGET LAG '5 minutes' WHERE ltv > 500 -- rich\n AND x",
    )
    .body
    else {
        panic!("no segment")
    };
    assert_eq!(segment.query, "SELECT profile_id FROM profiles WHERE ltv > 500 -- rich\n AND x");
    assert_eq!(segment.freshness, Freshness::TargetLag(Duration::from_secs(300)));
    let Body::Segment(segment) =
        define("CREATE SEGMENT a ON customer FOR PURPOSE p AS WITH x AS (SELECT 1) SELECT p.profile_id FROM x, profiles p")
            .body
    else {
        panic!("no segment")
    };
    assert!(segment.query.starts_with("WITH x"));
    define("CREATE CONSENT FEED l AS SELECT * FROM sources.l");
    let Body::IdentityOverrides(desk) =
        define("CREATE IDENTITY OVERRIDES desk AS SELECT * FROM analytics.answers").body
    else {
        panic!("no identity overrides")
    };
    assert_eq!(desk.query, "SELECT * FROM analytics.answers");
    let error = parse("CREATE IDENTITY OVERRIDES desk AS SELECT decision FROM a").unwrap_err();
    let message = "the query of identity overrides \"desk\" has no column \"left_source\"";
    assert_eq!((error.message.as_str(), error.sqlstate), (message, "42611"));
    let Body::Event(event) =
        define("CREATE EVENT product_view (sku text, price numeric(10,2))").body
    else {
        panic!("no event")
    };
    assert_eq!(event.properties.len(), 2);
}

#[test]
fn policy_and_activation() {
    assert_eq!(
        define("CREATE SECRET s FROM ENV 'X_Y'").body,
        Body::Secret(Secret::Env("X_Y".to_string()))
    );
    assert_eq!(
        define("CREATE SECRET s FROM FILE '/x'").body,
        Body::Secret(Secret::File("/x".to_string()))
    );
    for (words, basis) in [
        ("consent", LegalBasis::Consent),
        ("LEGAL_OBLIGATION", LegalBasis::LegalObligation),
        ("legitimate interest", LegalBasis::LegitimateInterest),
    ] {
        let Body::Purpose(purpose) = define(&format!("CREATE PURPOSE p LEGAL BASIS {words}")).body
        else {
            panic!("no purpose")
        };
        assert_eq!(purpose.basis, basis);
    }
    let Body::Destination(destination) =
        define("CREATE DESTINATION mailer TO FILE ('out/{segment}/{run}.csv') FORMAT csv").body
    else {
        panic!("no destination")
    };
    assert_eq!(destination.format, Format::Csv);
    let Body::Sync(sync) = define(
        "CREATE SYNC m FROM SEGMENT vips TO mailer FOR PURPOSE email_marketing COLUMNS (email, first_name) EVERY '1 day'",
    )
    .body
    else {
        panic!("no sync")
    };
    assert_eq!(
        sync.input,
        SyncInput::Segment {
            segment: "vips".to_string(),
            columns: vec!["email".to_string(), "first_name".to_string()]
        }
    );
    let Body::Sync(sync) = define(
        "CREATE SYNC m FROM (SELECT profile_id, f(')') FROM profiles) TO mailer FOR PURPOSE p",
    )
    .body
    else {
        panic!("no sync")
    };
    assert_eq!(sync.input, SyncInput::Query("SELECT profile_id, f(')') FROM profiles".to_string()));
}

#[test]
fn the_words_about_what_is_there_are_not_stored() {
    for (sql, mode) in [
        ("CREATE PURPOSE p LEGAL BASIS consent", CreateMode::Create),
        ("create or replace\n PURPOSE p LEGAL BASIS consent ;", CreateMode::OrReplace),
        ("CREATE PURPOSE IF NOT EXISTS p LEGAL BASIS consent", CreateMode::IfNotExists),
    ] {
        let Statement::Create { definition, mode: found, .. } = one(sql).statement else {
            panic!("{sql}")
        };
        assert_eq!(found, mode);
        assert_eq!(definition.sql, "CREATE PURPOSE p LEGAL BASIS consent");
    }
}

#[test]
fn a_password_is_never_kept_and_an_unchanged_one_is_no_change() {
    let file = |sql: &str| match one(sql) {
        Parsed { statement: Statement::Create { definition, password, .. }, text, .. } => {
            assert!(
                !text.contains("demo")
                    && !definition.sql.contains("demo")
                    && !format!("{definition:?}").contains("demo")
            );
            ParsedDefinition { definition: *definition, password }
        }
        other => panic!("{other:?}"),
    };
    let sql = "CREATE ROLE analyst LOGIN PASSWORD 'demo' PURPOSES (analytics) MAY (segment, sync)";
    let first = file(sql);
    let Body::Role(role) = &first.definition.body else { panic!("no role") };
    assert_eq!(role.purposes, ["analytics"]);
    assert_eq!(role.capabilities, [Capability::Segment, Capability::Sync]);
    let verifier = role.verifier.clone().unwrap();
    assert!(first.definition.sql.contains(&format!("PASSWORD '{verifier}' PURPOSES")));
    let again = file(sql);
    assert_ne!(first.definition, again.definition, "each reading has a salt of its own");
    assert!(same(&first.definition, &again));
    assert!(!same(
        &first.definition,
        &file(&sql.replace("demo", "demo2").replace("demo2", "other"))
    ));
    assert!(!same(&first.definition, &file(&sql.replace("analytics", "service"))));
    define(&first.definition.sql);

    let secret = file("CREATE ROLE a PASSWORD SECRET pw PURPOSES (analytics)");
    let Body::Role(role) = &secret.definition.body else { panic!("no role") };
    assert_eq!((role.verifier.as_ref(), role.password_secret.as_deref()), (None, Some("pw")));
    assert!(same(&secret.definition, &secret));
}
