//! What clients are told besides what they asked for, and what goes with what they drop.

/// How many objects are listed at most that go with others, or depend on them.
const LISTED_MAX: usize = 100;

/// What a client should know besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What kind it is of.
    pub sqlstate: &'static str,
    /// What it says.
    pub message: String,
    /// What of it is too long for one line.
    pub detail: Option<String>,
}

impl Notice {
    /// What is told of something that is there already, with the SQLSTATE of the error that it would be.
    pub(super) fn of_skipped(sqlstate: &'static str, what: &str) -> Self {
        Self { sqlstate, ..Self::from(format!("{what} already exists, skipping")) }
    }
}

impl From<String> for Notice {
    fn from(message: String) -> Self {
        Self { sqlstate: "00000", message, detail: None }
    }
}

impl From<&str> for Notice {
    fn from(message: &str) -> Self {
        message.to_owned().into()
    }
}

/// Returns what a client is told when these go with what it drops, each a line of its own; `None` if there are none.
pub(super) fn cascade(mut lines: Vec<String>) -> Option<Notice> {
    match lines.len() {
        0 => None,
        1 => lines.pop().map(Notice::from),
        count => {
            let message = format!("drop cascades to {count} other objects");
            Some(Notice { detail: Some(listed(&lines)), ..Notice::from(message) })
        }
    }
}

/// Returns lines below each other, the first of them if there are many, with how many are left out.
pub(super) fn listed(lines: &[String]) -> String {
    let shown = &lines[..lines.len().min(LISTED_MAX)];
    let text = shown.join("\n");
    match lines.len() - shown.len() {
        0 => text,
        1 => text + "\nand 1 other object",
        left => format!("{text}\nand {left} other objects"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_notice_tells_of_all_that_goes_with_others() {
        let lines = |count: usize| -> Vec<String> {
            (1..=count).map(|n| format!("drop cascades to view v{n}")).collect()
        };
        assert_eq!(cascade(lines(0)), None);
        assert_eq!(cascade(lines(1)), Some(Notice::from("drop cascades to view v1")));
        let notice = cascade(lines(2)).unwrap();
        assert_eq!(notice.message, "drop cascades to 2 other objects");
        let both = "drop cascades to view v1\ndrop cascades to view v2";
        assert_eq!(notice.detail.as_deref(), Some(both));
        for (count, end) in [
            (100, "\ndrop cascades to view v100"),
            (101, "view v100\nand 1 other object"),
            (105, "view v100\nand 5 other objects"),
        ] {
            let notice = cascade(lines(count)).unwrap();
            assert_eq!(notice.message, format!("drop cascades to {count} other objects"));
            let detail = notice.detail.unwrap();
            assert!(detail.ends_with(end), "{count}: {detail}");
        }
    }
}
