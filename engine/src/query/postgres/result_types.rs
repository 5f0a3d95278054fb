//! The types of a statement's columns, as PostgreSQL gives them.
//!
//! The logical type of a column stands in its metadata, and DataFusion loses it wherever an expression makes a value of
//! another: `nullif(attidentity, '')` is text to it, and `"char"` to PostgreSQL. [`of`] works the types out from the plan
//! instead: what a function or a `CASE` does to the types of its arguments is known here. A type that it does not know is
//! that of the column's values.

mod scales;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{DFSchemaRef, JoinType, ScalarValue};
use datafusion::logical_expr::expr::{Cast, TryCast};
use datafusion::logical_expr::utils::grouping_set_to_exprlist;
use datafusion::logical_expr::{
    BinaryExpr, Distinct, Expr, ExprSchemable, LogicalPlan, Operator, Unnest,
    WindowFunctionDefinition,
};

use super::functions::{ARRAY_ELEMENT, ARRAY_PART, FLAT_ARRAY, REG_TYPES, plain_numeric};
use super::types::{PLAIN, QUOTIENT, TYPE_KEY, arrow_type, by_name};
use scales::Written;

/// A number with as many digits as it needs, where the values have so many behind the point.
const NUMERIC: &str = "numeric";

/// The same, of an expression: no number of digits is declared for it, and it is not the sum of whole numbers.
const OPEN_NUMERIC: &str = "decimal";

/// The logical type of each column; `None` where the values say it.
pub(super) type Types = Vec<Option<String>>;

/// Returns the types of a plan's columns.
pub(super) fn of(plan: &LogicalPlan) -> Types {
    let types = match plan {
        LogicalPlan::Projection(projection) => Input::of(&projection.input).all(&projection.expr),
        LogicalPlan::SubqueryAlias(alias) => of(&alias.input),
        LogicalPlan::Filter(filter) => of(&filter.input),
        LogicalPlan::Sort(sort) => of(&sort.input),
        LogicalPlan::Limit(limit) => of(&limit.input),
        LogicalPlan::Repartition(repartition) => of(&repartition.input),
        LogicalPlan::Subquery(subquery) => of(&subquery.subquery),
        LogicalPlan::Distinct(Distinct::All(input)) => of(input),
        LogicalPlan::Distinct(Distinct::On(on)) => Input::of(&on.input).all(&on.select_expr),
        LogicalPlan::Aggregate(aggregate) => {
            let input = Input::of(&aggregate.input);
            let groups = grouping_set_to_exprlist(&aggregate.group_expr).unwrap_or_default();
            let mut types: Types =
                groups.into_iter().map(|group| input.one(group).logical()).collect();
            // Behind the groups of sets stands the number of the set.
            let is_set = matches!(aggregate.group_expr.as_slice(), [Expr::GroupingSet(_)]);
            types.extend(is_set.then_some(None::<String>));
            types.extend(input.all(&aggregate.aggr_expr));
            types
        }
        LogicalPlan::Window(window) => {
            let input = Input::of(&window.input);
            let mut types = input.all(&window.window_expr);
            types.splice(0..0, input.types);
            types
        }
        LogicalPlan::Join(join) => match join.join_type {
            JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => of(&join.left),
            JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => of(&join.right),
            _ => [of(&join.left), of(&join.right)].concat(),
        },
        LogicalPlan::Union(union) => {
            let inputs: Vec<Vec<Found>> =
                union.inputs.iter().map(|input| found_in(input)).collect();
            let width = inputs.iter().map(Vec::len).min().unwrap_or(0);
            let column = |at: usize| {
                let all: Vec<Found> = inputs.iter().map(|row| row[at].clone()).collect();
                let known = |found: Found| Found::Known(found.logical());
                scales::shown(&all).or_else(|| common(all.into_iter().map(known)))
            };
            (0..width).map(column).collect()
        }
        LogicalPlan::Values(values) => {
            let rows: Vec<Vec<Found>> = {
                let none = Input { schema: &values.schema, types: stated(&values.schema) };
                let row = |row: &Vec<Expr>| row.iter().map(|expr| none.one(expr)).collect();
                values.values.iter().map(row).collect()
            };
            by_column(&rows, Found::clone)
        }
        LogicalPlan::Unnest(unnest) => of_unnest(unnest),
        LogicalPlan::RecursiveQuery(query) => of(&query.static_term),
        _ => stated(plan.schema()),
    };
    // Plans of kinds that have more columns than is said above.
    if types.len() == plan.schema().fields().len() { types } else { stated(plan.schema()) }
}

