//! What is done to objects that exist: `DROP`, `COMMENT ON`, `REFRESH`, `RUN SYNC`, `SHOW`.

use engine::catalog::Kind;

use super::cursor::Cursor;
use super::error::ParseError;
use super::kind;
use super::statement::{RefreshTarget, Statement};

/// Kinds that a refresh can bring up to date.
const REFRESHED: [Kind; 7] = [
    Kind::Source,
    Kind::IdentityGraph,
    Kind::IdentityOverrides,
    Kind::ConsentFeed,
    Kind::Attribute,
    Kind::Trait,
    Kind::Segment,
];

/// Reads the rest of `DROP` if it names an object of ours.
pub(crate) fn drop_object(cursor: &mut Cursor<'_>) -> Result<Option<Statement>, ParseError> {
    let Some(kind) = kind::singular(cursor) else { return Ok(None) };
    let if_exists = cursor.accept("if exists");
    let name = cursor.name(kind)?;
    if cursor.is("cascade") {
        return Ok(Some(Statement::Unsupported {
            what: "DROP ... CASCADE".to_string(),
            hint: "Drop what depends on the object first.".to_string(),
        }));
    }
    cursor.accept("restrict");
    cursor.expect_end()?;
    Ok(Some(Statement::Drop { kind, name, if_exists }))
}

/// Reads the rest of `COMMENT ON` if it names an object of ours.
pub(crate) fn comment(cursor: &mut Cursor<'_>) -> Result<Option<Statement>, ParseError> {
    cursor.expect("on")?;
    let Some(kind) = kind::singular(cursor) else { return Ok(None) };
    let name = cursor.name(kind)?;
    cursor.expect("is")?;
    let comment = match cursor.accept("null") {
        true => None,
        false => Some(cursor.text("a text in quotes or NULL")?),
    };
    cursor.expect_end()?;
    Ok(Some(Statement::Comment { kind, name, comment }))
}

/// Reads the rest of `REFRESH`.
pub(crate) fn refresh(cursor: &mut Cursor<'_>) -> Result<Statement, ParseError> {
    let start = cursor.start();
    let target = if cursor.accept("all") {
        RefreshTarget::All
    } else {
        let several = cursor.clone();
        match kind::singular(cursor) {
            Some(kind) if !cursor.at_end() => {
                RefreshTarget::Object(refreshed(cursor, start, kind)?, cursor.name(kind)?)
            }
            _ => {
                *cursor = several;
                let Some(kind) = kind::plural(cursor) else {
                    let words = REFRESHED.iter().map(|kind| kind.word());
                    return Err(cursor.expected_one_of("", std::iter::once("all").chain(words)));
                };
                RefreshTarget::Kind(refreshed(cursor, start, kind)?)
            }
        }
    };
    let full = cursor.accept("full");
    for word in ["with", "as", "wait", "no"] {
        if cursor.is(word) {
            return Ok(Statement::Unsupported {
                what: format!("REFRESH ... {}", word.to_uppercase()),
                hint: "Use REFRESH ALL, which refreshes in dependency order and waits.".to_string(),
            });
        }
    }
    cursor.expect_end()?;
    Ok(Statement::Refresh { target, full })
}

/// Returns the kind if a refresh has a meaning for it.
fn refreshed(cursor: &Cursor<'_>, start: usize, kind: Kind) -> Result<Kind, ParseError> {
    if REFRESHED.contains(&kind) {
        return Ok(kind);
    }
    let error = cursor.error_at(start, format!("a {} cannot be refreshed", kind.word()));
    Err(match kind {
        Kind::Sync => error.hint("Use RUN SYNC name."),
        _ => error.hint("Use REFRESH ALL, or name a source, a trait or a segment."),
    })
}

/// Reads the rest of `RUN`.
pub(crate) fn run(cursor: &mut Cursor<'_>) -> Result<Statement, ParseError> {
    cursor.expect("sync")?;
    let name = cursor.name(Kind::Sync)?;
    if cursor.is("full") {
        return Ok(Statement::Unsupported {
            what: "RUN SYNC ... FULL".to_string(),
            hint: "Every run sends every row: leave FULL out.".to_string(),
        });
    }
    let dry_run = cursor.accept("dry run");
    cursor.expect_end()?;
    Ok(Statement::RunSync { name, dry_run })
}

/// Reads the rest of `SHOW CREATE`.
pub(crate) fn show_create(cursor: &mut Cursor<'_>) -> Result<Statement, ParseError> {
    let Some(kind) = kind::singular(cursor) else {
        return Err(cursor.expected_one_of("a kind of object", kind::singulars()));
    };
    let name = cursor.name(kind)?;
    cursor.expect_end()?;
    Ok(Statement::ShowCreate { kind, name })
}

/// Reads `SHOW kinds [LIKE 'pattern']` if that is what it is.
pub(crate) fn show_objects(cursor: &mut Cursor<'_>) -> Result<Option<Statement>, ParseError> {
    let mut attempt = cursor.clone();
    let Some(kind) = kind::plural(&mut attempt) else { return Ok(None) };
    if !(attempt.at_end() || attempt.is("like")) {
        return Ok(None);
    }
    *cursor = attempt;
    let like = match cursor.accept("like") {
        true => Some(cursor.text("a pattern in quotes")?),
        false => None,
    };
    cursor.expect_end()?;
    Ok(Some(Statement::ShowObjects { kind, like }))
}
