//! The functions of sessions as `pg_proc` lists them: those of PostgreSQL under its oids, from `functions.tsv`, and those that
//! PostgreSQL does not have, in the schema `public`.

pub(super) mod routines;

use std::sync::LazyLock;

use datafusion::arrow::array::RecordBatch;
use datafusion::common::Result;
use datafusion::logical_expr::{ReturnFieldArgs, ScalarUDF};

use super::definition::Definition;
use super::rows::{Cell, Rows};
use crate::query::postgres::oids::Oids;
use crate::query::postgres::snapshot::{OWNER_OID, Snapshot};
use crate::query::postgres::types::{self, pg_type_of};

/// Where PostgreSQL's own functions are, and where others are if nobody says otherwise.
const SYSTEM: (&str, u32) = ("pg_catalog", 11);
const PUBLIC: (&str, u32) = ("public", 2200);
/// `pg_language.oid` of `internal`.
const INTERNAL: i64 = 12;
/// How many rows PostgreSQL takes a function for that gives rows.
const ROWS: i64 = 1000;

const TEXT: u32 = 25;
const TEXTS: u32 = 1009;
const TIMESTAMPTZ: u32 = 1184;
const RECORD: u32 = 2249;
const ANY: u32 = 2276;
const ANY_ELEMENT: u32 = 2283;

/// A parameter of a function.
#[derive(Debug)]
struct Parameter {
    /// `i`, `o`, `b` or `v`, as in `proargmodes`.
    mode: char,
    name: String,
    of: u32,
    default: Option<String>,
}

impl Parameter {
    fn is_given(&self) -> bool {
        self.mode != 'o'
    }
}

/// A function.
#[derive(Debug)]
pub(in crate::query::postgres) struct Procedure {
    /// Its oid.
    pub(in crate::query::postgres) oid: u32,
    /// Its name.
    pub(in crate::query::postgres) name: String,
    /// Whether PostgreSQL does not have it.
    pub(in crate::query::postgres) own: bool,
    kind: String,
    strict: bool,
    set: bool,
    volatility: String,
    variadic: u32,
    result: u32,
    parameters: Vec<Parameter>,
}

static PROCEDURES: LazyLock<Vec<Procedure>> = LazyLock::new(|| {
    let lines = include_str!("data/functions.tsv").lines();
    let mut all: Vec<Procedure> = lines.filter_map(parse).chain(own()).collect();
    all.sort_by_key(|procedure| procedure.oid);
    all
});

fn parse(line: &str) -> Option<Procedure> {
    let cells: Vec<&str> = line.split('\t').collect();
    let [oid, name, kind, strict, set, volatility, _, variadic, _, result, parameters] =
        cells.as_slice()
    else {
        return None;
    };
    let parameter = |text: &str| {
        let mut parts = text.splitn(4, ':');
        let mode = parts.next()?.chars().next()?;
        let (name, of) = (parts.next()?.to_owned(), parts.next()?.parse().ok()?);
        Some(Parameter { mode, name, of, default: parts.next().map(str::to_owned) })
    };
    Some(Procedure {
        oid: oid.parse().ok()?,
        name: (*name).to_owned(),
        own: false,
        kind: (*kind).to_owned(),
        strict: *strict == "t",
        set: *set == "t",
        volatility: (*volatility).to_owned(),
        variadic: variadic.parse().ok()?,
        result: result.parse().ok()?,
        parameters: parameters.split(';').filter_map(parameter).collect(),
    })
}

/// The functions that PostgreSQL does not have. Their oids depend on their names alone.
fn own() -> Vec<Procedure> {
    let mut oids = Oids::default();
    let mut number = |name: &str| oids.next(&["function", name]);
    let functions: Vec<ScalarUDF> = udfs::all();
    let scalar = functions.iter().map(|function| {
        let field = function
            .return_field_from_args(ReturnFieldArgs { arg_fields: &[], scalar_arguments: &[] });
        let result = field.map_or(TEXT, |field| pg_type_of(&field).0.oid);
        own_one(number(function.name()), function.name(), "f", result, written(function))
    });
    let mut all: Vec<Procedure> = scalar.collect();
    let chosen = [
        ("value", ANY_ELEMENT, None),
        ("at", TIMESTAMPTZ, None),
        ("source", TEXT, Some("NULL")),
        ("record_key", TEXT, Some("NULL")),
    ];
    for function in crate::profile::survivors() {
        let name = function.name();
        let mut given = chosen.to_vec();
        if name == "resolve_source_priority" {
            given.iter_mut().for_each(|(_, _, default)| *default = None);
            given.push(("sources", TEXTS, None));
        }
        let parameters = given.into_iter().map(|(name, of, default)| Parameter {
            mode: 'i',
            name: name.to_owned(),
            of,
            default: default.map(str::to_owned),
        });
        all.push(own_one(number(name), name, "a", RECORD, parameters.collect()));
    }
    all
}