/// What is known of the columns of one part of a `UNION`.
fn found_in(plan: &LogicalPlan) -> Vec<Found> {
    match plan {
        LogicalPlan::Projection(projection) => {
            let input = Input::of(&projection.input);
            projection.expr.iter().map(|expr| input.one(expr)).collect()
        }
        other => of(other).into_iter().map(Found::Known).collect(),
    }
}

fn stated(schema: &DFSchemaRef) -> Types {
    schema.fields().iter().map(|field| of_field(field)).collect()
}

fn of_field(field: &Field) -> Option<String> {
    field.metadata().get(TYPE_KEY).cloned()
}

fn by_column<T>(rows: &[Vec<T>], found: impl Fn(&T) -> Found) -> Types {
    let width = rows.iter().map(Vec::len).min().unwrap_or(0);
    (0..width).map(|at| common(rows.iter().map(|row| found(&row[at])))).collect()
}

fn of_unnest(unnest: &Unnest) -> Types {
    let input = Input::of(&unnest.input);
    let of_column = |from: &usize| {
        let logical = input.types.get(*from).cloned().flatten();
        let field = input.schema.field(*from);
        if unnest.list_type_columns.iter().any(|(list, _)| list == from) {
            element(logical.as_deref(), field.data_type())
        } else {
            logical
        }
    };
    unnest.dependency_indices.iter().map(of_column).collect()
}

/// What is known of the type of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    /// It has this type.
    Known(Option<String>),
    /// It is a text in quotes or null, and takes the type of what stands beside it.
    Open,
    /// It is a whole number, and becomes the number of an object beside one, or a numeric.
    Number,
    /// It is a numeric that is written out.
    Written(Written),
}

impl Found {
    fn logical(self) -> Option<String> {
        match self {
            Found::Known(logical) => logical,
            Found::Written(written) => written.otherwise,
            Found::Open | Found::Number => None,
        }
    }

    /// Its type, if that says that each number is shown with its own digits behind the point.
    fn scaled(&self) -> Option<String> {
        match self {
            Found::Known(Some(logical)) if scales::least_of(logical).is_some() => {
                Some(logical.clone())
            }
            _ => None,
        }
    }
}

/// The one type of several expressions, such as the branches of a `CASE`. Of kinds of text the first counts most.
fn common(all: impl Iterator<Item = Found>) -> Option<String> {
    let all: Vec<Found> = all.collect();
    if let Some(shown) = scales::shown(&all) {
        return Some(shown);
    }
    let (mut first, mut numbers) = (None, false);
    for found in all {
        let found = match found {
            // What some numbers are shown with says nothing of others.
            found if found.scaled().is_some() => Found::Known(Some(OPEN_NUMERIC.to_owned())),
            Found::Written(written) => Found::Known(written.otherwise),
            found => found,
        };
        match found {
            Found::Open | Found::Written(_) => {}
            Found::Number => numbers = true,
            Found::Known(logical) => match &first {
                None => first = Some(logical),
                Some(first) if *first == logical => {}
                // Of kinds other than text it is what the values say.
                Some(known) => {
                    let both = of_texts(known.as_deref()?, logical.as_deref())?;
                    first = Some(Some(both));
                }
            },
        }
    }
    let logical = first.flatten()?;
    let takes_numbers = ["oid", NUMERIC, OPEN_NUMERIC, QUOTIENT, PLAIN].contains(&logical.as_str());
    (!numbers || takes_numbers || REG_TYPES.contains(&logical.as_str())).then_some(logical)
}

