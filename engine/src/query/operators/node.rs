//! The operators as parts of a logical plan, and how they get there and from there into a physical one.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::{DFSchema, DFSchemaRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::context::QueryPlanner;
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::{
    Expr, Extension, LogicalPlan, LogicalPlanBuilder, UserDefinedLogicalNode,
    UserDefinedLogicalNodeCore,
};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};
use datafusion::sql::sqlparser::ast::TableFactor;

use super::Operator;
use super::exec::OperatorExec;
use crate::error::{Error, failure};
use crate::explain::PairWeigher;
use crate::query::access::no_purpose;
use crate::query::postgres::column_name;
use crate::query::postgres::types::pg_type_of;

/// An operator over the rows of a query, whose columns are of the types that it takes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::query) struct OperatorNode {
    operator: Operator,
    input: LogicalPlan,
    schema: DFSchemaRef,
}

impl OperatorNode {
    fn new(operator: Operator, input: LogicalPlan) -> Result<Self> {
        let schema = Arc::new(operator.output(input.schema())?);
        Ok(Self { operator, input, schema })
    }

    /// Returns the relations about persons that the operator looks into besides those of its query.
    pub(in crate::query) fn looks_into(&self) -> &'static [&'static str] {
        self.operator.looks_into()
    }

    /// Puts an operator over a query.
    ///
    /// # Errors
    /// 42804 if the columns of the query are not those that the operator takes.
    fn over(operator: Operator, query: LogicalPlan) -> Result<LogicalPlan> {
        let wanted = operator.input(query.schema().fields()).map_err(failure)?;
        let columns = query.schema().columns();
        let columns = columns.into_iter().zip(query.schema().fields()).zip(wanted);
        let taken: Vec<Expr> = columns
            .map(|((column, field), wanted)| match *field.data_type() == wanted {
                true => Expr::Column(column),
                false => {
                    let (relation, name) = (column.relation.clone(), column.name.clone());
                    Expr::Cast(Cast::new(Box::new(Expr::Column(column)), wanted))
                        .alias_qualified(relation, name)
                }
            })
            .collect();
        let input = LogicalPlanBuilder::from(query).project(taken)?.build()?;
        Ok(LogicalPlan::Extension(Extension { node: Arc::new(Self::new(operator, input)?) }))
    }
}

impl PartialOrd for OperatorNode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match self.operator.cmp(&other.operator) {
            Ordering::Equal => self.input.partial_cmp(&other.input),
            unequal => Some(unequal),
        }
    }
}

impl UserDefinedLogicalNodeCore for OperatorNode {
    fn name(&self) -> &str {
        self.operator.node()
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        vec![]
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.operator.node())
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        match (inputs.pop(), inputs.pop()) {
            (Some(input), None) => Self::new(self.operator, input),
            _ => Err(DataFusionError::Internal(format!("{} has one input", self.operator.node()))),
        }
    }
}

impl Operator {
    /// Returns the types that the columns of a query are taken as; those that come after are not looked at.
    fn input(self, fields: &Fields) -> Result<Vec<DataType>, Error> {
        let least = match self {
            Operator::CandidatePairs | Operator::ConnectedComponents => 2,
            Operator::RefineClusters => 3,
            Operator::ScoredPairs => 4,
        };
        if fields.len() < least {
            return Err(self.mistyped(format!(
                "{}() takes a query of {least} columns, and this one has {}",
                self.function(),
                fields.len()
            )));
        }
        match self {
            Operator::ConnectedComponents => self.edge(fields),
            Operator::RefineClusters => {
                let mut wanted = self.edge(fields)?;
                if !is_number(fields[2].data_type()) {
                    return Err(self.refused(&fields[2], "bits that are a number"));
                }
                wanted.push(DataType::Float64);
                Ok(wanted)
            }
            Operator::ScoredPairs => {
                fields.iter().take(least).try_for_each(|field| self.id(field).map(drop))?;
                Ok(vec![DataType::Utf8; least])
            }
            Operator::CandidatePairs => {
                let mut wanted = vec![self.id(&fields[0])?];
                for key in fields.iter().skip(1) {
                    let data_type = key.data_type();
                    let is_key = data_type.is_string()
                        || data_type.is_integer()
                        || *data_type == DataType::Date32;
                    if !is_key {
                        return Err(
                            self.refused(key, "keys that are texts, whole numbers or dates")
                        );
                    }
                    wanted.push(DataType::Utf8);
                }
                Ok(wanted)
            }
        }
    }

    /// Returns the types of the two ends of an edge, which are of one type.
    fn edge(self, fields: &Fields) -> Result<Vec<DataType>, Error> {
        let (left, right) = (self.id(&fields[0])?, self.id(&fields[1])?);
        if left != right {
            return Err(self.mistyped(format!(
                "{}() takes ids of one type, and columns \"{}\" and \"{}\" are of type {} and {}",
                self.function(),
                column_name(fields[0].name()),
                column_name(fields[1].name()),
                pg_type_of(&fields[0]).0.display,
                pg_type_of(&fields[1]).0.display
            )));
        }
        Ok(vec![left, right])
    }

