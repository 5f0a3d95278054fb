//! `CREATE SECRET` and `CREATE PURPOSE`.

use engine::catalog::{Kind, LegalBasis, Purpose, Secret};

use super::super::cursor::Cursor;
use super::super::error::{FEATURE_NOT_SUPPORTED, ParseError};
use super::clauses::missing;

/// What allows a use, in SQL.
const BASES: [(&str, LegalBasis); 6] = [
    ("consent", LegalBasis::Consent),
    ("contract", LegalBasis::Contract),
    ("legal_obligation", LegalBasis::LegalObligation),
    ("legal obligation", LegalBasis::LegalObligation),
    ("legitimate_interest", LegalBasis::LegitimateInterest),
    ("legitimate interest", LegalBasis::LegitimateInterest),
];

/// Reads `FROM ENV 'VAR' | FROM FILE 'path'`. A literal is refused: it would be stored, shown and logged.
pub(crate) fn secret(cursor: &mut Cursor<'_>) -> Result<Secret, ParseError> {
    if cursor.is("as") {
        return Err(cursor
            .error("a secret cannot be given as text")
            .sqlstate(FEATURE_NOT_SUPPORTED)
            .hint("Use FROM ENV 'VARIABLE' or FROM FILE 'path'."));
    }
    cursor.expect("from")?;
    if cursor.accept("env") {
        let byte = cursor.start();
        let variable = cursor.text("the name of a variable in quotes")?;
        let fits =
            !variable.is_empty() && variable.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        return match fits {
            true => Ok(Secret::Env(variable)),
            false => Err(cursor
                .error_at(byte, "the name of a variable has letters, digits and underscores only")),
        };
    }
    if cursor.accept("file") {
        return Ok(Secret::File(cursor.text("a path in quotes")?));
    }
    Err(cursor.expected_one_of("", ["env", "file"].into_iter()))
}

/// Reads `LEGAL BASIS consent | contract | legal_obligation | legitimate_interest`.
pub(crate) fn purpose(cursor: &mut Cursor<'_>) -> Result<Purpose, ParseError> {
    if cursor.at_end() {
        return Err(missing(cursor, Kind::Purpose, "LEGAL BASIS", "LEGAL BASIS consent"));
    }
    cursor.expect("legal basis")?;
    let names = ["consent", "contract", "legal_obligation", "legitimate_interest"];
    for (words, basis) in BASES {
        if cursor.accept(words) {
            return Ok(Purpose { basis });
        }
    }
    Err(cursor.expected_one_of("a legal basis", names.into_iter()))
}
