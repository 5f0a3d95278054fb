//! The options of a sequence, and which numbers it gives by them: what PostgreSQL takes and refuses.

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, SequenceOptions, SqlOption, UnaryOperator, Value,
};

use super::statement::{normal, unsupported};
use crate::catalog::{SequenceRange, WholeNumber};
use crate::error::{Error, Result};

/// What the names of options begin with that stand for clauses of `ALTER SEQUENCE`, which sqlparser does not read.
const PREFIX: &str = "sequence_";

/// What is said of a sequence; nothing of what stays as it is.
#[derive(Debug, Clone, Default)]
pub(crate) struct SequenceChanges {
    /// `AS type`.
    pub(super) data_type: Option<WholeNumber>,
    increment: Option<i64>,
    /// `MINVALUE n` or `NO MINVALUE`.
    minimum: Option<Option<i64>>,
    /// `MAXVALUE n` or `NO MAXVALUE`.
    maximum: Option<Option<i64>>,
    start: Option<i64>,
    /// `RESTART [WITH n]`.
    pub(super) restart: Option<Option<i64>>,
    cache: Option<i64>,
    cycle: Option<bool>,
    /// `OWNED BY relation.column` or `NONE`, as names.
    pub(super) owned_by: Option<Vec<Ident>>,
}

impl SequenceChanges {
    /// Reads the options of `CREATE SEQUENCE` and of identity columns.
    pub(super) fn read(options: &[SequenceOptions]) -> Result<Self> {
        let mut read = Self::default();
        for option in options {
            match option {
                SequenceOptions::IncrementBy(by, _) => read.increment = Some(number(by)?),
                SequenceOptions::MinValue(least) => {
                    read.minimum = Some(least.as_ref().map(number).transpose()?);
                }
                SequenceOptions::MaxValue(greatest) => {
                    read.maximum = Some(greatest.as_ref().map(number).transpose()?);
                }
                SequenceOptions::StartWith(start, _) => read.start = Some(number(start)?),
                SequenceOptions::Cache(cache) => read.cache = Some(number(cache)?),
                // That is how sqlparser reads it: true stands for NO CYCLE.
                SequenceOptions::Cycle(not) => read.cycle = Some(!not),
            }
        }
        Ok(read)
    }

    /// Reads the clauses of `ALTER SEQUENCE`, of which each is an option; `None` if these are the options of a table.
    pub(super) fn altered(options: &[SqlOption]) -> Result<Option<Self>> {
        let mut read = Self::default();
        for option in options {
            let SqlOption::KeyValue { key, value } = option else { return Ok(None) };
            let key = normal(key);
            let Some(clause) = key.strip_prefix(PREFIX) else { return Ok(None) };
            let or_none = || if is_none(value) { Ok(None) } else { number(value).map(Some) };
            match clause {
                "type" => read.data_type = Some(of_type(&value.to_string())?),
                "increment" => read.increment = Some(number(value)?),
                "minimum" => read.minimum = Some(or_none()?),
                "maximum" => read.maximum = Some(or_none()?),
                "start" => read.start = Some(number(value)?),
                "restart" => read.restart = Some(or_none()?),
                "cache" => read.cache = Some(number(value)?),
                "cycle" => read.cycle = Some(!is_none(value)),
                "owner" => {
                    read.owned_by = Some(match value {
                        Expr::CompoundIdentifier(names) => names.clone(),
                        Expr::Identifier(name) => vec![name.clone()],
                        _ => return Ok(None),
                    });
                }
                _ => return Ok(None),
            }
        }
        Ok(Some(read))
    }

    /// Returns the numbers that a sequence gives with these changes; without `before` it is a new one, of the type
    /// `default` unless another one is said.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there would be none, or if one said is not among them.
    pub(super) fn range(
        &self,
        default: WholeNumber,
        before: Option<&SequenceRange>,
    ) -> Result<SequenceRange> {
        let known = before.map_or(default, |before| before.data_type);
        let data_type = self.data_type.unwrap_or(known);
        let (least, greatest) = data_type.range();
        let increment = self.increment.or(before.map(|before| before.increment)).unwrap_or(1);
        if increment == 0 {
            return Err(refused("INCREMENT must not be zero".into()));
        }
        // A bound that was that of the type goes with the type.
        let kept = |bound: fn(&SequenceRange) -> i64, of_type: fn((i64, i64)) -> i64| {
            let before = before?;
            let moves =
                data_type != before.data_type && bound(before) == of_type(before.data_type.range());
            (!moves).then(|| bound(before))
        };
        let (top, bottom) = if increment > 0 { (greatest, 1) } else { (-1, least) };
        let maximum = match self.maximum {
            Some(given) => given.unwrap_or(top),
            None => kept(|before| before.maximum, |(_, greatest)| greatest).unwrap_or(top),
        };
        let minimum = match self.minimum {
            Some(given) => given.unwrap_or(bottom),
            None => kept(|before| before.minimum, |(least, _)| least).unwrap_or(bottom),
        };
        for (name, bound) in [("MAXVALUE", maximum), ("MINVALUE", minimum)] {
            if !(least..=greatest).contains(&bound) {
                let of = data_type.name();
                return Err(refused(format!(
                    "{name} ({bound}) is out of range for sequence data type {of}"
                )));
            }
        }
        if minimum >= maximum {
            return Err(refused(format!(
                "MINVALUE ({minimum}) must be less than MAXVALUE ({maximum})"
            )));
        }
        let first = if increment > 0 { minimum } else { maximum };
        let start = self.start.or(before.map(|before| before.start)).unwrap_or(first);
        let cache = self.cache.or(before.map(|before| before.cache)).unwrap_or(1);
        if cache < 1 {
            return Err(refused(format!("CACHE ({cache}) must be greater than zero")));
        }
        let cycle = self.cycle.or(before.map(|before| before.cycle)).unwrap_or(false);
        let range = SequenceRange { data_type, start, increment, minimum, maximum, cache, cycle };
        check_within(&range, "START", start)?;
        Ok(range)
    }
}

