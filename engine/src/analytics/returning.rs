//! `RETURNING`: the rows that were put in come back as they were put in, those that were changed as they became, and those
//! that are gone as they were. What is computed of them is a query over these rows, with what the session may see beside
//! them.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, new_null_array,
};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, Spanned, Statement,
    visit_expressions_mut,
};
use futures::{FutureExt, TryStreamExt};

use super::returned_names::has_bare_name;
use super::statement::{normal, parts, unsupported};
use super::write::Seen;
use super::{provenance, returned_order};
use crate::catalog::TEMPORARY;
use crate::error::{Error, Result};
use crate::query::governed::PROFILE_ID;
use crate::query::planned::Planned;
use crate::query::planner::parse_one;
use crate::query::postgres::{check_returned, missing_column};
use crate::query::relations::{Origin, Relation};
use crate::query::session::QuerySession;
use crate::query::system::Rows;

/// Bytes that one statement gives back at most: they wait in memory until all rows are in.
pub(super) const RETURNED_BYTES_MAX: usize = 64 << 20;

/// The relation that what is computed reads. Nobody can make one of this name.
const ROWS: &str = "returned.rows";

/// What stands behind `RETURNING`.
#[derive(Debug, Clone)]
pub(crate) struct Returning {
    /// The columns of the table that it takes, in order.
    pub(super) items: Vec<Item>,
    /// The query over them, if they do not come back as they are.
    computed: Option<Box<Statement>>,
    /// Whether it sorts them by their places.
    sorts: bool,
    /// The columns of other relations of the statement that the query takes, too.
    pub(super) others: Vec<Expr>,
    /// The list as it is written, until it is known whose columns it names.
    pub(super) open: Option<Vec<SelectItem>>,
}

/// A part of what stands behind `RETURNING`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    /// `*`.
    All,
    /// A column, as it is written, and the name that it comes back under.
    Column { name: String, written: Box<Expr>, shown: String },
}

impl Returning {
    /// Reads what stands behind `RETURNING` of a statement that calls its table `table`; `has_others` if it names others.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for columns of other relations beside queries.
    pub(super) fn read(list: &[SelectItem], table: &str, has_others: bool) -> Result<Self> {
        list.iter().try_for_each(check_returned)?;
        let is_plain = list.iter().all(|item| plain(item, table).is_some());
        let is_open = |item: &SelectItem| match item {
            SelectItem::Wildcard(_) => true,
            SelectItem::QualifiedWildcard(..) => !is_plain,
            item => has_bare_name(item),
        };
        if has_others && list.iter().any(is_open) {
            return Ok(Self { open: Some(list.to_vec()), ..Self::plain(vec![]) });
        }
        Self::of_list(list, table, has_others)
    }

    fn plain(items: Vec<Item>) -> Self {
        Self { items, computed: None, sorts: false, others: vec![], open: None }
    }

