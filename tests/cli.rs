//! The command line: help, formats and exit codes.

use std::process::Command;

use crate::harness::{
    BINARY, Finished, Folder, PROMPT, Process, copy, onefold, root, shared_server, small,
};

const COMMANDS: [&str; 7] = ["demo", "serve", "plan", "apply", "refresh", "sql", "check"];

#[test]
fn every_command_explains_itself_with_examples() {
    let all = onefold(&["--help"]).success().stdout;
    for command in COMMANDS {
        assert!(all.contains(command), "{command} is not in\n{all}");
        let help = onefold(&[command, "--help"]).success().stdout;
        let examples = help
            .split_once("Example")
            .map(|(_, rest)| rest)
            .unwrap_or_else(|| panic!("no examples in\n{help}"));
        assert!(examples.contains(&format!("onefold {command}")), "no line to copy in\n{help}");
    }
    assert!(onefold(&["--version"]).success().stdout.starts_with("onefold "));
}

#[test]
fn a_wrong_use_is_exit_code_2() {
    for arguments in [
        &["--nonsense"][..],
        &["nonsense"],
        &[],
        &["apply"],
        &["sql"],
        &["sql", "--format", "xml", "-c", "SELECT 1"],
        &["refresh", "--dir", "a", "--lake", "s3://b/c"],
        &["serve", "--listen", "nowhere"],
    ] {
        let finished = onefold(arguments);
        assert_eq!(finished.code(), 2, "{finished}");
        assert!(finished.stdout.is_empty(), "what is wrong belongs on stderr: {finished}");
        assert!(!finished.stderr.is_empty(), "{finished}");
    }
}

#[test]
fn a_bad_configuration_is_exit_code_78() {
    let folder = Folder::new();
    let project = folder.join("project");
    copy(&small().project, &project);
    std::fs::write(project.join("onefold.toml"), "[lisen]\npostgres = \"127.0.0.1:0\"\n").unwrap();
    let (project, lake) = (project.to_str().unwrap(), folder.join("lake"));
    for arguments in [
        &["check", project][..],
        &["plan", project, "--dir", lake.to_str().unwrap()],
        &["apply", project, "--dir", lake.to_str().unwrap()],
    ] {
        let finished = onefold(arguments).exits_with(78);
        assert!(
            finished.stderr.contains("onefold.toml:1:2") && finished.stderr.contains("listen"),
            "{finished}"
        );
    }
}

#[test]
fn plan_tells_what_apply_would_do() {
    let folder = Folder::new();
    let (project, lake) = (folder.join("project"), folder.join("lake"));
    copy(&small().project, &project);
    let (project_name, lake) = (project.to_str().unwrap(), lake.to_str().unwrap());
    onefold(&["check", project_name]).success();
    let plan = onefold(&["plan", project_name, "--dir", lake]).exits_with(3);
    assert!(
        plan.stdout.contains("crm_contacts") && plan.stdout.contains("lapsed_customers"),
        "{plan}"
    );
    onefold(&["apply", project_name, "--dir", lake]).success();
    onefold(&["plan", project_name, "--dir", lake]).success();

    let segment = project.join("segments/big_spenders.sql");
    let text = std::fs::read_to_string(&segment).unwrap();
    std::fs::write(&segment, text.replace("total_spent >= 250", "total_spent >= 300")).unwrap();
    let plan = onefold(&["plan", project_name, "--dir", lake]).exits_with(3);
    assert!(plan.stdout.contains("big_spenders") && plan.stdout.contains("300"), "{plan}");
    assert!(!plan.stdout.contains("lapsed_customers"), "an unchanged object is in {plan}");
    assert!(!plan.stdout.contains("demo"), "a password is in {plan}");
}

#[test]
fn check_says_where_a_definition_is_wrong() {
    let folder = Folder::new();
    let project = folder.join("project");
    copy(&small().project, &project);
    std::fs::write(
        project.join("segments/broken.sql"),
        "CREATE SEGMENT broken ON customer\nFOR PURPOSE astrology WHERE true;\n",
    )
    .unwrap();
    let finished = onefold(&["check", project.to_str().unwrap()]).exits_with(78);
    for part in ["segments/broken.sql:2:", "astrology"] {
        assert!(finished.stderr.contains(part), "no {part} in {finished}");
    }
}

