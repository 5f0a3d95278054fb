//! The short way answers as the plan does, for whoever may see what, and is taken by small statements alone.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion::common::ScalarValue;
use datafusion::prelude::{DataFrame, SessionConfig, SessionContext};
use object_store::memory::InMemory;
use tokio::runtime::Handle;

use crate::lake::{Commit, Lake, TableSchema, WriteOptions, write_files};
use crate::query::access::{Access, People, SubjectSet, Visible};
use crate::query::generic::Generic;
use crate::query::governed::{GovernedTable, SUBJECT, ScanStore};

const TABLE: &str = "sources/s";
const SUBJECTS: u32 = 20_000;
/// Files, as the subjects in them: the last one has some that the second has, too.
const FILES: [std::ops::Range<u32>; 3] = [0..9_000, 9_000..SUBJECTS, 10_000..10_500];
/// Rows of one subject in a file; a file has several blocks, and the rows of some subjects lie in two of them.
const ROWS_EACH: u32 = 3;

struct Scene {
    session: SessionContext,
    people: Arc<People>,
}

/// A table of three files. Two subjects are one person, and an address is that of several persons.
async fn scene(bloom: bool) -> Scene {
    let lake = Lake::with_store(Arc::new(InMemory::new()), crate::lake::tests::clock());
    let fields = Schema::new(vec![
        Field::new(SUBJECT, DataType::Int64, true),
        Field::new("email", DataType::Utf8, true),
        Field::new("n", DataType::Int64, true),
    ]);
    let layout = TableSchema {
        sort: vec![SUBJECT.into()],
        bloom_columns: if bloom { vec!["email".into()] } else { vec![] },
        ..TableSchema::new(Arc::new(fields))
    };
    let table = lake.create_table(TABLE, layout.clone()).await.unwrap();
    for (number, subjects) in FILES.into_iter().enumerate() {
        let rows: Vec<(u32, u32)> =
            subjects.flat_map(|subject| (0..ROWS_EACH).map(move |row| (subject, row))).collect();
        let email = |subject: u32| {
            (!subject.is_multiple_of(10))
                .then(|| format!("somebody.{}@example.com", subject % 6_000))
        };
        let numbers = rows
            .iter()
            .map(|(subject, row)| i64::from(subject * ROWS_EACH + row) + 1_000_000 * number as i64);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| i64::from(row.0)))),
            Arc::new(rows.iter().map(|row| email(row.0)).collect::<StringArray>()),
            Arc::new(Int64Array::from_iter_values(numbers)),
        ];
        let rows = RecordBatch::try_new(Arc::clone(&layout.fields), columns).unwrap();
        let written = write_files(&table, vec![rows], &WriteOptions::default()).await.unwrap();
        table.commit(Commit::append(written)).await.unwrap();
    }
    let ids = (0..SUBJECTS).map(profile_of).collect();
    let people =
        Arc::new(People::new(1, ids, (0..SUBJECTS).map(|subject| subject / 2 * 2).collect()));
    let mut config = SessionConfig::new().with_target_partitions(1);
    config.options_mut().sql_parser.map_string_types_to_utf8view = false;
    let session = SessionContext::new_with_config(config);
    lake.register(&session.runtime_env());
    let store = ScanStore::new(lake.store(), lake.object_store_url(), 256 << 20);
    let snapshots = [(TABLE.to_owned(), table.snapshot())];
    let governed = GovernedTable::new("t", &snapshots, &layout.fields, store);
    session.register_table("t", Arc::new(governed)).unwrap();
    Scene { session, people }
}

fn profile_of(subject: u32) -> i64 {
    i64::from(SUBJECTS - subject / 2)
}

impl Scene {
    fn access(&self, visible: Visible) -> Arc<Access> {
        let people = Arc::clone(&self.people);
        Arc::new(Access { role: "analyst".into(), purpose: "analytics".into(), visible, people })
    }