fn own_one(oid: u32, name: &str, kind: &str, result: u32, parameters: Vec<Parameter>) -> Procedure {
    Procedure {
        oid,
        name: name.to_owned(),
        own: true,
        kind: kind.to_owned(),
        // What has no value has none in any form.
        strict: kind == "f" && parameters.iter().all(|parameter| parameter.default.is_none()),
        set: false,
        volatility: "i".to_owned(),
        variadic: 0,
        result,
        parameters,
    }
}

/// The parameters of a function as its documentation has them: those behind a bracket may be left out.
fn written(function: &ScalarUDF) -> Vec<Parameter> {
    let documentation = function.documentation();
    let names = documentation.and_then(|known| known.arguments.clone()).unwrap_or_default();
    let syntax = documentation.map_or("", |known| known.syntax_example.as_str());
    let optional = syntax.matches('[').count();
    let required = names.len().saturating_sub(optional);
    let parameter = |(at, (name, _)): (usize, (String, String))| Parameter {
        mode: 'i',
        name,
        of: TEXT,
        default: (at >= required).then(|| "NULL".to_owned()),
    };
    names.into_iter().enumerate().map(parameter).collect()
}

/// Returns the function with this oid.
pub(in crate::query::postgres) fn procedure(oid: i64) -> Option<&'static Procedure> {
    let at = PROCEDURES.binary_search_by_key(&oid, |known| i64::from(known.oid)).ok()?;
    PROCEDURES.get(at)
}

/// Returns the functions with this name, in no schema or in the one that they are in.
pub(in crate::query::postgres) fn procedures(
    schema: Option<&str>,
    name: &str,
) -> impl Iterator<Item = &'static Procedure> {
    PROCEDURES.iter().filter(move |known| {
        known.name == name && schema.is_none_or(|schema| schema == known.schema().0)
    })
}

/// Returns the volatility of each function that has this name and takes so many values: `i`, `s` or `v`.
pub(crate) fn volatilities(name: &str, count: usize) -> impl Iterator<Item = &'static str> {
    let known = procedures(None, name).filter(move |known| known.may_take(count));
    known.map(|known| known.volatility.as_str())
}

/// Returns the volatility of the function that has this name and takes these types, if there is one.
pub(crate) fn volatility_of(name: &str, types: &[u32]) -> Option<&'static str> {
    let found = procedures(None, name).find(|known| known.takes() == types);
    found.map(|known| known.volatility.as_str())
}

impl Procedure {
    /// Tells whether it may be called with so many values.
    fn may_take(&self, count: usize) -> bool {
        let given = || self.parameters.iter().filter(|parameter| parameter.is_given());
        let needed = |parameter: &&Parameter| parameter.default.is_none() && parameter.mode != 'v';
        given().filter(needed).count() <= count && (self.variadic != 0 || count <= given().count())
    }

    fn schema(&self) -> (&'static str, u32) {
        if self.own { PUBLIC } else { SYSTEM }
    }

    /// The types of what it is called with.
    pub(in crate::query::postgres) fn takes(&self) -> Vec<u32> {
        let given = self.parameters.iter().filter(|parameter| parameter.is_given());
        given.map(|parameter| parameter.of).collect()
    }

    /// Its name with the types of what it is called with, as `regprocedure` shows it.
    pub(in crate::query::postgres) fn signature(&self) -> String {
        let types: Vec<String> = self.takes().into_iter().map(shown).collect();
        format!("{}({})", self.name, types.join(","))
    }

    /// Its parameters as they would be declared.
    pub(in crate::query::postgres) fn arguments(&self, with_defaults: bool) -> String {
        let mut text = String::new();
        for (at, parameter) in self.parameters.iter().enumerate() {
            let ordered = self.kind == "a" && self.name.starts_with("percentile_") && at == 1;
            text.push_str(match at {
                0 => "",
                _ if ordered => " ORDER BY ",
                _ => ", ",
            });
            text.push_str(match parameter.mode {
                'o' => "OUT ",
                'b' => "INOUT ",
                'v' => "VARIADIC ",
                _ => "",
            });
            if !parameter.name.is_empty() {
                text.push_str(&parameter.name);
                text.push(' ');
            }
            text.push_str(&shown(parameter.of));
            if let Some(default) = parameter.default.as_ref().filter(|_| with_defaults) {
                text.push_str(" DEFAULT ");
                text.push_str(default);
            }
        }
        text
    }

