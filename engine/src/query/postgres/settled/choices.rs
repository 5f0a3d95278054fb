//! Values that meet: they are compared, or one of them is chosen.
//!
//! Beside a float a decimal becomes one, where DataFusion would make decimals of floats: that cuts their digits, and fails
//! for those that are infinite or no number. A literal among values of which one is chosen is read as what the others are.

use std::sync::Arc;

use datafusion::arrow::datatypes::{
    DataType, Decimal128Type, Decimal256Type, DecimalType, Field, FieldRef,
};
use datafusion::common::metadata::FieldMetadata;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result, ScalarValue};
use datafusion::logical_expr::binary::type_union_coercion;
use datafusion::logical_expr::expr::{Between, Case, Cast, InList, WindowFunction};
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable, LogicalPlan, Projection, Subquery, Union,
};

use super::documents::WRITING;
use super::{Types, compares};
use crate::Error;
use crate::query::postgres::functions::{CHOOSING, HAS, contains, failure};
use crate::query::postgres::types::{TYPE_KEY, pg_type_of};

/// Functions that give a value of another row, or one that stands for it where there is no such row.
const SHIFTING: [&str; 2] = ["lag", "lead"];

/// Tells whether values meet in a node.
pub(super) fn concern(node: &LogicalPlan) -> Result<bool> {
    let mut concerned = false;
    node.apply_expressions(|expr| {
        concerned = concerned
            || expr.exists(|expr| {
                Ok(match expr {
                    Expr::BinaryExpr(BinaryExpr { op, .. }) => compares(*op),
                    Expr::Between(_) | Expr::InList(_) => true,
                    Expr::ScalarFunction(call) => {
                        let name = call.name();
                        name == HAS || CHOOSING.contains(&name) || WRITING.contains(&name)
                    }
                    Expr::WindowFunction(call) => SHIFTING.contains(&call.fun.name()),
                    _ => false,
                })
            })?;
        Ok(if concerned { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(concerned)
}

/// Makes floats of values that are compared, where decimals meet floats.
fn compare(values: &mut [&mut Expr], schema: &DFSchema) {
    let types: Vec<Option<DataType>> =
        values.iter().map(|value| value.get_type(schema).ok()).collect();
    let any = |is: fn(&DataType) -> bool| types.iter().flatten().any(is);
    if !any(DataType::is_floating) || !any(DataType::is_decimal) {
        return;
    }
    // A real column is compared as it stands with numbers that a real holds, and otherwise as double precision.
    let fits = |(value, found): (&&mut Expr, &Option<DataType>)| {
        !found.as_ref().is_some_and(DataType::is_decimal) || is_real(value)
    };
    let reals = !any(|found| *found == DataType::Float64) && values.iter().zip(&types).all(fits);
    let to = if reals { DataType::Float32 } else { DataType::Float64 };
    for (value, found) in values.iter_mut().zip(&types) {
        let Some(found) = found else { continue };
        if found.is_decimal() || found.is_floating() && *found != to {
            let inner = std::mem::take(&mut **value);
            **value = float(inner, &to);
        }
    }
}

/// As [`compare`], of an expression and the rows of a subquery that it is looked for among.
pub(super) fn compare_rows(
    expr: Box<Expr>,
    subquery: Subquery,
    schema: &DFSchema,
) -> Result<(Box<Expr>, Subquery)> {
    let rows = subquery.subquery.schema();
    let row = (rows.fields().len() == 1).then(|| rows.field(0).data_type().clone());
    let (Ok(one), Some(row)) = (expr.get_type(schema), row) else { return Ok((expr, subquery)) };
    if one.is_decimal() && row.is_floating() {
        return Ok((Box::new(float(*expr, &DataType::Float64)), subquery));
    }
    if one.is_floating() && row.is_decimal() {
        let plan = Arc::unwrap_or_clone(subquery.subquery);
        let plan = with_floats(plan, &[Some(DataType::Float64)])?;
        return Ok((expr, Subquery { subquery: Arc::new(plan), ..subquery }));
    }
    Ok((expr, subquery))
}

/// Makes floats of the elements of a list and of what is looked for among them, where decimals meet floats.
fn compare_elements(args: &mut [Expr], schema: &DFSchema) {
    let [list, item] = args else { return };
    let (Ok(DataType::List(element)), Ok(one)) = (list.get_type(schema), item.get_type(schema))
    else {
        return;
    };
    if one.is_floating() && element.data_type().is_decimal() {
        let floats = DataType::new_list(DataType::Float64, true);
        *list = Expr::Cast(Cast::new(Box::new(std::mem::take(list)), floats));
    } else if one.is_decimal() && element.data_type().is_floating() {
        *item = float(std::mem::take(item), &DataType::Float64);
    }
}

impl Types {
    /// Brings the values together that meet in an expression.
    pub(super) fn meet(&mut self, mut expr: Expr, schema: &DFSchema) -> Result<Expr> {
        match &mut expr {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if compares(*op) => {
                compare(&mut [left.as_mut(), right.as_mut()], schema);
            }
            Expr::Between(Between { expr, low, high, .. }) => {
                compare(&mut [expr.as_mut(), low.as_mut(), high.as_mut()], schema);
            }
            Expr::InList(InList { expr, list, .. }) => {
                let mut all: Vec<&mut Expr> =
                    std::iter::once(expr.as_mut()).chain(list.iter_mut()).collect();
                compare(&mut all, schema);
            }
            Expr::Case(case) => self.choose_branch(case, schema)?,
            Expr::ScalarFunction(call) if CHOOSING.contains(&call.name()) => {
                let mut chosen: Vec<&mut Expr> = call.args.iter_mut().collect();
                self.choose(&mut chosen, schema)?;
                refuse_texts(&call.args, schema)?;
            }
            Expr::ScalarFunction(call) if WRITING.contains(&call.name()) => {
                for given in &mut call.args {
                    self.name_documents(given, schema)?;
                }
            }
            Expr::WindowFunction(call) if SHIFTING.contains(&call.fun.name()) => {
                self.choose_shifted(call, schema)?;
            }
            Expr::ScalarFunction(call) if call.name() == HAS => {
                call.func = contains();
                self.read_item(&mut call.args, schema)?;
                compare_elements(&mut call.args, schema);
            }
            _ => {}
        }
        Ok(expr)
    }

    /// Brings values together of which one is chosen.
    fn choose(&mut self, values: &mut [&mut Expr], schema: &DFSchema) -> Result<()> {
        let fields: Vec<Option<FieldRef>> =
            values.iter().map(|value| known(value, schema)).collect();
        let to = floats_among(fields.iter().flatten().map(|field| field.data_type()));
        if let Some(to) = &to {
            for (value, field) in values.iter_mut().zip(&fields) {
                if field.as_ref().is_some_and(|field| field.data_type().is_decimal()) {
                    let inner = std::mem::take(&mut **value);
                    **value = float(inner, to);
                    self.changed = true;
                }
            }
        }
        let Some(common) = common(fields.iter().flatten(), to.as_ref()) else { return Ok(()) };
        for value in values.iter_mut() {
            self.read_as(value, &common)?;
        }
        Ok(())
    }

    /// As [`Types::choose`], of a value and of what stands for it where there is no row, which DataFusion would make one of the
    /// type that the value has.
    fn choose_shifted(&mut self, call: &mut WindowFunction, schema: &DFSchema) -> Result<()> {
        let [value, _, other] = call.params.args.as_mut_slice() else { return Ok(()) };
        self.choose(&mut [&mut *value, &mut *other], schema)?;
        let (Some(one), Some(two)) = (known(value, schema), known(other, schema)) else {
            return Ok(());
        };
        let (one, two) = (one.data_type(), two.data_type());
        let Some(common) = type_union_coercion(one, two) else { return Ok(()) };
        // Texts and other values have nothing in common.
        if !common.is_string() && !one.equals_datatype(&common) {
            *value = Expr::Cast(Cast::new(Box::new(std::mem::take(value)), common));
            self.changed = true;
        }
        Ok(())
    }

    /// As [`Types::choose`], of the branches of a `CASE`; and what decides between them is compared, literals being read as what
    /// they are compared with.
    fn choose_branch(&mut self, case: &mut Case, schema: &DFSchema) -> Result<()> {
        if let Some(operand) = &mut case.expr {
            let whens = case.when_then_expr.iter_mut().map(|(when, _)| when.as_mut());
            let mut compared: Vec<&mut Expr> =
                std::iter::once(operand.as_mut()).chain(whens).collect();
            compare(&mut compared, schema);
            // A literal beside decimals has digits of its own.
            let is_decimal =
                |value: &&mut Expr| value.get_type(schema).is_ok_and(|found| found.is_decimal());
            if !compared.iter().any(is_decimal) {
                self.choose(&mut compared, schema)?;
            }
        }
        let thens = case.when_then_expr.iter_mut().map(|(_, then)| then.as_mut());
        let mut chosen: Vec<&mut Expr> = thens.chain(case.else_expr.as_deref_mut()).collect();
        self.choose(&mut chosen, schema)
    }

    /// As [`Types::choose`], of the columns of a `UNION`.
    pub(super) fn choose_columns(&mut self, union: Union) -> Result<Union> {
        let mut inputs = union.inputs;
        for at in 0..union.schema.fields().len() {
            let fields: Vec<Option<FieldRef>> =
                inputs.iter().map(|input| known_column(input, at)).collect();
            let to = floats_among(fields.iter().flatten().map(|field| field.data_type()));
            if let Some(to) = &to {
                for (input, field) in inputs.iter_mut().zip(&fields) {
                    if field.as_ref().is_some_and(|field| field.data_type().is_decimal()) {
                        let mut floats = vec![None; at];
                        floats.push(Some(to.clone()));
                        let plan = Arc::unwrap_or_clone(std::mem::take(input));
                        *input = Arc::new(with_floats(plan, &floats)?);
                        self.changed = true;
                    }
                }
            }
            let Some(common) = common(fields.iter().flatten(), to.as_ref()) else { continue };
            for input in &mut inputs {
                self.read_column(input, at, &common)?;
            }
        }
        match self.changed {
            true => Union::try_new_with_loose_types(inputs),
            false => Ok(Union { inputs, schema: union.schema }),
        }
    }

    /// Reads a literal that is looked for in a list as what the list holds; any other text is found among texts alone.
    fn read_item(&mut self, args: &mut [Expr], schema: &DFSchema) -> Result<()> {
        let [list, item] = args else { return Ok(()) };
        let Ok(DataType::List(element)) = list.get_type(schema) else { return Ok(()) };
        let Ok((_, field)) = item.to_field(schema) else { return Ok(()) };
        let held = element.data_type();
        // A parameter is what the list holds, too.
        let is_given = matches!(item, Expr::Placeholder(_));
        if is_given || held.is_string() || held.is_null() || !field.data_type().is_string() {
            return Ok(());
        }
        if open(item).is_some() {
            return self.read_as(item, &element);
        }
        let (one, other) = (&pg_type_of(&field).0.display, &pg_type_of(&element).0.display);
        Err(failure(Error::Standard {
            sqlstate: "42883",
            message: format!("operator does not exist: {one} = {other}"),
            hint: "Cast one of the two to the type of the other: CAST(value AS type).".to_owned(),
        }))
    }

    /// Reads a literal without a type as what stands beside it.
    fn read_as(&mut self, value: &mut Expr, field: &Field) -> Result<()> {
        let Some(text) = open(value).map(str::to_owned) else { return Ok(()) };
        if let Some(read) = self.read(&text, field)? {
            *value = read;
            self.changed = true;
        } else if matches!(pg_type_of(field).0.name.as_str(), "json" | "jsonb") {
            // What is wrong with it is said where casts are checked.
            let (expr, field) = (Box::new(std::mem::take(value)), Arc::new(field.clone()));
            *value = Expr::Cast(Cast { expr, field });
        }
        Ok(())
    }

    /// As [`Types::read_as`], of a column of a query.
    fn read_column(
        &mut self,
        input: &mut Arc<LogicalPlan>,
        at: usize,
        field: &Field,
    ) -> Result<()> {
        let LogicalPlan::Projection(projection) = input.as_ref() else { return Ok(()) };
        let Some(column) = projection.expr.get(at) else { return Ok(()) };
        let mut value = column.clone().unalias();
        if let Some(null) = null_of(&value, field)? {
            value = null;
            self.changed = true;
        } else if open(&value).is_some() {
            self.read_as(&mut value, field)?;
        } else {
            return Ok(());
        }
        let mut exprs = projection.expr.clone();
        exprs[at] = value.alias(projection.schema.field(at).name());
        let below = Arc::clone(&projection.input);
        *input = Arc::new(LogicalPlan::Projection(Projection::try_new(exprs, below)?));
        Ok(())
    }
}

/// A null without a type as one of a type that values alone do not say, such as `oid`; `None` for all else.
fn null_of(value: &Expr, field: &Field) -> Result<Option<Expr>> {
    if !matches!(value, Expr::Literal(ScalarValue::Null, None))
        || !field.metadata().contains_key(TYPE_KEY)
    {
        return Ok(None);
    }
    let null = ScalarValue::try_from(field.data_type())?;
    Ok(Some(Expr::Literal(null, Some(FieldMetadata::from(field)))))
}

/// The text of a literal without a type.
fn open(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(ScalarValue::Utf8(Some(text)), None) => Some(text),
        _ => None,
    }
}

fn open_column(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Alias(alias) => open(&alias.expr),
        other => open(other),
    }
}

/// What is known of the type of a value: nothing of literals without one, of null and of parameters.
pub(super) fn known(value: &Expr, schema: &DFSchema) -> Option<FieldRef> {
    if open(value).is_some() {
        return None;
    }
    let (_, field) = value.to_field(schema).ok()?;
    (!field.data_type().is_null()).then_some(field)
}

fn known_column(input: &LogicalPlan, at: usize) -> Option<FieldRef> {
    if let LogicalPlan::Projection(projection) = input
        && projection.expr.get(at).is_some_and(|expr| open_column(expr).is_some())
    {
        return None;
    }
    let field = input.schema().fields().get(at)?;
    (!field.data_type().is_null()).then(|| Arc::clone(field))
}

/// The float that decimals become among these types; `None` where there are no decimals, or no floats.
fn floats_among<'a>(types: impl Iterator<Item = &'a DataType> + Clone) -> Option<DataType> {
    let decimals = types.clone().any(DataType::is_decimal);
    let float =
        types.filter(|found| found.is_floating()).max_by_key(|found| found.primitive_width())?;
    decimals.then(|| float.clone())
}

/// What literals are read as among these types: the one that they have in common, with its logical type if they all have it.
pub(super) fn common<'a>(
    mut fields: impl Iterator<Item = &'a FieldRef>,
    float: Option<&DataType>,
) -> Option<Field> {
    let as_chosen = |field: &FieldRef| match float {
        Some(float) if field.data_type().is_decimal() => float.clone(),
        _ => field.data_type().clone(),
    };
    let first = fields.next()?;
    let (mut data_type, mut logical) = (as_chosen(first), true);
    for field in fields {
        data_type = type_union_coercion(&data_type, &as_chosen(field))?;
        logical &= pg_type_of(field).0.oid == pg_type_of(first).0.oid;
    }
    let field = Field::new("", data_type, true);
    Some(match first.metadata().get(TYPE_KEY).filter(|_| logical) {
        Some(name) => field.with_metadata([(TYPE_KEY.to_owned(), name.clone())].into()),
        None => field,
    })
}