    /// As [`Returning::read`], where each column of another relation is named with that one.
    pub(super) fn of_list(list: &[SelectItem], table: &str, has_others: bool) -> Result<Self> {
        let items: Option<Vec<Item>> = list.iter().map(|item| plain(item, table)).collect();
        if let Some(items) = items {
            return Ok(Self::plain(items));
        }
        let mut list = list.to_vec();
        let mut others: Vec<Expr> = vec![];
        let mut has_query = false;
        if has_others {
            list.iter_mut().for_each(|item| name_item(item, table));
        }
        // The visitor never breaks off.
        let _: ControlFlow<()> = visit_expressions_mut(&mut list, |expr| {
            has_query |=
                matches!(expr, Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. });
            if let Expr::CompoundIdentifier(parts) = expr
                && let [.., of, _] = parts.as_slice()
            {
                match normal(of) == table {
                    // The schema is known.
                    true => drop(parts.drain(..parts.len() - 2)),
                    false if has_others => {
                        let at = others.iter().position(|other| other == &*expr);
                        let at = at.unwrap_or(others.len());
                        // Errors point at where it is written.
                        let span = expr.span();
                        let name = Ident { span, ..Ident::with_quote('"', other_name(at)) };
                        let other = std::mem::replace(expr, Expr::Identifier(name));
                        if at == others.len() {
                            others.push(other);
                        }
                    }
                    false => {}
                }
            }
            ControlFlow::Continue(())
        });
        if let Some(other) = others.first().filter(|_| has_query) {
            let hint = "Name columns alone, or read others with a SELECT.";
            return Err(unsupported(format!("{} beside a query in RETURNING", told(other)), hint));
        }
        let (rows, alias) = (Ident::with_quote('"', ROWS), Ident::with_quote('"', table));
        let order = match has_query {
            true => format!(" ORDER BY {alias}.{}", returned_order::PLACE),
            false => String::new(),
        };
        let frame = format!("SELECT 1 FROM {TEMPORARY}.{rows} AS {alias}{order}");
        let mut computed = parse_one(&frame)?;
        if let Statement::Query(query) = &mut computed
            && let SetExpr::Select(select) = query.body.as_mut()
        {
            select.projection = list;
        }
        let (items, computed) = (vec![Item::All], Some(Box::new(computed)));
        Ok(Self { items, computed, sorts: has_query, others, open: None })
    }

    /// Returns the query over rows that have these columns, and the columns that it reads.
    fn query(&self, columns: SchemaRef) -> Option<(Cow<'_, Statement>, SchemaRef)> {
        let query = self.computed.as_deref()?;
        if !self.sorts {
            return Some((Cow::Borrowed(query), columns));
        }
        let of_table = columns.fields().iter().map(|field| field.name().clone());
        let of_table: Vec<String> = of_table.filter(|name| !name.starts_with(OTHER)).collect();
        let query = returned_order::without_stars(query, &of_table);
        Some((Cow::Owned(query), returned_order::columns(&columns)))
    }
}

/// What the columns of other relations go by among those of the table: no text of a statement has such a name.
const OTHER: &str = "\u{1}other_";

/// How messages name a column of another relation.
fn told(other: &Expr) -> String {
    format!("\"{}\"", other.to_string().replace('"', ""))
}

fn other_name(at: usize) -> String {
    format!("{OTHER}{at}")
}

/// Returns the columns that come back, with those of other relations behind them.
pub(super) fn with_others(columns: &Schema, others: &[FieldRef]) -> SchemaRef {
    let named = others.iter().enumerate();
    let named = named.map(|(at, field)| Arc::new(field.as_ref().clone().with_name(other_name(at))));
    Arc::new(Schema::new(columns.fields().iter().cloned().chain(named).collect::<Vec<_>>()))
}

/// Gives an item that is a column of another relation the name of that column, which it loses.
fn name_item(item: &mut SelectItem, table: &str) {
    fn name_of<'a>(expr: &'a Expr, table: &str) -> Option<&'a Ident> {
        match expr {
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [.., of, name] if normal(of) != table => Some(name),
                _ => None,
            },
            Expr::Cast { expr, .. } | Expr::Nested(expr) => name_of(expr, table),
            _ => None,
        }
    }
    if let SelectItem::UnnamedExpr(expr) = item
        && let Some(alias) = name_of(expr, table).cloned()
    {
        *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
    }
}

/// Reads an item that is `*` or a column as it is.
fn plain(item: &SelectItem, table: &str) -> Option<Item> {
    let (expr, alias) = match item {
        SelectItem::Wildcard(_) => return Some(Item::All),
        SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
            return (parts(name).pop()? == table).then_some(Item::All);
        }
        SelectItem::UnnamedExpr(expr) => (expr, None),
        SelectItem::ExprWithAlias { expr, alias } => (expr, Some(normal(alias))),
        _ => return None,
    };
    let name = match expr {
        Expr::Identifier(name) => normal(name),
        Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [.., of, name] if normal(of) == table => normal(name),
            _ => return None,
        },
        _ => return None,
    };
    let shown = alias.unwrap_or_else(|| name.clone());
    Some(Item::Column { name, written: Box::new(expr.clone()), shown })
}