    /// The access for which two of three persons exist.
    fn of_most(&self) -> Arc<Access> {
        let visible = (0..SUBJECTS).filter(|subject| subject / 2 % 3 != 0);
        self.access(Visible::Subjects(Arc::new(visible.collect::<SubjectSet>())))
    }

    /// Runs a statement by its plan.
    async fn planned(
        &self,
        sql: &str,
        access: &Arc<Access>,
        values: &[ScalarValue],
    ) -> Vec<String> {
        let config = self
            .session
            .copied_config()
            .with_extension(Arc::clone(access))
            .with_create_default_catalog_and_schema(false);
        let state =
            datafusion::execution::SessionStateBuilder::new_from_existing(self.session.state())
                .with_config(config)
                .build();
        let plan = self.session.sql(sql).await.unwrap().into_unoptimized_plan();
        let plan = plan.with_param_values(values.to_vec()).unwrap();
        text(&DataFrame::new(state, plan).collect().await.unwrap())
    }

    /// Runs a statement until it has its short way, if it has one.
    async fn generic(&self, sql: &str, values: &[ScalarValue]) -> Generic {
        let plan = self.session.sql(sql).await.unwrap().into_unoptimized_plan();
        let parameters: Vec<FieldRef> =
            values.iter().map(|value| Arc::new(Field::new("", value.data_type(), true))).collect();
        let generic = Generic::default();
        for _ in 0..2 {
            assert!(generic.quick().is_none(), "{sql}: at the first run");
            generic.with_values(&self.session.state(), &plan, &parameters, values).unwrap();
        }
        generic
    }
}

/// The values of rows, in their order.
fn text(batches: &[RecordBatch]) -> Vec<String> {
    let row = |batch: &RecordBatch, row: usize| {
        let values = batch.columns().iter().map(|column| {
            let value = ScalarValue::try_from_array(column, row).unwrap();
            format!("{value:?}")
        });
        values.collect::<Vec<_>>().join(", ")
    };
    batches.iter().flat_map(|batch| (0..batch.num_rows()).map(|at| row(batch, at))).collect()
}

fn id(id: i64) -> ScalarValue {
    ScalarValue::Int64(Some(id))
}

fn words(text: &str) -> ScalarValue {
    ScalarValue::Utf8(Some(text.into()))
}

#[tokio::test]
async fn it_answers_as_the_plan_does() {
    let ids = [0_u32, 1, 2, 5, 2_730, 2_731, 8_999, 9_000, 10_001, 10_002, 10_499, 19_999]
        .map(profile_of);
    let ids: Vec<Vec<ScalarValue>> = ids
        .into_iter()
        .chain([-1, i64::MAX])
        .map(|of| vec![id(of)])
        .chain([vec![ScalarValue::Int64(None)]])
        .collect();
    let emails: Vec<Vec<ScalarValue>> =
        ["somebody.1@example.com", "somebody.4007@example.com", "nobody", ""]
            .into_iter()
            .map(|email| vec![words(email)])
            .chain([vec![ScalarValue::Utf8(None)]])
            .collect();
    let both: Vec<Vec<ScalarValue>> = [(1, 7), (4_007, 14_007), (3, 3)]
        .into_iter()
        .map(|(email, subject)| {
            vec![words(&format!("somebody.{email}@example.com")), id(profile_of(subject))]
        })
        .collect();
    for bloom in [false, true] {
        let scene = scene(bloom).await;
        for access in [scene.of_most(), scene.access(Visible::Everyone)] {
            for (sql, runs) in [
                ("SELECT * FROM t WHERE profile_id = $1", &ids),
                ("SELECT n FROM t WHERE $1 = profile_id", &ids),
                ("SELECT profile_id FROM t WHERE profile_id = $1", &ids),
                (
                    "SELECT upper(email), n % 7 AS week, 'x' FROM t WHERE profile_id = $1 AND n % 2 = 1",
                    &ids,
                ),
                (
                    "SELECT n, profile_id, n AS again FROM t WHERE profile_id IN ($1, 19996, 15000) AND email IS NOT NULL",
                    &ids,
                ),
                (
                    "SELECT u.n FROM (SELECT n, profile_id FROM t WHERE n > 3) u WHERE profile_id = $1 LIMIT 2",
                    &ids,
                ),
                ("SELECT $1 AS asked, n FROM t WHERE profile_id = $1", &ids),
                ("SELECT profile_id, email, n FROM t WHERE email = $1", &emails),
                ("SELECT n FROM t WHERE email = CAST($1 AS text)", &emails),
                (
                    "SELECT n FROM t WHERE email IN ($1, 'somebody.8@example.com') AND n > 100",
                    &emails,
                ),
                ("SELECT profile_id, n FROM t WHERE email = $1 AND profile_id >= $2", &both),
            ] {
                let generic = scene.generic(sql, &runs[0]).await;
                let quick = generic.quick().unwrap_or_else(|| panic!("{sql}: no short way"));
                for values in runs {
                    let expected = scene.planned(sql, &access, values).await;
                    let answered = quick.answer(Some(&access), values).await;
                    let answered = answered.unwrap_or_else(|| panic!("{sql}: {values:?}"));
                    assert_eq!(text(&[answered]), expected, "{sql}: {values:?}, bloom: {bloom}");
                    let again = quick.answer_at_once(Some(&access), values);
                    let again = again.unwrap_or_else(|| panic!("{sql}: {values:?} is not at hand"));
                    assert_eq!(text(&[again]), expected, "{sql}: {values:?} again");
                }
            }
        }
    }
}