#[test]
fn sql_answers_in_three_formats() {
    let lake = small().lake.to_str().unwrap();
    let ask = |format: &str, sql: &str| {
        onefold(&["sql", "--dir", lake, "--role", "engineer", "--format", format, "-c", sql])
            .success()
            .stdout
    };
    let statement = "SELECT 1 AS one, 'a \"b\", c' AS text, NULL AS nothing";
    assert_eq!(ask("csv", statement), "one,text,nothing\n1,\"a \"\"b\"\", c\",\n");
    let rows: Vec<serde_json::Value> = match serde_json::from_str(&ask("json", statement)).unwrap()
    {
        serde_json::Value::Array(rows) => rows,
        row => vec![row],
    };
    assert_eq!(rows, [serde_json::json!({ "one": 1, "text": "a \"b\", c", "nothing": null })]);
    let table = ask("table", statement);
    assert!(table.contains("one") && table.contains("a \"b\", c"), "{table}");
}

#[test]
fn a_failing_statement_is_exit_code_1() {
    let lake = small().lake.to_str().unwrap();
    for (role, statement, part) in [
        ("engineer", "SELECT frist_name FROM profiles", "first_name"),
        ("engineer", "SELEC 1", "selec"),
        ("marketer", "SET cdp.purpose = 'analytics'; SELECT 1", "analytics"),
        ("engineer", "SELECT 1; SELECT emial FROM profiles", "at character 18) [42703]"),
        // Settings are checked as they are over the wire.
        ("engineer", "SET datafusion.execution.batch_size = 1; SELECT 1", "[42501]"),
        ("engineer", "SET statement_timout = 1", "\"statement_timeout\""),
        ("engineer", "SET server_version = '16'", "[55P02]"),
    ] {
        let finished =
            onefold(&["sql", "--dir", lake, "--role", role, "-c", statement]).exits_with(1);
        assert!(finished.stderr.contains(part), "no {part} in {finished}");
    }
}

#[test]
fn settings_have_their_effect_on_the_command_line() {
    let lake = small().copied();
    let sql = |text: &str| onefold(&["sql", "--dir", lake.dir(), "--role", "engineer", "-c", text]);
    let shown = sql("SET TimeZone = 'utc'; SHOW TimeZone; SHOW cdp.purpose").success();
    assert_eq!(shown.stdout, "UTC\nservice\n");
    let read_only = "SET default_transaction_read_only = on;";
    for change in [
        "REFRESH ALL",
        "SELECT cdp.record_consent('email', 'a@b.example', 'email_marketing', 'withdrawn')",
    ] {
        let refused = sql(&format!("{read_only} {change}")).exits_with(1);
        assert!(refused.stderr.contains("[25006]"), "{refused}");
    }
    sql(&format!("{read_only} RESET ALL; REFRESH ALL")).success();
}

#[test]
fn a_query_that_fails_on_a_value_does_not_tell_it() {
    let lake = small().copied();
    let sql = |role: &str, statement: &str| {
        onefold(&["sql", "--dir", lake.dir(), "--role", role, "-c", statement])
    };
    let fails_silently = |finished: Finished| {
        assert!(finished.stderr.contains("[22P02]"), "{finished}");
        assert!(!finished.stderr.contains('@'), "an address is in {finished}");
    };
    fails_silently(sql("marketer", "SELECT CAST(email AS int) FROM profiles").exits_with(1));
    // A segment is computed as it is made, a trait when it is refreshed.
    let segment = "CREATE SEGMENT numbers ON customer FOR PURPOSE email_marketing \
                   WHERE CAST(email AS int) > 0";
    fails_silently(sql("engineer", segment).exits_with(1));
    let number = "CREATE TRAIT number ON customer AS \
                  SELECT profile_id, max(CAST(email AS int)) AS number \
                  FROM sources.crm_contacts GROUP BY profile_id";
    sql("engineer", number).success();
    fails_silently(onefold(&["refresh", "--dir", lake.dir()]).exits_with(1));
    let log = sql("engineer", "SELECT error FROM cdp.refreshes WHERE status = 'failed'").success();
    assert!(log.stdout.contains("the query failed") && !log.stdout.contains('@'), "{log}");
}