impl QuerySession {
    /// Plans what `RETURNING` computes of `rows` of a table; `None` if it computes nothing.
    pub(super) async fn plan_returning(
        &self,
        seen: &Seen,
        returning: &Returning,
        columns: SchemaRef,
        rows: Vec<RecordBatch>,
        types: &[Option<DataType>],
    ) -> Result<Option<Planned>> {
        let Some((query, columns)) = returning.query(columns) else { return Ok(None) };
        let rows = match returning.sorts {
            true => returned_order::rows(&rows, &columns)?,
            false => rows,
        };
        let rows: Rows = Arc::new(move || {
            let rows = rows.clone();
            async move { Ok(rows) }.boxed()
        });
        let relation = Relation::system(TEMPORARY, ROWS, "", columns, rows);
        let planned = self.plan_over(seen, &query, relation, types).await?;
        // The rows may be those of persons, which the plan does not tell any more.
        if let Some(function) = planned.reads()?.counts {
            let hint = "Call it in a statement of its own; a column of type serial numbers rows.";
            return Err(unsupported(format!("{function} in RETURNING"), hint));
        }
        Ok(Some(planned))
    }

    /// Plans a query over `relation`, which has the rows that come back.
    async fn plan_over(
        &self,
        seen: &Seen,
        query: &Statement,
        relation: Relation,
        types: &[Option<DataType>],
    ) -> Result<Planned> {
        let context =
            self.shaped_context(&seen.live, |all| seen.shaped(all).with(vec![relation]))?;
        self.plan_with(&seen.live, &context, query, types).await
    }

    /// Returns where the rows come from that `RETURNING` makes of those of a table which has the columns `shown` and whose rows
    /// come from `own`.
    pub(super) async fn origin_of(
        &self,
        seen: &Seen,
        returning: &Returning,
        shown: &[Field],
        own: Origin,
        types: &[Option<DataType>],
    ) -> Result<Origin> {
        if let Some(other) = returning.others.first() {
            let hint = "Name columns of the table that changes, and join the others behind it.";
            let what = format!("{} in RETURNING of a part of WITH", told(other));
            return Err(unsupported(what, hint));
        }
        let returned = Returned::new(&returning.items, shown)?;
        let own = Origin { ids: returned.ids(), ..own };
        let columns = Arc::clone(&returned.schema);
        let Some((query, columns)) = returning.query(columns) else { return Ok(own) };
        let of = own.of.clone();
        let relation = Relation::returned(ROWS, &columns, &[], own)?;
        let planned = self.plan_over(seen, &query, relation, types).await?;
        provenance::origin(planned.plan(), &planned.schema, of)
    }

    /// Computes what `RETURNING` says of the rows that a statement gives back.
    pub(super) async fn computed(
        &self,
        seen: &Seen,
        returning: &Returning,
        (columns, rows): (SchemaRef, Vec<RecordBatch>),
        (types, values): (&[Option<DataType>], Vec<ScalarValue>),
    ) -> Result<(SchemaRef, Vec<RecordBatch>)> {
        let known = Arc::clone(&columns);
        let planned = self.plan_returning(seen, returning, columns, rows.clone(), types).await?;
        let Some(planned) = planned else { return Ok((known, rows)) };
        let stream = self.run(&seen.live, Self::with_values(&planned, values)?, None).await?;
        Ok((Arc::clone(&planned.schema), stream.try_collect().await?))
    }
}

/// The answer to rows that are too many to wait in memory.
pub(super) fn too_much(what: &str) -> Error {
    Error::Limit {
        sqlstate: "54000",
        message: format!("{what} gives back more than {} MB", RETURNED_BYTES_MAX >> 20),
        hint: "Write fewer rows at a time, or read them with a SELECT.".into(),
    }
}

/// Returns the parameters of a statement, of which one that `RETURNING` alone uses has the type that it has there.
pub(super) fn parameters_with(own: Vec<FieldRef>, computed: Vec<FieldRef>) -> Vec<FieldRef> {
    let mut parameters = own;
    for (at, field) in computed.into_iter().enumerate() {
        match parameters.get_mut(at) {
            Some(known) if is_open(known) => *known = field,
            Some(_) => {}
            None => parameters.push(field),
        }
    }
    parameters
}

/// Tells whether nothing says yet of which type a parameter is. One that is written as a text, such as a uuid, has a
/// logical type.
fn is_open(parameter: &Field) -> bool {
    *parameter.data_type() == DataType::Utf8 && parameter.metadata().is_empty()
}

