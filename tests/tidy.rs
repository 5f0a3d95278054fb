//! Rules about the source itself that no compiler holds.

use std::path::{Path, PathBuf};

use crate::harness::{files, root};

/// Lines of one source file at most.
const LINES_MAX: usize = 500;

const CRATES: [&str; 4] = ["udfs", "connectors", "engine", "sql"];

/// Every source file of the crates and of these tests, with its text; paths are relative to the root.
fn sources() -> Vec<(PathBuf, String)> {
    let root = root();
    let folders = CRATES.iter().map(|name| format!("{name}/src")).chain(["tests".to_owned()]);
    let paths = folders.flat_map(|folder| {
        files(&root.join(&folder)).into_iter().map(move |file| Path::new(&folder).join(file))
    });
    let rust = paths.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let found: Vec<_> = rust
        .map(|path| (path.clone(), std::fs::read_to_string(root.join(&path)).unwrap()))
        .collect();
    assert!(found.len() > 100, "only {} source files found", found.len());
    found
}

/// Fails with every finding, not only the first.
#[track_caller]
fn none(rule: &str, findings: Vec<String>) {
    assert!(findings.is_empty(), "{rule}:\n  {}", findings.join("\n  "));
}

/// Returns the code of a line, without what stands in a comment.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

#[test]
fn the_crate_graph_has_three_edges() {
    let mut edges = Vec::new();
    for name in CRATES {
        let manifest = std::fs::read_to_string(root().join(name).join("Cargo.toml")).unwrap();
        let manifest: toml::Table =
            manifest.parse().unwrap_or_else(|error| panic!("{name}/Cargo.toml: {error}"));
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(dependencies) = manifest.get(section).and_then(toml::Value::as_table) else {
                continue;
            };
            edges.extend(
                dependencies
                    .keys()
                    .filter(|other| CRATES.contains(&other.as_str()))
                    .map(|other| format!("{name} -> {other}")),
            );
        }
    }
    edges.sort();
    edges.dedup();
    assert_eq!(edges, ["engine -> connectors", "engine -> udfs", "sql -> engine"]);
}

#[test]
fn udfs_do_no_input_or_output() {
    let forbidden = ["tokio", "async fn", "std::fs", "std::net", "object_store"];
    let findings = sources().into_iter().filter(|(path, _)| path.starts_with("udfs")).flat_map(
        |(path, text)| {
            let lines: Vec<_> =
                text.lines().enumerate().map(|(index, line)| (index, line.to_owned())).collect();
            lines
                .into_iter()
                .filter(|(_, line)| forbidden.iter().any(|word| code(line).contains(word)))
                .map(move |(index, line)| {
                    format!("{}:{}: {}", path.display(), index + 1, line.trim())
                })
        },
    );
    none("udfs are pure functions", findings.collect());
}

#[test]
fn every_module_says_what_it_is() {
    let silent = sources().into_iter().filter(|(_, text)| !text.starts_with("//! "));
    none("a file starts with `//!`", silent.map(|(path, _)| path.display().to_string()).collect());
}

#[test]
fn no_file_is_longer_than_a_noun() {
    let long = sources().into_iter().filter(|(_, text)| text.lines().count() > LINES_MAX);
    let findings =
        long.map(|(path, text)| format!("{}: {} lines", path.display(), text.lines().count()));
    none("a file has 500 lines at most", findings.collect());
}

#[test]
fn rows_leave_in_one_file() {
    let delivers = sources().into_iter().filter(|(path, text)| {
        path.starts_with("engine") && text.lines().any(|line| code(line).contains(".deliver("))
    });
    let paths: Vec<PathBuf> = delivers.map(|(path, _)| path).collect();
    assert_eq!(paths, [Path::new("engine/src/activation.rs")]);
}

#[test]
fn one_module_reads_the_environment() {
    let readers = sources().into_iter().filter(|(path, text)| {
        let words = ["use std::env", "env::var", "env::args", "env::set_var", "env::home_dir"];
        !path.starts_with("tests")
            && !is_config(path)
            && text.lines().any(|line| words.iter().any(|word| code(line).contains(word)))
    });
    none(
        "only the config of sql reads the environment",
        readers.map(|(path, _)| path.display().to_string()).collect(),
    );
}

fn is_config(path: &Path) -> bool {
    path.starts_with("sql/src") && path.iter().any(|part| part == "config" || part == "config.rs")
}

#[test]
fn what_is_printed_may_find_its_reader_gone() {
    let words = ["println!", "print!"];
    let findings = sources().into_iter().filter(|(path, text)| {
        path.starts_with("sql")
            && text.lines().any(|line| words.iter().any(|word| code(line).contains(word)))
    });
    none(
        "the command line prints through cli/output.rs, since println! panics on a closed pipe",
        findings.map(|(path, _)| path.display().to_string()).collect(),
    );
}

#[test]
fn nothing_sleeps_or_is_passed_over_in_tests() {
    // Put together, so that this file does not find itself.
    let forbidden =
        [["#[", "ignore"].concat(), ["thread::", "sleep"].concat(), ["time::", "sleep("].concat()];
    let findings = sources().into_iter().filter(|(path, _)| path.starts_with("tests")).flat_map(
        |(path, text)| {
            let found: Vec<_> =
                forbidden.iter().filter(|word| text.contains(*word)).cloned().collect();
            found.into_iter().map(move |word| format!("{}: {word}", path.display()))
        },
    );
    none("a test waits for a condition", findings.collect());
}

#[test]
fn nothing_is_left_for_later() {
    let forbidden = [
        ["TO", "DO"].concat(),
        ["FIX", "ME"].concat(),
        ["unimplement", "ed!"].concat(),
        ["to", "do!("].concat(),
    ];
    let findings = sources().into_iter().flat_map(|(path, text)| {
        let lines = text
            .lines()
            .enumerate()
            .filter(|(_, line)| forbidden.iter().any(|word| line.contains(word)));
        let found: Vec<_> = lines
            .map(|(index, line)| format!("{}:{}: {}", path.display(), index + 1, line.trim()))
            .collect();
        found
    });
    none("what is not built answers with an error", findings.collect());
}

#[test]
fn every_slt_says_why() {
    let folder = root().join("tests/slt");
    let scripts: Vec<PathBuf> = files(&folder)
        .into_iter()
        .filter(|path| path.extension().is_some_and(|e| e == "slt"))
        .collect();
    assert!(scripts.len() >= 5, "only {} slt files found", scripts.len());
    let silent = scripts
        .into_iter()
        .filter(|path| !std::fs::read_to_string(folder.join(path)).unwrap().starts_with("# "));
    none(
        "an slt file starts with a comment",
        silent.map(|path| path.display().to_string()).collect(),
    );
}

#[test]
fn every_definition_of_the_demo_is_one_file() {
    let shop = root().join("examples/shop");
    let findings = files(&shop)
        .into_iter()
        .filter(|path| path.extension().is_some_and(|e| e == "sql"))
        .filter_map(|path| {
            let text = std::fs::read_to_string(shop.join(&path)).unwrap();
            let count = text.lines().filter(|line| line.starts_with("CREATE ")).count();
            (count != 1).then(|| format!("{}: {count} objects", path.display()))
        });
    none("one object a file", findings.collect());
}