/// The type of two kinds of text, the first of which is no plain one; `None` is text. One gives way to the other if only
/// that can stand for both without a cast.
fn of_texts(first: &str, second: Option<&str>) -> Option<String> {
    let (first, second) = (base(first), second.map(base));
    let is_text = |name: &str| ["varchar", "bpchar", "name"].contains(&name);
    match (first, second) {
        ("varchar" | "bpchar", Some("name")) => Some("name".to_owned()),
        (known, second) if is_text(known) && second.is_none_or(is_text) => Some(known.to_owned()),
        _ => None,
    }
}

/// The name of a type without the numbers behind it.
fn base(logical: &str) -> &str {
    logical.split('(').next().unwrap_or(logical)
}

/// The array type over a type, which for arrays is their own.
fn array(element: Option<&str>) -> Option<String> {
    let known = by_name(base(element?))?;
    match (known.array, known.element) {
        (0, 0) => None,
        (0, _) if known.len == -1 => Some(known.name.clone()),
        (0, _) => None,
        _ => Some(format!("_{}", known.name)),
    }
}

/// The type of a numeric that is read of texts or floats.
fn read_numeric(own: &DataType) -> Option<String> {
    (plain_numeric(&DataType::Utf8).as_ref() == Some(own)).then(|| PLAIN.to_string())
}

/// The type of the elements of an array.
fn element(logical: Option<&str>, data_type: &DataType) -> Option<String> {
    let named = logical.and_then(by_name).filter(|array| array.element != 0);
    if let Some(element) = named.and_then(|array| super::types::by_oid(array.element)) {
        return Some(element.name.clone());
    }
    match data_type {
        DataType::List(item) | DataType::LargeList(item) => of_field(item),
        _ => None,
    }
}

/// Tells whether a literal is an array of values that are held as texts.
fn is_list_of_texts(value: &ScalarValue) -> bool {
    matches!(value.data_type(), DataType::List(item) if item.data_type().is_string())
}

/// What expressions are over.
struct Input<'a> {
    schema: &'a DFSchemaRef,
    types: Types,
}

impl<'a> Input<'a> {
    fn of(plan: &'a LogicalPlan) -> Input<'a> {
        Input { schema: plan.schema(), types: of(plan) }
    }

    fn all(&self, exprs: &[Expr]) -> Types {
        exprs.iter().map(|expr| self.one(expr).logical()).collect()
    }

    fn common<'e>(&self, exprs: impl IntoIterator<Item = &'e Expr>) -> Found {
        Found::Known(common(exprs.into_iter().map(|expr| self.one(expr))))
    }

    fn first(&self, args: &[Expr]) -> Option<String> {
        args.first().and_then(|expr| self.one(expr).logical())
    }

    fn element(&self, array: &Expr) -> Option<String> {
        let data_type = array.get_type(self.schema.as_ref()).ok()?;
        element(self.one(array).logical().as_deref(), &data_type)
    }

    fn one(&self, expr: &Expr) -> Found {
        let found = match self.known(expr) {
            Found::Known(None) if self.is_open_numeric(expr) => {
                Found::Known(Some(OPEN_NUMERIC.to_string()))
            }
            found => found,
        };
        match found {
            Found::Known(logical) => match Written::of(expr) {
                Some(mut written) => {
                    written.otherwise = logical;
                    Found::Written(written)
                }
                None => Found::Known(logical),
            },
            found => found,
        }
    }