/// Fails unless a sequence gives a number that is said of it.
pub(super) fn check_within(range: &SequenceRange, what: &str, number: i64) -> Result<()> {
    let SequenceRange { minimum, maximum, .. } = range;
    if number < *minimum {
        return Err(refused(format!(
            "{what} value ({number}) cannot be less than MINVALUE ({minimum})"
        )));
    }
    if number > *maximum {
        return Err(refused(format!(
            "{what} value ({number}) cannot be greater than MAXVALUE ({maximum})"
        )));
    }
    Ok(())
}

/// Returns the type of a sequence.
pub(super) fn of_type(name: &str) -> Result<WholeNumber> {
    WholeNumber::named(name.trim_matches('\''))
        .ok_or_else(|| refused("sequence type must be smallint, integer, or bigint".into()))
}

fn refused(message: String) -> Error {
    Error::Invalid { message, hint: "Change the options of the sequence.".into() }
}

fn is_none(value: &Expr) -> bool {
    matches!(value, Expr::Identifier(name) if name.quote_style.is_none() && normal(name) == "none")
}

/// Reads a number with its sign.
fn number(value: &Expr) -> Result<i64> {
    let (sign, digits) = match value {
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => ("-", expr.as_ref()),
        Expr::UnaryOp { op: UnaryOperator::Plus, expr } => ("", expr.as_ref()),
        other => ("", other),
    };
    let digits = match digits {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => Some(digits),
            _ => None,
        },
        _ => None,
    };
    let number = digits.and_then(|digits| format!("{sign}{digits}").parse().ok());
    number.ok_or_else(|| {
        let hint = "Write a whole number of 64 bits.";
        unsupported(format!("\"{value}\" in the options of a sequence"), hint)
    })
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::ast::Statement;

    use super::*;
    use crate::query::planner::parse_one;

    /// The numbers of a new sequence, or why there are none.
    fn made(options: &str) -> std::result::Result<SequenceRange, String> {
        let parsed = parse_one(&format!("CREATE SEQUENCE s {options}")).unwrap();
        let Statement::CreateSequence { sequence_options, data_type, .. } = parsed else {
            panic!("no sequence is made")
        };
        let mut changes = SequenceChanges::read(&sequence_options).unwrap();
        let of = data_type.map(|data_type| of_type(&data_type.to_string()));
        changes.data_type = of.transpose().map_err(|error| error.to_string())?;
        changes.range(WholeNumber::Bigint, None).map_err(|error| error.to_string())
    }

    #[test]
    fn options_are_those_of_postgres() {
        let plain = SequenceRange::ascending(WholeNumber::Bigint);
        assert_eq!(made(""), Ok(plain.clone()));
        let down = SequenceRange {
            start: -1,
            increment: -1,
            minimum: i16::MIN.into(),
            maximum: -1,
            ..SequenceRange::ascending(WholeNumber::Smallint)
        };
        assert_eq!(made("AS smallint INCREMENT BY -1"), Ok(down));
        let few = SequenceRange { minimum: -3, maximum: 3, start: -3, cache: 5, ..plain.clone() };
        assert_eq!(made("MINVALUE -3 MAXVALUE 3 CACHE 5"), Ok(few));
        assert_eq!(made("NO MINVALUE NO MAXVALUE START 1 NO CYCLE"), Ok(plain.clone()));
        assert!(made("CYCLE").unwrap().cycle);
        for (options, message) in [
            ("INCREMENT 0", "INCREMENT must not be zero"),
            ("MINVALUE 5 MAXVALUE 5", "MINVALUE (5) must be less than MAXVALUE (5)"),
            ("START 0", "START value (0) cannot be less than MINVALUE (1)"),
            ("MAXVALUE 9 START WITH 10", "START value (10) cannot be greater than MAXVALUE (9)"),
            ("CACHE 0", "CACHE (0) must be greater than zero"),
            ("AS text", "sequence type must be smallint, integer, or bigint"),
            (
                "AS integer MAXVALUE 3000000000",
                "MAXVALUE (3000000000) is out of range for sequence data type integer",
            ),
        ] {
            assert_eq!(made(options), Err(message.to_owned()), "{options}");
        }
    }

    #[test]
    fn changes_leave_the_rest_and_bounds_of_a_type_go_with_it() {
        let before = SequenceRange { start: 5, ..SequenceRange::ascending(WholeNumber::Integer) };
        let wider = SequenceChanges { data_type: Some(WholeNumber::Bigint), ..Default::default() };
        let after = wider.range(WholeNumber::Bigint, Some(&before)).unwrap();
        assert_eq!((after.maximum, after.minimum, after.start), (i64::MAX, 1, 5));
        let bounded = SequenceRange { maximum: 100, ..before.clone() };
        let after = wider.range(WholeNumber::Bigint, Some(&bounded)).unwrap();
        assert_eq!(after.maximum, 100);
        let none = SequenceChanges { maximum: Some(None), cycle: Some(true), ..Default::default() };
        let after = none.range(WholeNumber::Bigint, Some(&bounded)).unwrap();
        assert_eq!((after.maximum, after.cycle), (i32::MAX.into(), true));
    }
}
