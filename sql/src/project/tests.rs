//! Projects in temporary folders, and the demonstration project itself.

use std::path::{Path, PathBuf};

use engine::catalog::{Definition, Kind};

use super::*;
use crate::dialect::{self, Statement};

/// The project that the demonstration runs on.
fn shop() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/shop")
}

/// Makes a project of these files.
fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

/// Returns everything that is wrong with these files, a line each without hints.
fn problems(files: &[(&str, &str)]) -> Vec<String> {
    let folder = project(files);
    let problems = match Project::load(folder.path()) {
        Ok(project) => project.check(),
        Err(Problems(problems)) => problems,
    };
    problems.into_iter().map(|problem| Problem { hint: None, ..problem }.to_string()).collect()
}

#[test]
fn the_demonstration_is_a_good_project() {
    let project = Project::load(&shop()).unwrap_or_else(|problems| panic!("{problems}"));
    let wrong = Problems(project.check());
    assert!(wrong.0.is_empty(), "{wrong}");
    let count = |kind| project.definitions.iter().filter(|file| file.kind() == kind).count();
    assert_eq!((count(Kind::Source), count(Kind::Purpose), count(Kind::Role)), (7, 7, 4));
    let kinds: Vec<Kind> = project.definitions.iter().map(FileDefinition::kind).collect();
    assert!(kinds.is_sorted());
    for file in &project.definitions {
        assert!(file.parsed.definition.comment.is_some(), "{} has no comment", file.path.display());
    }
}

#[test]
fn what_is_stored_of_the_demonstration_says_the_same_again() {
    let project = Project::load(&shop()).unwrap_or_else(|problems| panic!("{problems}"));
    let mut stored: Vec<Definition> = Vec::new();
    for file in &project.definitions {
        let definition = &file.parsed.definition;
        let json = serde_json::to_string(definition).unwrap();
        assert!(!json.contains("'demo'"), "{json}");
        let kept: Definition = serde_json::from_str(&json).unwrap();
        assert_eq!(kept, *definition);
        let again = dialect::parse(&kept.sql).unwrap().remove(0).statement;
        let Statement::Create { definition: mut again, .. } = again else { panic!("{}", kept.sql) };
        again.comment = kept.comment.clone();
        assert_eq!(*again, kept);
        stored.push(kept);
    }
    let read_again = Project::load(&shop()).unwrap_or_else(|problems| panic!("{problems}"));
    let plan = plan(&read_again, &stored);
    assert!(plan.is_empty(), "{plan}");
    assert_eq!(plan.unchanged.len(), stored.len());
}

#[test]
fn problems_have_places() {
    let purpose = ("p.sql", "CREATE PURPOSE analytics LEGAL BASIS consent;");
    let graph = ("g.sql", "CREATE IDENTITY GRAPH customer IDENTIFIERS (email PRIORITY 1);");
    for (files, expected) in [
        (vec![], vec![]),
        (
            vec![("a.sql", "CREATE PURPSE a")],
            vec!["a.sql:1:8: error: \"purpse\" is not a kind of object"],
        ),
        (
            vec![("x/a.sql", "-- ż\nCREATE PURPOSE ż LEGAL\n  BASES consent")],
            vec!["x/a.sql:2:16: error: purpose name \"ż\" is not valid"],
        ),
        (
            vec![purpose, ("q/p.sql", "CREATE PURPOSE analytics LEGAL BASIS contract")],
            vec!["q/p.sql:1:16: error: purpose \"analytics\" is defined twice"],
        ),
        (
            vec![
                (
                    "s.sql",
                    "CREATE SEGMENT analytics ON customer\n  FOR PURPOSE analytics WHERE true",
                ),
                graph,
            ],
            vec!["s.sql:2:15: error: purpose \"analytics\" does not exist"],
        ),
        (
            vec![
                graph,
                ("t.sql", "CREATE TRAIT t ON customer AS\nSELECT profile_id FROM sources.orders o"),
            ],
            vec!["t.sql:2:32: error: source \"orders\" does not exist"],
        ),
        (
            vec![
                graph,
                ("d/a.csv", "id\n"),
                (
                    "s.sql",
                    "CREATE SOURCE s FROM FILE ('d/*.csv', 'd/*.json', '../x') FORMAT csv AS EVENTS\n\
                     IDENTIFIERS (email => email, phone => phone)",
                ),
            ],
            vec![
                "s.sql:1:39: error: no file matches \"d/*.json\"",
                "s.sql:1:51: error: path \"../x\" leaves the project",
                "s.sql:2:30: error: identifier kind \"phone\" is not in the identity graph",
            ],
        ),
        (
            vec![(
                "g.sql",
                "CREATE IDENTITY GRAPH g IDENTIFIERS (email PRIORITY 1) MATCH (m EXACT ON (name, nam) PRIORITY 2)",
            )],
            vec!["g.sql:1:81: error: \"nam\" is neither a field of a person nor an identifier"],
        ),
        (
            vec![graph, ("h.sql", "CREATE IDENTITY GRAPH other IDENTIFIERS (email PRIORITY 1)")],
            vec!["h.sql:1:23: error: identity graph \"other\" is a second one"],
        ),
        (
            vec![("r.sql", "CREATE ROLE r PASSWORD SECRET pw PURPOSES (analytics, ads)"), purpose],
            vec![
                "r.sql:1:55: error: purpose \"ads\" does not exist",
                "r.sql:1:31: error: secret \"pw\" does not exist",
            ],
        ),
        (
            vec![purpose, ("a.sql", "SELECT 1")],
            vec!["a.sql:1:1: error: file holds a statement that defines nothing"],
        ),
        (
            vec![(
                "a.sql",
                "CREATE PURPOSE a LEGAL BASIS consent; CREATE PURPOSE b LEGAL BASIS consent",
            )],
            vec!["a.sql:1:39: error: file defines a second object"],
        ),
        (
            vec![("a.sql", "CREATE PURPOSE a LEGAL BASIS consent;\nCOMMENT ON PURPOSE b IS 'x'")],
            vec![
                "a.sql:2:1: error: comment is on purpose \"b\", which is not the object of this file",
            ],
        ),
        (vec![("a.sql", "-- nothing\n")], vec!["a.sql: error: file defines no object"]),
        (
            vec![purpose, ("onefold.toml", "[stroage]\n")],
            vec!["onefold.toml:1:2: error: key \"stroage\" is not known"],
        ),
        (
            vec![
                graph,
                purpose,
                (
                    "a.sql",
                    "CREATE SEGMENT a ON customer FOR PURPOSE analytics AS SELECT profile_id FROM segments.b",
                ),
                (
                    "b.sql",
                    "CREATE SEGMENT b ON customer FOR PURPOSE analytics AS SELECT profile_id FROM segments.a",
                ),
            ],
            vec!["a.sql:1:16: error: segment \"a\" depends on itself"],
        ),
    ] {
        if files.is_empty() {
            assert!(problems(&files)[0].ends_with("project has no .sql files"));
            continue;
        }
        assert_eq!(problems(&files), expected, "{files:?}");
    }
}

