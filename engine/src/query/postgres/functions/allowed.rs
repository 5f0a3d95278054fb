//! The functions of DataFusion that sessions get, by name.
//!
//! A list of what is allowed, so that a function which DataFusion adds later is not reachable before somebody read it.
//! Left out are functions that tell about files, positions, Arrow types or DataFusion itself, that read text by other
//! patterns than PostgreSQL's, and those that this module replaces.

use std::sync::{Arc, LazyLock};

use datafusion::catalog::TableFunction;
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::{AggregateUDF, HigherOrderUDF, ScalarUDF, WindowUDF};

const SCALAR: &[&str] = &[
    // Conditions.
    "coalesce",
    "greatest",
    "least",
    "nullif",
    "nvl",
    "nvl2",
    // Text.
    "ascii",
    "bit_length",
    "btrim",
    "character_length",
    "chr",
    "contains",
    "ends_with",
    "initcap",
    "left",
    "levenshtein",
    "lower",
    "ltrim",
    "octet_length",
    "overlay",
    "reverse",
    "right",
    "rtrim",
    "split_part",
    "starts_with",
    "strpos",
    "substr",
    "substr_index",
    "to_hex",
    "translate",
    "upper",
    "uuid",
    "find_in_set",
    // Patterns.
    "regexp_count",
    "regexp_instr",
    "regexp_like",
    "regexp_match",
    "regexp_replace",
    // Digests and encodings.
    "digest",
    "md5",
    "sha224",
    "sha256",
    "sha384",
    "sha512",
    "encode",
    "decode",
    // Numbers.
    "abs",
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cbrt",
    "ceil",
    "cos",
    "cosh",
    "cot",
    "degrees",
    "exp",
    "factorial",
    "floor",
    "gcd",
    "isnan",
    "iszero",
    "lcm",
    "ln",
    "log",
    "log10",
    "log2",
    "nanvl",
    "pi",
    "power",
    "radians",
    "random",
    "round",
    "signum",
    "sin",
    "sinh",
    "sqrt",
    "tan",
    "tanh",
    "trunc",
    // Times.
    "current_date",
    "current_time",
    "date_bin",
    "make_date",
    // Arrays, structs and maps.
    "array_any_value",
    "array_append",
    "array_avg",
    "array_compact",
    "array_concat",
    "array_dims",
    "array_distinct",
    "array_element",
    "array_except",
    "array_has",
    "array_has_all",
    "array_has_any",
    "array_intersect",
    "array_length",
    "array_max",
    "array_min",
    "array_ndims",
    "array_pop_back",
    "array_pop_front",
    "array_position",
    "array_positions",
    "array_prepend",
    "array_product",
    "array_remove",
    "array_remove_all",
    "array_remove_n",
    "array_replace",
    "array_replace_all",
    "array_replace_n",
    "array_reverse",
    "array_slice",
    "array_sort",
    "array_sum",
    "array_union",
    "arrays_zip",
    "cardinality",
    "empty",
    "flatten",
    "get_field",
    "make_array",
    "map",
    "map_entries",
    "map_extract",
    "map_keys",
    "map_values",
    "named_struct",
    "string_to_array",
    "struct",
];

const HIGHER_ORDER: &[&str] =
    &["array_transform", "array_filter", "array_first", "array_any_match"];

const AGGREGATE: &[&str] = &[
    "any_value",
    "approx_distinct",
    "approx_median",
    "approx_percentile_cont",
    "approx_percentile_cont_with_weight",
    "array_agg",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "covar_pop",
    "covar_samp",
    "first_value",
    "grouping",
    "last_value",
    "max",
    "median",
    "min",
    "nth_value",
    "percentile_cont",
    "regr_avgx",
    "regr_avgy",
    "regr_count",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
    "stddev",
    "stddev_pop",
    "string_agg",
    "sum",
    "var",
    "var_pop",
];

const WINDOW: &[&str] = &[
    "cume_dist",
    "dense_rank",
    "first_value",
    "lag",
    "last_value",
    "lead",
    "nth_value",
    "ntile",
    "percent_rank",
    "rank",
    "row_number",
];

/// Streams of numbers and times, bounded.
const TABLE: &[&str] = &["generate_series", "range"];

/// The functions of DataFusion that sessions get.
#[derive(Debug)]
pub struct AllowedFunctions {
    /// Functions of a row.
    pub scalar: Vec<Arc<ScalarUDF>>,
    /// Functions that take a lambda.
    pub higher_order: Vec<Arc<HigherOrderUDF>>,
    /// Functions of a group.
    pub aggregate: Vec<Arc<AggregateUDF>>,
    /// Functions of a window.
    pub window: Vec<Arc<WindowUDF>>,
    /// Functions that are relations.
    pub table: Vec<Arc<TableFunction>>,
}

/// Chosen once: every statement's session holds the same functions.
static ALLOWED: LazyLock<AllowedFunctions> = LazyLock::new(|| {
    type Defaults = SessionStateDefaults;
    let keep = |list: &[&str], name: &str| list.contains(&name);
    AllowedFunctions {
        scalar: Defaults::default_scalar_functions()
            .into_iter()
            .filter(|f| keep(SCALAR, f.name()))
            .collect(),
        higher_order: Defaults::default_higher_order_functions()
            .into_iter()
            .filter(|f| keep(HIGHER_ORDER, f.name()))
            .collect(),
        aggregate: Defaults::default_aggregate_functions()
            .into_iter()
            .filter(|f| keep(AGGREGATE, f.name()))
            .collect(),
        window: Defaults::default_window_functions()
            .into_iter()
            .filter(|f| keep(WINDOW, f.name()))
            .collect(),
        table: Defaults::default_table_functions()
            .into_iter()
            .filter(|f| keep(TABLE, f.name()))
            .map(|function| super::series::bounded(&function))
            .chain([super::keywords::keywords()])
            .collect(),
    }
});

/// Returns the functions of DataFusion that sessions get; [`super::functions`] come after them and replace some.
pub fn allowed_functions() -> &'static AllowedFunctions {
    &ALLOWED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_function() {
        let allowed = allowed_functions();
        let found = [
            (SCALAR.len(), allowed.scalar.len()),
            (HIGHER_ORDER.len(), allowed.higher_order.len()),
            (AGGREGATE.len(), allowed.aggregate.len()),
            (WINDOW.len(), allowed.window.len()),
            (TABLE.len() + 1, allowed.table.len()),
        ];
        let missing: Vec<_> =
            SCALAR.iter().filter(|n| !allowed.scalar.iter().any(|f| f.name() == **n)).collect();
        let no_aggregate: Vec<_> = AGGREGATE
            .iter()
            .filter(|n| !allowed.aggregate.iter().any(|f| f.name() == **n))
            .collect();
        assert!(
            found.iter().all(|(listed, found)| listed == found),
            "{found:?} {missing:?} {no_aggregate:?}"
        );
    }
}
