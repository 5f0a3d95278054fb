//! The password of a role may be a secret: it is read where it is found when the role logs in, and stored nowhere.

use std::time::Instant;

use crate::harness::{PROMPT, Server, connect, files, small};

async fn refused(server: &Server, role: &str, password: &str) {
    let failure = connect(server, role, password).await.err();
    let failure = failure.unwrap_or_else(|| panic!("{role} got in with {password:?}"));
    assert_eq!(failure.sqlstate, "28P01", "{failure}");
}

#[tokio::test]
async fn a_password_is_read_where_the_secret_says() {
    let lake = small().copied();
    let file = lake.project.join("password");
    std::fs::write(&file, "kept in a file\n").unwrap();
    let mut command = Server::command(&lake.project, &lake.lake);
    command.env("READER_PASSWORD", "kept in a variable");
    let server = Server::from(command);
    let engineer = server.session("engineer").await;
    for statement in [
        "CREATE SECRET of_variable FROM ENV 'READER_PASSWORD'",
        "CREATE SECRET of_file FROM FILE 'password'",
        "CREATE SECRET of_nothing FROM ENV 'READER_PASSWORD_THAT_NOBODY_SET'",
        "CREATE ROLE one LOGIN PASSWORD SECRET of_variable PURPOSES (analytics)",
        "CREATE ROLE two LOGIN PASSWORD SECRET of_file PURPOSES (analytics)",
        "CREATE ROLE three LOGIN PASSWORD SECRET of_nothing PURPOSES (analytics)",
    ] {
        engineer.run(statement).await.unwrap();
    }
    for (role, password) in [("one", "kept in a variable"), ("two", "kept in a file")] {
        let session = connect(&server, role, password).await.unwrap();
        assert_eq!(session.value("SELECT current_user").await, role);
    }
    for (role, password) in
        [("one", "kept in a file"), ("two", "of_file"), ("three", "of_nothing"), ("three", "demo")]
    {
        refused(&server, role, password).await;
    }
    let started = Instant::now();
    while !server.process.stderr().contains("READER_PASSWORD_THAT_NOBODY_SET") {
        assert!(
            started.elapsed() < PROMPT,
            "the log does not say why: {}",
            server.process.stderr()
        );
        tokio::task::yield_now().await;
    }

    // A new value counts from the next log-in on.
    std::fs::write(&file, "changed").unwrap();
    connect(&server, "two", "changed").await.unwrap();
    refused(&server, "two", "kept in a file").await;

    // In the lake there are the places of the passwords, and no password.
    let catalog = lake.lake.join("_catalog");
    let documents = files(&catalog)
        .into_iter()
        .map(|name| std::fs::read_to_string(catalog.join(name)).unwrap());
    let documents: String = documents.collect();
    assert!(documents.contains("READER_PASSWORD"));
    for password in ["kept in", "changed"] {
        assert!(!documents.contains(password), "{password}");
    }
}