#[tokio::test]
async fn who_exists_is_decided_by_each_run() {
    let scene = scene(true).await;
    let by_id = scene.generic("SELECT n FROM t WHERE profile_id = $1", &[id(1)]).await;
    let by_email = scene.generic("SELECT n FROM t WHERE email = $1", &[words("")]).await;
    // Subjects 4002 and 4003 are one person, and who has the first one's address is also subject 10002, 16002.
    let asked = [
        (by_id.quick().unwrap(), vec![id(profile_of(4_002))]),
        (by_email.quick().unwrap(), vec![words("somebody.4002@example.com")]),
    ];
    let everyone = scene.access(Visible::Everyone);
    let others = (0..SUBJECTS).filter(|subject| subject / 2 != 2_001);
    let others = scene.access(Visible::Subjects(Arc::new(others.collect::<SubjectSet>())));
    let nobody = scene.access(Visible::Subjects(Arc::default()));
    for (quick, values) in &asked {
        for access in [&everyone, &others, &nobody, &everyone, &others] {
            let rows = quick.answer(Some(access), values).await.unwrap().num_rows();
            let again = quick.answer_at_once(Some(access), values).unwrap().num_rows();
            assert_eq!(rows, again);
        }
        let count =
            async |access| quick.answer(Some(access), values).await.unwrap().num_rows() as u32;
        let (all, left) = (count(&everyone).await, count(&others).await);
        assert!(all >= left + ROWS_EACH, "{all} rows, {left} without the person");
        assert_eq!(count(&nobody).await, 0);
        assert!(quick.answer(None, values).await.is_none(), "without a purpose the plan refuses");
    }
}

#[tokio::test]
async fn one_row_of_constants_needs_no_table() {
    let scene = scene(false).await;
    for (sql, values) in [
        ("SELECT 1", vec![]),
        ("SELECT 1 + 1 AS two, 'x' || 'y'", vec![]),
        ("SELECT 1 WHERE $1 IS NOT NULL", vec![words("x")]),
        ("SELECT 1 WHERE $1 IS NOT NULL", vec![ScalarValue::Utf8(None)]),
        ("SELECT $1, $2 WHERE $2 > 3", vec![words("x"), id(4)]),
        ("SELECT * FROM (SELECT 7 AS a) t WHERE a = $1", vec![id(8)]),
    ] {
        let access = scene.access(Visible::Everyone);
        let generic = scene.generic(sql, &values).await;
        let quick = generic.quick().unwrap_or_else(|| panic!("{sql}: no short way"));
        let answered = quick.answer_at_once(None, &values).unwrap();
        assert_eq!(text(&[answered]), scene.planned(sql, &access, &values).await, "{sql}");
        assert!(quick.reads.relations.is_empty());
    }
}