#[test]
fn a_plan_says_what_would_change() {
    let files = |limit: u32, password: &str| {
        project(&[
            ("p.sql", "CREATE PURPOSE analytics LEGAL BASIS consent"),
            ("g.sql", "CREATE IDENTITY GRAPH customer IDENTIFIERS (email PRIORITY 1)"),
            (
                "a.sql",
                &format!(
                    "CREATE OR REPLACE SEGMENT a ON customer FOR PURPOSE analytics AS\nSELECT s.profile_id\nFROM \
                     segments.z s JOIN profiles p USING (profile_id)\nWHERE p.x > {limit}"
                ),
            ),
            (
                "z.sql",
                "CREATE SEGMENT z ON customer FOR PURPOSE analytics WHERE y;\nCOMMENT ON SEGMENT z IS 'it''s'",
            ),
            ("r.sql", &format!("CREATE ROLE r LOGIN PASSWORD '{password}' PURPOSES (analytics)")),
        ])
    };
    let first = files(1, "one");
    let project = Project::load(first.path()).unwrap();
    let names: Vec<&str> = project.definitions.iter().map(FileDefinition::name).collect();
    assert_eq!(
        names,
        ["analytics", "r", "customer", "z", "a"],
        "kinds in order, and z before a, which reads it"
    );
    let plan_first = plan(&project, &[]);
    assert_eq!(plan_first.added.len(), 5);
    assert!(
        plan_first.to_string().ends_with("Plan: 5 to add, 0 to change, 0 to remove, 0 unchanged.")
    );

    let mut stored: Vec<Definition> =
        plan_first.added.into_iter().map(|addition| addition.definition).collect();
    let same = Project::load(files(1, "one").path()).unwrap();
    assert_eq!(
        plan(&same, &stored).to_string(),
        "No changes: the lake has all 5 objects as they are defined."
    );

    stored.retain(|definition| definition.body.kind() != Kind::Purpose);
    let Statement::Create { definition, .. } =
        dialect::parse("CREATE SECRET old FROM ENV 'X'").unwrap().remove(0).statement
    else {
        panic!("no definition")
    };
    stored.push(*definition);
    let changed = Project::load(files(2, "two").path()).unwrap();
    let plan = plan(&changed, &stored);
    assert_eq!(
        plan.to_string(),
        "  + purpose \"analytics\"  (p.sql)\n  \
           ~ role \"r\"  (r.sql)\n      \
               @@ -1,1 +1,1 @@\n      \
               -CREATE ROLE r LOGIN PASSWORD '(stored)' PURPOSES (analytics);\n      \
               +CREATE ROLE r LOGIN PASSWORD '(new)' PURPOSES (analytics);\n  \
           ~ segment \"a\"  (a.sql)\n      \
               @@ -2,3 +2,3 @@\n       \
                SELECT s.profile_id\n       \
                FROM segments.z s JOIN profiles p USING (profile_id)\n      \
               -WHERE p.x > 1;\n      \
               +WHERE p.x > 2;\n  \
           - secret \"old\"\n\n\
         Plan: 1 to add, 2 to change, 1 to remove, 2 unchanged."
    );
}