#[test]
fn a_role_that_is_not_there_is_a_wrong_use_and_the_others_are_named() {
    let finished =
        onefold(&["sql", "--dir", small().copied().dir(), "--role", "nobody", "-c", "SELECT 1"])
            .exits_with(2);
    for part in ["\"nobody\" does not exist", "analyst, engineer, marketer, privacy_officer"] {
        assert!(finished.stderr.contains(part), "no {part} in {finished}");
    }
}

#[test]
fn only_apply_makes_a_lake() {
    let folder = Folder::new();
    let lake = folder.join("lake");
    let (dir, project) = (lake.to_str().unwrap(), small().project.to_str().unwrap());
    for arguments in [
        &["sql", "--dir", dir, "-c", "SELECT 1"][..],
        &["sql", "--dir", dir, "--role", "engineer", "-c", "REFRESH ALL"],
        &["refresh", "--dir", dir],
    ] {
        let finished = onefold(arguments).exits_with(1);
        for part in [dir, "hint: ", "onefold apply"] {
            assert!(finished.stderr.contains(part), "no {part} in {finished}");
        }
        assert!(!lake.try_exists().unwrap(), "{} made the lake", finished);
    }
    let plan = onefold(&["plan", project, "--dir", dir]).exits_with(3);
    assert!(plan.stdout.contains("0 to change, 0 to remove, 0 unchanged"), "{plan}");
    assert!(!lake.try_exists().unwrap(), "plan made the lake");
}

#[test]
fn sql_is_governed_as_the_server_is() {
    let lake = small().lake.to_str().unwrap();
    let count = |role: &str| {
        let answer = onefold(&[
            "sql",
            "--dir",
            lake,
            "--role",
            role,
            "--format",
            "csv",
            "-c",
            "SELECT count(*) AS n FROM profiles",
        ]);
        answer.success().stdout.lines().last().unwrap().parse::<u64>().unwrap()
    };
    let (engineer, marketer) = (count("engineer"), count("marketer"));
    assert!(0 < marketer && marketer < engineer / 2, "{marketer} of {engineer}");
}

#[test]
fn an_interrupt_is_exit_code_130_and_sigterm_0() {
    for (signal, code) in [("INT", 130), ("TERM", 0)] {
        let lake = small().copied();
        let mut server = lake.serve();
        assert!(server.process.signal(signal));
        let status = server.process.wait(PROMPT);
        assert_eq!(
            status.code(),
            Some(code),
            "SIG{signal}: {status}; stderr:\n{}",
            server.process.stderr()
        );
    }
}

#[test]
fn a_taken_port_is_a_failure_that_says_so() {
    let server = shared_server();
    let lake = small().copied();
    let address = format!("127.0.0.1:{}", server.port());
    let mut command = Command::new(BINARY);
    command.args(["serve", "--dir", lake.dir(), "--listen", &address]).current_dir(&lake.project);
    let finished = Process::spawn(command).finish(PROMPT).exits_with(1);
    assert!(finished.stderr.contains(&address), "{finished}");
}

#[test]
fn the_demo_wants_the_root_of_the_project() {
    let folder = Folder::new();
    let mut command = Command::new(BINARY);
    command.args(["demo", "--listen", "127.0.0.1:0"]).current_dir(folder.path());
    let finished = Process::spawn(command).finish(PROMPT).exits_with(2);
    assert!(finished.stderr.contains("examples/shop"), "{finished}");
}

#[test]
fn the_demo_gets_ready_and_ends_when_interrupted() {
    let folder = Folder::new();
    let mut command = Command::new(BINARY);
    command
        .arg("demo")
        .arg("--dir")
        .arg(folder.join("lake"))
        .args(["--listen", "127.0.0.1:0"])
        .current_dir(root());
    let mut demo = Process::spawn(command);
    let mut lines = Vec::new();
    while let Some(line) = demo.line(crate::harness::WORK) {
        let ready = line.starts_with("ready postgres=127.0.0.1:");
        lines.push(line);
        if ready {
            break;
        }
    }
    assert!(
        lines.last().is_some_and(|line| line.starts_with("ready ")),
        "{lines:#?}\n{}",
        demo.stderr()
    );
    assert!(
        lines.len() + demo.stderr().lines().count() <= 20,
        "more than 20 lines: {lines:#?}\n{}",
        demo.stderr()
    );
    assert!(demo.signal("INT"));
    assert_eq!(demo.wait(PROMPT).code(), Some(130), "{}", demo.stderr());
}