    /// What it gives.
    pub(in crate::query::postgres) fn gives(&self) -> String {
        format!("{}{}", if self.set { "SETOF " } else { "" }, shown(self.result))
    }
}

fn shown(oid: u32) -> String {
    // It is a word of SQL.
    if oid == ANY { "\"any\"".to_owned() } else { types::format_type(i64::from(oid), -1) }
}

/// Builds `pg_proc`.
pub(super) fn build(definition: &'static Definition, snapshot: &Snapshot) -> Result<RecordBatch> {
    let mut rows = Rows::new(
        definition,
        &[
            "oid",
            "proname",
            "pronamespace",
            "proowner",
            "prolang",
            "procost",
            "prorows",
            "provariadic",
            "prokind",
            "proisstrict",
            "proretset",
            "provolatile",
            "proparallel",
            "pronargs",
            "pronargdefaults",
            "prorettype",
            "proargtypes",
            "prosrc",
        ],
    )?;
    for known in PROCEDURES.iter() {
        let (schema, fallback) = known.schema();
        let takes: Vec<i64> = known.takes().into_iter().map(i64::from).collect();
        let defaults = known.parameters.iter().filter(|parameter| parameter.default.is_some());
        rows.push(&[
            known.oid.into(),
            known.name.as_str().into(),
            snapshot.schema_oid(schema).unwrap_or(fallback).into(),
            OWNER_OID.into(),
            Cell::Int(INTERNAL),
            1.into(),
            Cell::Int(if known.set { ROWS } else { 0 }),
            known.variadic.into(),
            known.kind.as_str().into(),
            known.strict.into(),
            known.set.into(),
            known.volatility.as_str().into(),
            "s".into(),
            Cell::Int(takes.len() as i64),
            Cell::Int(defaults.count() as i64),
            known.result.into(),
            Cell::Ints(&takes),
            known.name.as_str().into(),
        ]);
    }
    rows.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_declared_as_in_postgres() {
        let check = |oid: i64, signature: &str, arguments: &str, gives: &str| {
            let known = procedure(oid).unwrap();
            assert_eq!(known.signature(), signature);
            assert_eq!(known.arguments(true), arguments);
            assert_eq!(known.gives(), gives, "{signature}");
        };
        check(870, "lower(text)", "text", "text");
        check(
            3305,
            "jsonb_set(jsonb,text[],jsonb,boolean)",
            "jsonb_in jsonb, path text[], replacement jsonb, create_if_missing boolean DEFAULT true",
            "jsonb",
        );
        check(
            3219,
            "jsonb_array_elements(jsonb)",
            "from_json jsonb, OUT value jsonb",
            "SETOF jsonb",
        );
        check(2147, "count(\"any\")", "\"any\"", "bigint");
        check(3539, "format(text,\"any\")", "text, VARIADIC \"any\"", "text");
        check(1299, "now()", "", "timestamp with time zone");
    }

    #[test]
    fn volatility_follows_from_the_arguments() {
        let all = |name: &str, count: usize| volatilities(name, count).collect::<Vec<_>>().concat();
        assert_eq!(all("to_timestamp", 1), "i");
        assert_eq!(all("to_timestamp", 2), "s");
        assert_eq!(all("concat_ws", 4), "s");
        assert_eq!(all("random", 0), "v");
        assert_eq!(all("random", 1), "");
        assert_eq!(all("normalize_phone", 1), "i");
        assert_eq!(volatility_of("date_trunc", &[TEXT, TIMESTAMPTZ]), Some("s"));
        assert_eq!(volatility_of("date_trunc", &[TEXT, 1114]), Some("i"));
        assert_eq!(volatility_of("date_trunc", &[TEXT]), None);
    }

    #[test]
    fn own_functions_are_listed_once_with_what_may_be_left_out() {
        let phone: Vec<_> = procedures(Some("public"), "normalize_phone").collect();
        let [phone] = phone.as_slice() else { panic!("{phone:?}") };
        assert_eq!(phone.signature(), "normalize_phone(text,text)");
        assert!(phone.arguments(true).ends_with(" DEFAULT NULL") && phone.own);
        assert!(procedures(Some("pg_catalog"), "normalize_phone").next().is_none());
        assert!(PROCEDURES.windows(2).all(|pair| pair[0].oid < pair[1].oid));
    }
}