/// Fails if texts stand beside arrays of records, which no cast makes of them.
fn refuse_texts(values: &[Expr], schema: &DFSchema) -> Result<()> {
    let types: Vec<DataType> =
        values.iter().filter_map(|value| value.get_type(schema).ok()).collect();
    let is_of_records = |found: &DataType| matches!(found, DataType::List(item) if matches!(item.data_type(), DataType::Struct(_)));
    if !types.iter().any(is_of_records) || !types.iter().any(DataType::is_string) {
        return Ok(());
    }
    Err(failure(Error::Standard {
        sqlstate: "42804",
        message: "COALESCE types record[] and text cannot be matched".to_owned(),
        hint: "Choose among values of one type.".to_owned(),
    }))
}

/// Casts columns of a plan to floats.
fn with_floats(plan: LogicalPlan, floats: &[Option<DataType>]) -> Result<LogicalPlan> {
    let mut exprs = Vec::with_capacity(plan.schema().fields().len());
    for (at, (qualifier, field)) in plan.schema().iter().enumerate() {
        let column = Expr::Column(Column::from((qualifier, field)));
        exprs.push(match floats.get(at).cloned().flatten() {
            Some(to) => float(column, &to).alias(field.name()),
            None => column,
        });
    }
    Ok(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(plan))?))
}

