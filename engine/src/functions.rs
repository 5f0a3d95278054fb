//! Functions that belong to one statement: they answer for the people whom it may see.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::catalog::TableFunction;
use datafusion::common::ScalarValue;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::consent::{Holder, Holding, Normalizer, normalizer};
use crate::engine::{Engine, Live};
use crate::explain::PairWeigher;
use crate::identity::ProfileIds;
use crate::query::access::{Access, Visible};

/// Functions that belong to one statement.
#[derive(Debug, Clone, Default)]
pub(crate) struct SessionFunctions {
    /// Those that give a value.
    pub(crate) scalar: Vec<Arc<ScalarUDF>>,
    /// Those that give rows.
    pub(crate) tables: Vec<Arc<TableFunction>>,
    /// What weighs pairs of records.
    pub(crate) weigher: Option<Arc<PairWeigher>>,
}

/// Returns the functions of a statement with this access; without one there are none.
pub(crate) fn session_functions(
    engine: &Engine,
    access: Option<&Arc<Access>>,
    live: &Live,
) -> SessionFunctions {
    let (Some(access), Ok(key)) = (access, live.published.state.profile_key()) else {
        return SessionFunctions::default();
    };
    // A graph that cannot be used resolves nobody.
    let normalizer = normalizer(&live.published).ok().flatten().map(Arc::new);
    let people = Arc::new(Known {
        engine: engine.clone(),
        access: Arc::clone(access),
        visible: live.visible.clone(),
        ids: ProfileIds::new(key),
        normalizer,
    });
    let scalar = vec![
        Arc::new(ScalarUDF::from(PersonFunction::new(
            "consent_allows",
            &[DataType::Int64, DataType::Utf8],
            DataType::Boolean,
            Arc::clone(&people),
        ))),
        Arc::new(ScalarUDF::from(PersonFunction::new(
            "resolve_profile",
            &[DataType::Utf8, DataType::Utf8],
            DataType::Int64,
            people,
        ))),
    ];
    let tables = crate::explain::functions(engine, access, live);
    let weigher = Some(Arc::new(PairWeigher::of(engine, access, live)));
    SessionFunctions { scalar, tables, weigher }
}

/// What the functions know.
struct Known {
    engine: Engine,
    access: Arc<Access>,
    /// By purpose: who may be seen, as of the statement.
    visible: HashMap<String, Visible>,
    ids: ProfileIds,
    normalizer: Option<Arc<Normalizer>>,
}

impl Known {
    /// Whether a visible profile allows a purpose; `None` for one that is not visible: the answer for hidden people
    /// is the same as for people who do not exist.
    fn allows(&self, anchor: u32, purpose: &str) -> Option<bool> {
        self.access.profile_id(anchor)?;
        Some(self.visible.get(purpose)?.contains(anchor))
    }

    /// The anchor of a profile.
    fn anchor(&self, profile_id: i64) -> Option<u32> {
        let anchor = u32::try_from(self.ids.anchor_of(profile_id)?).ok()?;
        (self.access.people.anchor(anchor) == Some(anchor)).then_some(anchor)
    }

    /// The one visible profile that an identifier identifies.
    fn resolve(&self, kind: &str, value: &str) -> Option<i64> {
        let value = self.normalizer.as_ref()?.normalized(kind, value)?;
        let book = self.engine.book().read();
        // Whether somebody hidden holds it, too, is not to be told from the answer. Nor is what a value is to those who
        // have it: with enough of them, hidden or not, it identifies nobody.
        let everyone = matches!(self.access.visible, Visible::Everyone);
        // What a record carried before it was corrected or deleted leads to its person where nobody has that now, which those
        // alone may know who see everyone: to others it would lead in place of somebody hidden.
        let (mut found, mut former, mut leads) = (None, None, everyone);
        for Holder { anchor, holding } in book.holders(kind, &value).iter().copied() {
            let is_nobodys = everyone && holding == Holding::Nobodys;
            if holding == Holding::Former {
                leads &= former.replace(anchor).is_none();
            } else if is_nobodys
                || self.access.visible.contains(anchor) && found.replace(anchor).is_some()
            {
                return None;
            }
        }
        self.access.profile_id(found.or(former.filter(|_| leads))?)
    }
}

/// A function of two arguments about people.
struct PersonFunction {
    name: &'static str,
    signature: Signature,
    returns: DataType,
    known: Arc<Known>,
}

impl PersonFunction {
    fn new(
        name: &'static str,
        arguments: &[DataType],
        returns: DataType,
        known: Arc<Known>,
    ) -> Self {
        // Stable, never immutable: consent changes between statements.
        Self {
            name,
            signature: Signature::exact(arguments.to_vec(), Volatility::Stable),
            returns,
            known,
        }
    }
}

impl std::fmt::Debug for PersonFunction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for PersonFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.known, &other.known)
    }
}

impl Eq for PersonFunction {}

impl std::hash::Hash for PersonFunction {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for PersonFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DataFusionResult<DataType> {
        Ok(self.returns.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        let all_scalar =
            args.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let rows = if all_scalar { 1 } else { args.number_rows };
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let second = cast(&arrays[1], &DataType::Utf8)?;
        let second = second.as_string::<i32>();
        let text = |row: usize| second.is_valid(row).then(|| second.value(row));
        let result: Arc<dyn Array> = if self.returns == DataType::Boolean {
            let ids = cast(&arrays[0], &DataType::Int64)?;
            let ids = ids.as_primitive::<Int64Type>();
            let allows = |row: usize| {
                let anchor = self.known.anchor(ids.is_valid(row).then(|| ids.value(row))?)?;
                self.known.allows(anchor, text(row)?)
            };
            Arc::new((0..rows).map(allows).collect::<BooleanArray>())
        } else {
            let kinds = cast(&arrays[0], &DataType::Utf8)?;
            let kinds = kinds.as_string::<i32>();
            let resolve = |row: usize| {
                self.known.resolve(kinds.is_valid(row).then(|| kinds.value(row))?, text(row)?)
            };
            Arc::new((0..rows).map(resolve).collect::<Int64Array>())
        };
        match all_scalar {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?)),
            false => Ok(ColumnarValue::Array(result)),
        }
    }
}
