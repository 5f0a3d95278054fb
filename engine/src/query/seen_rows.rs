//! The predicate that tells from a row's subject whether the row exists for an access.
//!
//! A scan that lets Parquet drop rows as it decodes them gives it this one beside the filters of the query. It never
//! leaves the leaf, and neither does what it drops.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type, Schema};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::expressions::Column;

use super::access::{Access, NO_SUBJECT};
use super::governed::SUBJECT;

/// Whether rows exist for an access, by the column of their subjects.
#[derive(Debug)]
pub(super) struct SeenRows {
    subject: Arc<dyn PhysicalExpr>,
    access: Arc<Access>,
}

impl SeenRows {
    /// Builds the predicate over the stored columns of a table.
    pub(super) fn over(
        stored: &Schema,
        access: &Arc<Access>,
    ) -> DataFusionResult<Arc<dyn PhysicalExpr>> {
        let subject = Arc::new(Column::new_with_schema(SUBJECT, stored)?);
        Ok(Arc::new(Self { subject, access: Arc::clone(access) }))
    }
}

impl PartialEq for SeenRows {
    fn eq(&self, other: &Self) -> bool {
        self.subject.eq(&other.subject) && Arc::ptr_eq(&self.access, &other.access)
    }
}

impl Eq for SeenRows {}

impl Hash for SeenRows {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.subject.hash(state);
    }
}

impl fmt::Display for SeenRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seen({})", self.subject)
    }
}

impl PhysicalExpr for SeenRows {
    fn evaluate(&self, batch: &RecordBatch) -> DataFusionResult<ColumnarValue> {
        let subjects = self.subject.evaluate(batch)?.into_array(batch.num_rows())?;
        let subjects = subjects.as_primitive_opt::<Int64Type>().ok_or_else(|| {
            DataFusionError::Internal("the column of subjects holds no numbers".into())
        })?;
        let visible = &self.access.visible;
        let seen = match subjects.nulls() {
            None => BooleanBuffer::collect_bool(subjects.len(), |row| {
                visible.contains(u32::try_from(subjects.value(row)).unwrap_or(NO_SUBJECT))
            }),
            Some(nulls) => BooleanBuffer::collect_bool(subjects.len(), |row| {
                let subject = nulls.is_valid(row).then(|| subjects.value(row));
                let subject = subject.and_then(|subject| u32::try_from(subject).ok());
                visible.contains(subject.unwrap_or(NO_SUBJECT))
            }),
        };
        Ok(ColumnarValue::Array(Arc::new(BooleanArray::new(seen, None))))
    }

    fn return_field(&self, _: &Schema) -> DataFusionResult<FieldRef> {
        Ok(Arc::new(Field::new("seen", DataType::Boolean, false)))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.subject]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> DataFusionResult<Arc<dyn PhysicalExpr>> {
        match (children.pop(), children.pop()) {
            (Some(subject), None) => {
                Ok(Arc::new(Self { subject, access: Arc::clone(&self.access) }))
            }
            _ => Err(DataFusionError::Internal("SeenRows has one child".into())),
        }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Int64Array;

    use super::*;
    use crate::query::access::{SubjectSet, Visible};

    #[test]
    fn a_row_is_seen_if_its_subject_is() {
        let visible = Visible::Subjects(Arc::new(SubjectSet::from_iter([1, 3])));
        let access = Access {
            role: "analyst".into(),
            purpose: "analytics".into(),
            visible,
            people: Arc::default(),
        };
        let schema = Arc::new(Schema::new(vec![Field::new(SUBJECT, DataType::Int64, true)]));
        let seen = SeenRows::over(&schema, &Arc::new(access)).unwrap();
        for (subjects, expected) in [
            (vec![Some(0), Some(1), Some(3)], [false, true, true]),
            (vec![None, Some(3), Some(-1)], [false, true, false]),
        ] {
            let column = Arc::new(Int64Array::from(subjects));
            let batch = RecordBatch::try_new(Arc::clone(&schema), vec![column]).unwrap();
            let found = seen.evaluate(&batch).unwrap().into_array(3).unwrap();
            assert_eq!(found.as_boolean(), &BooleanArray::from(expected.to_vec()));
        }
    }
}