/// The rows that come back.
#[derive(Debug)]
pub(crate) struct Returned {
    /// Their columns.
    pub(super) schema: SchemaRef,
    /// For each of them the column of the table.
    sources: Vec<String>,
    /// The columns of the rows that are put in now, as far as they are known.
    next: Vec<Option<ArrayRef>>,
    batches: Vec<RecordBatch>,
    bytes: usize,
}

impl Returned {
    /// Returns no rows yet; `columns` are those of the table.
    ///
    /// # Errors
    /// SQLSTATE 42703 for a column that the table does not have.
    pub(super) fn new(items: &[Item], columns: &[Field]) -> Result<Self> {
        let (mut sources, mut fields) = (vec![], vec![]);
        for item in items {
            match item {
                Item::All => {
                    sources.extend(columns.iter().map(|column| column.name().clone()));
                    fields.extend(columns.iter().cloned());
                }
                Item::Column { name, written, shown } => {
                    let column = columns.iter().find(|column| column.name() == name);
                    let column = column.ok_or_else(|| missing_column(written))?;
                    sources.push(name.clone());
                    fields.push(column.clone().with_name(shown));
                }
            }
        }
        let (next, schema) = (vec![None; sources.len()], Arc::new(Schema::new(fields)));
        Ok(Self { schema, sources, next, batches: vec![], bytes: 0 })
    }

    /// The same with columns of other relations behind them.
    pub(super) fn with_others(mut self, others: &[FieldRef]) -> Self {
        self.schema = with_others(&self.schema, others);
        self.sources.extend((0..others.len()).map(other_name));
        self.next.resize(self.sources.len(), None);
        self
    }

    /// Returns what columns of other relations go by, in their order.
    pub(super) fn others(&self) -> Vec<String> {
        self.sources.iter().filter(|source| source.starts_with(OTHER)).cloned().collect()
    }

    /// Returns the columns of the table that come back and are not among `assigned`, each once.
    pub(super) fn kept(&self, assigned: &[String]) -> Vec<String> {
        let own = self.sources.iter().filter(|source| !source.starts_with(OTHER));
        let mut kept: Vec<String> =
            own.filter(|source| !assigned.contains(source)).cloned().collect();
        kept.sort_unstable();
        kept.dedup();
        kept
    }

    /// Returns what those are called that are the `profile_id` of the table.
    fn ids(&self) -> Vec<String> {
        let columns = self.sources.iter().zip(self.schema.fields());
        let ids = columns.filter(|(source, _)| source.as_str() == PROFILE_ID);
        ids.map(|(_, field)| field.name().clone()).collect()
    }

    /// Returns the field that a column of the table comes back as.
    pub(super) fn field_of(&self, name: &str) -> Option<Field> {
        let at = self.sources.iter().position(|source| source == name)?;
        Some(self.schema.field(at).clone())
    }

    /// Takes a column of the rows that are put in.
    pub(super) fn take_column(&mut self, name: &str, values: &ArrayRef) {
        for (source, next) in self.sources.iter().zip(&mut self.next) {
            if source == name {
                *next = Some(Arc::clone(values));
            }
        }
    }

    /// Ends a batch of rows.
    pub(super) fn end_batch(&mut self, rows: usize) -> Result<()> {
        let columns = self.next.iter_mut().zip(self.schema.fields()).map(|(next, field)| {
            next.take().unwrap_or_else(|| new_null_array(field.data_type(), rows))
        });
        let columns: Vec<ArrayRef> = columns.collect();
        self.bytes += columns.iter().map(|column| column.get_array_memory_size()).sum::<usize>();
        if self.bytes > RETURNED_BYTES_MAX {
            return Err(too_much("RETURNING"));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(DataFusionError::from)?;
        self.batches.push(batch);
        Ok(())
    }

    /// Leaves rows of the last batch out.
    pub(super) fn keep(&mut self, kept: &BooleanArray) -> Result<()> {
        if let Some(last) = self.batches.last_mut() {
            *last = filter_record_batch(last, kept).map_err(DataFusionError::from)?;
        }
        Ok(())
    }

    /// Returns the columns and all rows.
    pub(super) fn into_rows(self) -> (SchemaRef, Vec<RecordBatch>) {
        (self.schema, self.batches)
    }
}