    /// Returns the type as which the ids of a column are taken.
    fn id(self, field: &FieldRef) -> Result<DataType, Error> {
        match field.data_type() {
            DataType::UInt64 => Err(self.refused(field, "ids that are whole numbers or texts")),
            integer if integer.is_integer() => Ok(DataType::Int64),
            text if text.is_string() => Ok(DataType::Utf8),
            _ => Err(self.refused(field, "ids that are whole numbers or texts")),
        }
    }

    fn refused(self, field: &Field, takes: &str) -> Error {
        self.mistyped(format!(
            "{}() takes {takes}, and column \"{}\" is of type {}",
            self.function(),
            column_name(field.name()),
            pg_type_of(field).0.display
        ))
    }

    fn mistyped(self, message: String) -> Error {
        let hint = format!("{}; cast columns of other types.", self.example());
        Error::Standard { sqlstate: "42804", message, hint }
    }

    /// Returns the columns of the rows that the operator makes of those of its input.
    fn output(self, input: &DFSchema) -> Result<DFSchema> {
        let id = input.field(0).data_type();
        let column = |name: &str, data_type: &DataType| Field::new(name, data_type.clone(), false);
        let columns = match self {
            Operator::CandidatePairs => vec![
                column("left_id", id),
                column("right_id", id),
                column("key_column", &DataType::Utf8),
                column("key", &DataType::Utf8),
            ],
            Operator::ScoredPairs => vec![
                column("left_source", id),
                column("left_record_key", id),
                column("right_source", id),
                column("right_record_key", id),
                Field::new("bits", DataType::Float64, true),
                Field::new("probability", DataType::Float64, true),
            ],
            Operator::ConnectedComponents => vec![column("id", id), column("component", id)],
            Operator::RefineClusters => vec![column("id", id), column("cluster", id)],
        };
        DFSchema::from_unqualified_fields(Fields::from(columns), HashMap::new())
    }

    /// Returns the operator whose mark a nest has for its alias.
    fn marked(alias: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operator| operator.mark() == alias)
    }
}

fn is_number(data_type: &DataType) -> bool {
    data_type.is_integer() || data_type.is_floating() || data_type.is_decimal()
}

/// Plans the nests that [`nest`](super::nest) has marked.
#[derive(Debug)]
pub(in crate::query) struct OperatorRelations;

impl RelationPlanner for OperatorRelations {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let marked = match &relation {
            TableFactor::NestedJoin { alias: Some(alias), .. } => {
                Operator::marked(&alias.name.value)
            }
            _ => None,
        };
        match (marked, relation) {
            (Some(operator), TableFactor::NestedJoin { table_with_joins, .. }) => {
                let query = context.plan(table_with_joins.relation)?;
                let plan = OperatorNode::over(operator, query)?;
                Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, None))))
            }
            (_, relation) => Ok(RelationPlanning::Original(Box::new(relation))),
        }
    }
}

/// Plans queries, operators among them.
#[derive(Debug)]
pub(in crate::query) struct OperatorQueries;

#[async_trait]
impl QueryPlanner for OperatorQueries {
    async fn create_physical_plan(
        &self,
        plan: &LogicalPlan,
        session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let operators: Arc<dyn ExtensionPlanner + Send + Sync> = Arc::new(OperatorExtensions);
        let planner = DefaultPhysicalPlanner::with_extension_planners(vec![operators]);
        planner.create_physical_plan(plan, session).await
    }
}

/// Makes physical operators of logical ones.
struct OperatorExtensions;

#[async_trait]
impl ExtensionPlanner for OperatorExtensions {
    async fn plan_extension(
        &self,
        _: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _: &[&LogicalPlan],
        inputs: &[Arc<dyn ExecutionPlan>],
        session: &dyn Session,
        _: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let (Some(node), [input]) = (node.as_any().downcast_ref::<OperatorNode>(), inputs) else {
            return Ok(None);
        };
        let weigher = match node.operator {
            Operator::ScoredPairs => Some(weigher(session).map_err(failure)?),
            _ => None,
        };
        let (input, schema) = (Arc::clone(input), Arc::clone(node.schema.inner()));
        Ok(Some(Arc::new(OperatorExec::new(node.operator, input, weigher, schema))))
    }
}

/// Returns what weighs pairs for the statement.
///
/// # Errors
/// [`Error::Denied`] without a purpose, and for purposes that do not see everyone.
fn weigher(session: &dyn Session) -> Result<Arc<PairWeigher>, Error> {
    let weigher = session.config().get_extension::<PairWeigher>().ok_or_else(no_purpose)?;
    weigher.expect_everyone()?;
    Ok(weigher)
}