    /// Tells whether an expression is a numeric for which no number of digits is declared.
    fn is_open_numeric(&self, expr: &Expr) -> bool {
        if matches!(
            expr,
            Expr::Alias(_)
                | Expr::Column(_)
                | Expr::OuterReferenceColumn(..)
                | Expr::ScalarSubquery(_)
                | Expr::Unnest(_)
                | Expr::Placeholder(_)
        ) {
            return false;
        }
        let Ok(own) = expr.get_type(self.schema.as_ref()) else { return false };
        // A branch of branches is taken for open, rather than looked through at every level.
        let is_declared = |branch: &Expr| match branch {
            Expr::Literal(value, _) => value.is_null(),
            Expr::Column(_) | Expr::OuterReferenceColumn(..) | Expr::Cast(_) => {
                own != arrow_type(NUMERIC)
                    && branch.get_type(self.schema.as_ref()).is_ok_and(|found| found == own)
            }
            _ => false,
        };
        own.is_decimal()
            && match expr {
                Expr::Cast(Cast { expr, .. }) | Expr::TryCast(TryCast { expr, .. }) => {
                    own == arrow_type(NUMERIC) || self.is_plain_of(expr, &own)
                }
                Expr::Case(case) => {
                    let branches = case.when_then_expr.iter().map(|(_, then)| then.as_ref());
                    !branches.chain(case.else_expr.as_deref()).all(is_declared)
                }
                // A cast, which says how many digits there are.
                Expr::ScalarFunction(function) if function.name() == "numeric_of" => {
                    own == arrow_type(NUMERIC)
                }
                Expr::ScalarFunction(function)
                    if matches!(function.name(), "coalesce" | "greatest" | "least" | "nvl") =>
                {
                    !function.args.iter().all(is_declared)
                }
                _ => true,
            }
    }

    /// Tells whether a type is that of a plain numeric which is made of an expression.
    fn is_plain_of(&self, expr: &Expr, own: &DataType) -> bool {
        let found = expr.get_type(self.schema.as_ref()).ok();
        found.as_ref().and_then(plain_numeric).is_some_and(|plain| plain == *own)
    }

    /// The type of a number that is worked out of others: a plain one if one of them is.
    fn made_of(&self, expr: &Expr, mut sides: impl Iterator<Item = Found>) -> Option<String> {
        let plain = Found::Known(Some(PLAIN.to_string()));
        let has_plain = sides.any(|side| side == plain);
        let is_numeric =
            || expr.get_type(self.schema.as_ref()).is_ok_and(|found| found.is_decimal());
        (has_plain && is_numeric()).then(|| PLAIN.to_string())
    }

    /// The type of a number with another sign: one that is shown with its own digits is so still.
    fn signed(&self, expr: &Expr, number: &Expr) -> Option<String> {
        let found = self.known(number);
        found.scaled().or_else(|| self.made_of(expr, std::iter::once(found)))
    }

    /// The type of what an operator makes of two numbers.
    fn operated(&self, expr: &Expr, op: Operator, left: &Expr, right: &Expr) -> Option<String> {
        let found = self.known(left);
        if op != Operator::Multiply
            && let Some(logical) = found.scaled()
            && let Ok(of) = right.get_type(self.schema.as_ref())
            && scales::keeps(&logical, right, &of)
        {
            return Some(logical);
        }
        if op == Operator::Modulo {
            return None;
        }
        let sides = std::iter::once(found).chain(std::iter::once_with(|| self.known(right)));
        self.made_of(expr, sides)
    }

