//! What a consent feed may not ask: whose a row is.
//!
//! An answer belongs to the identifier that its row carries, and who has that follows from it. Feeds run before people are made
//! anew, and not again when people change, so that a query which asks for `profile_id` would never hear what rows say that are
//! new, nor what a record refused that is gone.

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::error::{Error, Result};
use crate::query::governed::PROFILE_ID;

/// Fails if the query of a feed that is defined names the column that says whose a row is.
pub fn check_feed(name: &str, query: &str) -> Result<()> {
    // The dialect has read this text before, so that it has tokens; if it did not, there would be nothing to find.
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, query).tokenize().unwrap_or_default();
    let asks = tokens.iter().any(|token| match token {
        Token::Word(word) if word.quote_style.is_some() => word.value == PROFILE_ID,
        Token::Word(word) => word.value.eq_ignore_ascii_case(PROFILE_ID),
        _ => false,
    });
    if !asks {
        return Ok(());
    }
    Err(Error::Unsupported {
        what: format!("{PROFILE_ID} in consent feed \"{name}\""),
        hint: "Feeds run before people are made. Leave it out: an answer holds for everybody who has the identifier of its row."
            .into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feed_does_not_ask_whose_a_row_is() {
        for query in [
            "SELECT email AS identifier FROM sources.crm WHERE profile_id IS NOT NULL",
            "SELECT a.email FROM sources.crm a JOIN sources.crm b USING (PROFILE_ID)",
            "SELECT email FROM sources.crm c WHERE c.\"profile_id\" > 7",
        ] {
            let error = check_feed("f", query).unwrap_err();
            let told = "profile_id in consent feed \"f\" is not supported";
            assert_eq!((error.sqlstate(), error.to_string().as_str()), ("0A000", told), "{query}");
        }
        for query in [
            "SELECT email AS identifier FROM sources.crm",
            "SELECT email, 'profile_id' AS kind FROM sources.crm -- no profile_id",
            "SELECT \"Profile_Id\", my_profile_id FROM sources.crm",
        ] {
            assert!(check_feed("f", query).is_ok(), "{query}");
        }
    }
}
