//! Arithmetic of integers that fails where the result does not fit, as in PostgreSQL.
//!
//! DataFusion's own wraps around: the largest bigint plus one is the smallest. Once the types of a statement are settled,
//! [`CheckedIntegers`] puts checked functions in the place of `+`, `-` and `*` over integers. They are named and shown as
//! the operators are, so that no column and no plan reads otherwise. On the same way through the plan intervals
//! and arrays get their order ([intervals], [array_order]), and casts that round become [functions](narrowed()).

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{ArrayRef, Datum};
use datafusion::arrow::compute::kernels::numeric;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::error::ArrowError;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue, internal_datafusion_err};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::physical_expr_common::datum::apply;

use super::functions::added_again;
use super::narrowed::narrowed;
use super::{array_order, intervals};

/// The rule. It must come after DataFusion's own, which make the types of both sides equal.
#[derive(Debug)]
pub(super) struct CheckedIntegers;

impl AnalyzerRule for CheckedIntegers {
    fn name(&self) -> &str {
        "checked_integers"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| {
            let schema = merge_schema(&node.inputs());
            let names = NamePreserver::new(&node);
            node.map_expressions(|expr| {
                let name = names.save(&expr);
                let checked = expr.transform_up(|expr| {
                    // Sums are told apart first.
                    let compared = intervals::compared(expr, &schema)?;
                    checked(array_order::compared(compared, &schema), &schema)
                })?;
                Ok(checked.update_data(|expr| name.restore(expr)))
            })?
            .map_data(|node| Ok(array_order::arranged(intervals::arranged(node)?)))
        })
        .data()
    }
}

/// Puts a checked function in the place of an operator over integers, and a function in that of a cast which rounds. Sums of
/// integers are told that they may be added up again.
fn checked(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let integer = |expr: &Expr| expr.get_type(schema).ok().filter(DataType::is_integer);
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let function = Arithmetic::of(op)
                .filter(|_| integer(&left).is_some_and(|left| Some(left) == integer(&right)));
            Ok(match function {
                Some(function) => Transformed::yes(function.call(vec![*left, *right])),
                None => Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })),
            })
        }
        // Of the smallest integer there is no negative.
        Expr::Negative(inner) if !matches!(*inner, Expr::Literal(..)) => match integer(&inner) {
            Some(data_type) => {
                let zero = Expr::Literal(ScalarValue::new_zero(&data_type)?, None);
                Ok(Transformed::yes(Arithmetic::Minus.call(vec![zero, *inner])))
            }
            None => Ok(Transformed::no(Expr::Negative(inner))),
        },
        Expr::Cast(cast) => Ok(match narrowed(&cast, schema) {
            Some(function) => Transformed::yes(function),
            None => Transformed::no(Expr::Cast(cast)),
        }),
        Expr::AggregateFunction(mut call) => match added_again(&call, schema) {
            Some(function) => {
                call.func = function;
                Ok(Transformed::yes(Expr::AggregateFunction(call)))
            }
            None => Ok(Transformed::no(Expr::AggregateFunction(call))),
        },
        other => Ok(Transformed::no(other)),
    }
}

/// A checked operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Arithmetic {
    Plus,
    Minus,
    Times,
}

static FUNCTIONS: LazyLock<[Arc<ScalarUDF>; 3]> = LazyLock::new(|| {
    [Arithmetic::Plus, Arithmetic::Minus, Arithmetic::Times].map(|operator| {
        let signature = Signature::any(2, Volatility::Immutable);
        Arc::new(ScalarUDF::from(Checked { operator, signature }))
    })
});

impl Arithmetic {
    fn of(operator: Operator) -> Option<Self> {
        match operator {
            Operator::Plus => Some(Self::Plus),
            Operator::Minus => Some(Self::Minus),
            Operator::Multiply => Some(Self::Times),
            _ => None,
        }
    }

    fn call(self, arguments: Vec<Expr>) -> Expr {
        FUNCTIONS[self as usize].call(arguments)
    }

    fn sign(self) -> &'static str {
        match self {
            Self::Plus => "+",
            Self::Minus => "-",
            Self::Times => "*",
        }
    }

    fn kernel(self) -> fn(&dyn Datum, &dyn Datum) -> Result<ArrayRef, ArrowError> {
        match self {
            Self::Plus => numeric::add,
            Self::Minus => numeric::sub,
            Self::Times => numeric::mul,
        }
    }
}

/// A checked operator as a function of two integers of one type.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    operator: Arithmetic,
    signature: Signature,
}

impl Checked {
    fn shown(&self, arguments: &[impl std::fmt::Display]) -> Result<String> {
        match arguments {
            [left, right] => Ok(format!("{left} {} {right}", self.operator.sign())),
            _ => Err(internal_datafusion_err!("an operator has two sides")),
        }
    }
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        match self.operator {
            Arithmetic::Plus => "checked_plus",
            Arithmetic::Minus => "checked_minus",
            Arithmetic::Times => "checked_times",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        types.first().cloned().ok_or_else(|| internal_datafusion_err!("an operator has two sides"))
    }

    fn display_name(&self, arguments: &[Expr]) -> Result<String> {
        self.shown(arguments)
    }

    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        let names: Vec<_> = arguments.iter().map(Expr::schema_name).collect();
        self.shown(&names)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.as_slice() {
            [left, right] => apply(left, right, self.operator.kernel()),
            _ => Err(internal_datafusion_err!("an operator has two sides")),
        }
    }
}