/// A number as a float; a literal at once.
fn float(number: Expr, to: &DataType) -> Expr {
    if let Expr::Literal(value, None) = &number
        && let Some(value) = float_of(value, to)
    {
        return Expr::Literal(value, None);
    }
    Expr::Cast(Cast::new(Box::new(number), to.clone()))
}

/// The float that is nearest to a decimal.
pub(super) fn float_of(value: &ScalarValue, to: &DataType) -> Option<ScalarValue> {
    let text = match value {
        ScalarValue::Decimal128(Some(digits), precision, scale) => {
            Decimal128Type::format_decimal(*digits, *precision, *scale)
        }
        ScalarValue::Decimal256(Some(digits), precision, scale) => {
            Decimal256Type::format_decimal(*digits, *precision, *scale)
        }
        _ => return None,
    };
    match to {
        DataType::Float64 => {
            let found = text.parse::<f64>().ok().filter(|found| found.is_finite());
            found.map(|found| ScalarValue::Float64(Some(found)))
        }
        DataType::Float32 => {
            let found = text.parse::<f32>().ok().filter(|found| found.is_finite());
            found.map(|found| ScalarValue::Float32(Some(found)))
        }
        _ => None,
    }
}

/// Whether a literal is a number that a real holds as it is.
fn is_real(number: &Expr) -> bool {
    let Expr::Literal(value, None) = number else { return false };
    match (float_of(value, &DataType::Float32), float_of(value, &DataType::Float64)) {
        (Some(ScalarValue::Float32(Some(real))), Some(ScalarValue::Float64(Some(double)))) => {
            f64::from(real) == double
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_become_the_nearest_floats() {
        let decimal = |digits, scale| ScalarValue::Decimal128(Some(digits), 38, scale);
        let double = |value| float_of(&value, &DataType::Float64);
        assert_eq!(double(decimal(1, 1)), Some(ScalarValue::Float64(Some(0.1))));
        assert_eq!(
            double(decimal(30_000_000_000_000_004, 17)),
            Some(ScalarValue::Float64(Some(0.300_000_000_000_000_04)))
        );
        assert_eq!(double(decimal(-25, 1)), Some(ScalarValue::Float64(Some(-2.5))));
        assert_eq!(double(ScalarValue::Int32(Some(1))), None);
        for (digits, expected) in [(5, true), (1, false)] {
            assert_eq!(is_real(&Expr::Literal(decimal(digits, 1), None)), expected, "{digits}");
        }
    }
}