    fn known(&self, expr: &Expr) -> Found {
        Found::Known(match expr {
            Expr::Alias(alias) => {
                let named = alias.metadata.as_ref().and_then(|m| m.inner().get(TYPE_KEY).cloned());
                return named
                    .map_or_else(|| self.one(&alias.expr), |name| Found::Known(Some(name)));
            }
            Expr::Column(column) => {
                let at = self.schema.maybe_index_of_column(column);
                at.and_then(|at| self.types.get(at).cloned().flatten())
            }
            Expr::OuterReferenceColumn(field, _) => of_field(field),
            Expr::Literal(value, metadata) => {
                match metadata.as_ref().and_then(|metadata| metadata.inner().get(TYPE_KEY)) {
                    Some(logical) => Some(logical.clone()),
                    None if value.is_null() || matches!(value, ScalarValue::Utf8(_)) => {
                        return Found::Open;
                    }
                    None if value.data_type().is_integer() => return Found::Number,
                    // An array that was read beside another, whose type may stand for texts.
                    None if is_list_of_texts(value) => return Found::Open,
                    None => None,
                }
            }
            Expr::Cast(cast) => {
                of_field(&cast.field).or_else(|| read_numeric(cast.field.data_type()))
            }
            Expr::Negative(inner) => self.signed(expr, inner),
            Expr::BinaryExpr(BinaryExpr {
                left,
                op: op @ (Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Modulo),
                right,
            }) => self.operated(expr, *op, left, right),
            Expr::TryCast(cast) => of_field(&cast.field),
            Expr::Case(case) => {
                let branches = case.when_then_expr.iter().map(|(_, then)| then.as_ref());
                // What stands behind ELSE counts most.
                return self.common(case.else_expr.as_deref().into_iter().chain(branches));
            }
            Expr::ScalarFunction(function) => match function.func.name() {
                "nullif" | "array_or_empty" | "array_whole" | ARRAY_PART | FLAT_ARRAY => {
                    self.first(&function.args)
                }
                "numeric_divide" => Some(QUOTIENT.to_string()),
                "abs" if function.args.len() == 1 => {
                    self.signed(expr, &function.args[0]).or_else(|| self.stated(expr))
                }
                "numeric_times" => {
                    let sides = function.args.iter().map(|side| self.known(side));
                    self.made_of(expr, sides).or_else(|| self.stated(expr))
                }
                "numeric_of" => {
                    expr.get_type(self.schema.as_ref()).ok().as_ref().and_then(read_numeric)
                }
                "coalesce" | "greatest" | "least" | "nvl" => return self.common(&function.args),
                "make_array" => array(self.common(&function.args).logical().as_deref()),
                "array_element" | ARRAY_ELEMENT => {
                    function.args.first().and_then(|array| self.element(array))
                }
                _ => self.stated(expr),
            },
            Expr::AggregateFunction(aggregate) => {
                self.gathered(aggregate.func.name(), &aggregate.params.args)
            }
            Expr::WindowFunction(window) => {
                let name = match &window.fun {
                    WindowFunctionDefinition::AggregateUDF(function) => function.name(),
                    WindowFunctionDefinition::WindowUDF(function) => function.name(),
                };
                self.gathered(name, &window.params.args)
            }
            Expr::ScalarSubquery(subquery) => of(&subquery.subquery).into_iter().next().flatten(),
            Expr::Unnest(unnest) => self.element(&unnest.expr),
            Expr::Placeholder(parameter) => match &parameter.field {
                Some(field) => of_field(field),
                None => return Found::Open,
            },
            _ => None,
        })
    }

    /// The type of what an aggregate or a window makes of its first argument.
    fn gathered(&self, function: &str, args: &[Expr]) -> Option<String> {
        let first = self.first(args);
        match function {
            "array_agg" => array(first.as_deref()),
            // Of texts of any kind the least and the greatest are text.
            "min" | "max" => {
                first.filter(|logical| !matches!(base(logical), "name" | "char" | "varchar"))
            }
            "any_value" | "first_value" | "lag" | "last_value" | "lead" | "mode" | "nth_value"
            | "percentile_disc" | "single_value" => first,
            "avg" | "stddev" | "stddev_pop" | "var" | "var_pop" => {
                let values = args.first()?.get_type(self.schema.as_ref()).ok()?;
                (values.is_integer() || values.is_decimal()).then(|| QUOTIENT.to_string())
            }
            // Of bigints, and of such sums, it has as many digits as it needs.
            "sum" => {
                let values = args.first()?.get_type(self.schema.as_ref()).ok()?;
                let is_sum = values.is_decimal() && first.as_deref() == Some(NUMERIC);
                let whole = (values == DataType::Int64 || is_sum).then(|| NUMERIC.to_string());
                whole.or_else(|| first.filter(|logical| logical == PLAIN))
            }
            _ => None,
        }
    }

    /// The type that DataFusion knows of.
    fn stated(&self, expr: &Expr) -> Option<String> {
        let field: FieldRef = expr.to_field(self.schema.as_ref()).ok()?.1;
        of_field(&field)
    }
}

#[cfg(test)]
mod tests;