#[tokio::test]
async fn what_is_not_small_or_not_certain_has_no_short_way() {
    let scene = scene(false).await;
    for sql in [
        "SELECT count(*) FROM t WHERE profile_id = $1",
        "SELECT n FROM t WHERE profile_id > $1",
        "SELECT n FROM t WHERE profile_id = $1 OR n = 3",
        "SELECT n FROM t WHERE profile_id = $1 ORDER BY n",
        "SELECT n + $1 FROM t WHERE profile_id = $1",
        "SELECT a.n FROM t a JOIN t b ON a.n = b.n WHERE a.profile_id = $1",
        "SELECT n FROM t WHERE n % 3 = $1",
    ] {
        assert!(scene.generic(sql, &[id(1)]).await.quick().is_none(), "{sql}");
    }
    let access = scene.access(Visible::Everyone);
    // What fails does so the long way.
    let failing = "SELECT 1 / (n - n) FROM t WHERE profile_id = $1";
    let generic = scene.generic(failing, &[id(1)]).await;
    if let Some(quick) = generic.quick() {
        assert!(quick.answer(Some(&access), &[id(profile_of(7))]).await.is_none());
    }
    // Too many rows are found, and then a few.
    let many = scene
        .generic("SELECT n FROM t WHERE email IN ($1, 'somebody.2@example.com')", &[words("x")])
        .await;
    assert!(many.quick().unwrap().answer(Some(&access), &[words("y")]).await.is_some());
    let ids: Vec<String> = (0..200).map(|subject| profile_of(subject).to_string()).collect();
    let sql = format!("SELECT n FROM t WHERE profile_id IN ({}) AND n > $1", ids.join(", "));
    if let Some(quick) = scene.generic(&sql, &[id(0)]).await.quick() {
        assert!(quick.answer(Some(&access), &[id(0)]).await.is_none(), "600 rows are many");
        assert!(quick.answer_at_once(Some(&access), &[id(0)]).is_none());
    }
    // A value of another type than the plan was made for.
    let generic = scene.generic("SELECT n FROM t WHERE profile_id = $1", &[id(1)]).await;
    let other = [ScalarValue::Int32(Some(1))];
    assert!(generic.quick().unwrap().answer(Some(&access), &other).await.is_none());
}

#[tokio::test]
async fn what_is_looked_into_again_and_again_is_read_ahead() {
    let scene = scene(false).await;
    let sql = "SELECT email, n FROM t WHERE profile_id = $1";
    let generic = scene.generic(sql, &[id(1)]).await;
    let everyone = scene.access(Visible::Everyone);
    // The second file has five blocks: this is in the last one, those are one in each of the others.
    let last = [id(profile_of(SUBJECTS - 1))];
    let expected = scene.planned(sql, &everyone, &last).await;
    let looking = async move {
        let quick = generic.quick().unwrap();
        for subject in [9_001, 12_000, 15_000, 17_500] {
            assert!(
                quick.answer_at_once(Some(&everyone), &last).is_none(),
                "before {subject} was asked for"
            );
            let asked = [id(profile_of(subject))];
            let answered = quick.answer(Some(&everyone), &asked).await;
            assert_eq!(answered.unwrap().num_rows() as u32, 2 * ROWS_EACH);
        }
        for _ in 0..6_000 {
            if let Some(answered) = quick.answer_at_once(Some(&everyone), &last) {
                return answered;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        unreachable!("the rest of the file is never read")
    };
    let answered = crate::lanes::light_at_first(Handle::current(), looking).await;
    assert_eq!(text(&[answered]), expected);
}
