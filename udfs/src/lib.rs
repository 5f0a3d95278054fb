//! Pure functions over columns: normalisers, similarities, agreement of people, privacy, JSON. No I/O, no async, no state.
//!
//! Every function exists twice. The plain Rust function takes and returns values and is what the engine calls; the
//! column function of the same name wraps it for SQL, and [`all`] lists every one of them. Text columns may be `Utf8`,
//! `LargeUtf8` or `Utf8View`; text results are always `Utf8View`.
//!
//! The invariant: a value never makes an error. What cannot be read as the thing it claims to be becomes null, a null
//! stays null, and normalising a normalised value changes nothing. Only work that is interrupted ends with an error, or that
//! would find more in a batch than memory is to hold.

use datafusion_common::Result;
use datafusion_expr::ScalarUDF;

mod column;
mod distinct;
mod numbers;

/// One form for everything that means the same.
pub mod normalize {
    pub mod birth_date;
    pub mod country;
    mod country_names;
    pub mod east_asian;
    pub mod email;
    pub mod family_name;
    mod fold;
    pub mod given_name;
    mod given_names;
    mod kana;
    pub mod mojibake;
    mod more_given_names;
    pub mod name;
    pub mod phone;
    pub mod postal_code;
    mod punycode;
    mod scripts;
    pub mod street;
    pub mod surname;
    pub mod text;
    pub mod titles;
}

/// How alike two texts are.
pub mod similarity {
    pub mod jaro_winkler;
    pub mod osa;
}

/// How far what two records say of a person agrees, in the levels by which the identity graph judges.
pub mod agreement {
    pub mod birth_date;
    pub mod given_name;
    pub mod identifier;
    pub mod name;
    pub mod second_name;
    pub mod slip;
    pub mod surname;
    pub mod weight;
}

/// Less than the value, still of use.
pub mod privacy {
    pub mod mask_email;
    pub mod mask_phone;
    pub mod sha256_hex;
}

/// Reading and writing JSON that is kept as text.
pub mod json {
    pub mod get;
    mod number;
    pub mod order;
    mod scan;
    pub mod shape;
    pub mod tree;
    pub mod write;
}

pub use agreement::birth_date::{birth_date_agreement, birth_date_level};
pub use agreement::given_name::{given_name_agreement, given_name_level};
pub use agreement::identifier::{email_agreement, identifier_level, phone_agreement};
pub use agreement::name::{
    Agreement, MIDDLE_WORDS_MAX, NameAgreement, NamePart, NameParts, NameWords, compare_names,
    name_agreement, name_key,
};
pub use agreement::second_name::level_with_second_names;
pub use agreement::slip::{is_name_slip, is_one_slip, is_slip};
pub use agreement::surname::{surname_agreement, surname_level};
pub use agreement::weight::match_weight;
pub use json::get::{Key, json_get, json_get_text};
pub use json::order::number_order;
pub use json::shape::{Shape, json_as_text, json_names};
pub use json::tree::{Elements, Json, Keeping, Members, Value, View, name_order};
pub use json::write::{Spacing, TooLong, Writer, quote_json};
pub use normalize::birth_date::{birth_number, eight_digits, normalize_birth_date};
pub use normalize::country::normalize_country;
pub use normalize::east_asian::spelled_family;
pub use normalize::email::normalize_email;
pub use normalize::family_name::{called_name, is_family_name, turn_family_name};
pub use normalize::given_name::{
    GivenNames, given_name_key, is_given_name, is_slip_of_form, relate_given_names, same_given_name,
};
pub use normalize::mojibake::repair_mojibake;
pub use normalize::name::{
    SUFFIXES, normalize_family_name, normalize_name, normalize_name_part, take_suffix,
    writes_vowels,
};
pub use normalize::phone::normalize_phone;
pub use normalize::postal_code::normalize_postal_code;
pub use normalize::street::normalize_street;
pub use normalize::surname::surname_key;
pub use normalize::text::normalize_text;
pub use normalize::titles::is_title;
pub use privacy::mask_email::mask_email;
pub use privacy::mask_phone::mask_phone;
pub use privacy::sha256_hex::sha256_hex;
pub use similarity::jaro_winkler::{jaro_winkler, jaro_winkler_at_least};
pub use similarity::osa::osa_distance;

/// Returns every function, in the order of its documentation.
pub fn all() -> Vec<ScalarUDF> {
    interruptible(|| Ok(()))
}

/// Returns every function. What may take long asks `interrupt` in between, and ends with the error that it gives.
pub fn interruptible(interrupt: fn() -> Result<()>) -> Vec<ScalarUDF> {
    let function = |specification| column::function(specification, interrupt);
    specifications().into_iter().map(function).collect()
}

fn specifications() -> Vec<column::Specification> {
    vec![
        normalize::birth_date::specification(),
        normalize::country::specification(),
        normalize::email::specification(),
        normalize::name::specification(),
        normalize::phone::specification(),
        normalize::postal_code::specification(),
        normalize::street::specification(),
        normalize::text::specification(),
        normalize::mojibake::specification(),
        normalize::given_name::specification_of_key(),
        normalize::surname::specification(),
        similarity::jaro_winkler::specification(),
        similarity::osa::specification(),
        normalize::given_name::specification(),
        agreement::given_name::specification(),
        agreement::surname::specification(),
        agreement::name::specification(),
        agreement::birth_date::specification(),
        agreement::identifier::specification(),
        agreement::identifier::specification_of_phone(),
        agreement::weight::specification(),
        privacy::mask_email::specification(),
        privacy::mask_phone::specification(),
        privacy::sha256_hex::specification(),
        json::get::specification(),
        json::get::specification_of_text(),
    ]
}
