//! What survives is what an attribute chooses, however rows are spread over batches and phases.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};
use proptest::prelude::*;

use super::super::survivorship::{Candidate, Candidates, Offer, rule_word};
use super::groups::{Groups, One};
use super::{UTC, result_fields};
use crate::catalog::SurvivorshipRule;

const GROUPS: usize = 4;
const SOURCES: [&str; 2] = ["crm", "shop"];
const KEYS: [&str; 3] = ["1", "2", "3"];
const TEXTS: [&str; 4] = ["", "Ada", "Ania", "Anna"];

/// A group, a time, and the places of source, key and text.
type Row = (usize, i64, usize, usize, usize);

fn columns(rows: &[Row]) -> (Vec<ArrayRef>, Vec<usize>) {
    let texts = |of: &dyn Fn(&Row) -> &'static str| -> ArrayRef {
        Arc::new(rows.iter().map(|row| Some(of(row))).collect::<StringArray>())
    };
    let times = rows.iter().map(|row| row.1).collect::<Vec<_>>();
    let times = TimestampMicrosecondArray::from(times).with_timezone(UTC);
    let columns = vec![
        texts(&|row| TEXTS[row.4]),
        Arc::new(times) as ArrayRef,
        texts(&|row| SOURCES[row.2]),
        texts(&|row| KEYS[row.3]),
    ];
    (columns, rows.iter().map(|row| row.0).collect())
}

fn groups(rule: &SurvivorshipRule) -> Groups {
    Groups::new(rule.clone(), result_fields(&Field::new("v", DataType::Utf8, true)))
}

/// Value, source and key of each group.
type Chosen = Vec<Option<[String; 3]>>;

fn shown(result: &ArrayRef) -> Chosen {
    let record = result.as_struct();
    let text =
        |column: usize, row: usize| record.column(column).as_string::<i32>().value(row).to_owned();
    (0..record.len())
        .map(|row| record.is_valid(row).then(|| [0, 1, 2].map(|column| text(column, row))))
        .collect()
}

fn finished(mut groups: Groups) -> Chosen {
    // The first ones leave before the others.
    let mut chosen = shown(&groups.evaluate(EmitTo::First(1)).unwrap());
    chosen.extend(shown(&groups.evaluate(EmitTo::All).unwrap()));
    chosen
}

/// What an attribute with these inputs chooses for each group.
fn expected(rows: &[Row], rule: &SurvivorshipRule) -> Chosen {
    let mut candidates = Candidates::default();
    for (offer, source) in SOURCES.iter().enumerate() {
        let of: Vec<&Row> = rows.iter().filter(|row| row.2 == offer && row.4 > 0).collect();
        let texts: StringArray = of.iter().map(|row| Some(TEXTS[row.4])).collect();
        let keys: StringArray = of.iter().map(|row| Some(KEYS[row.3])).collect();
        candidates.rows.extend(of.iter().enumerate().map(|(place, row)| Candidate {
            anchor: row.0 as u32,
            at: row.1,
            offer: offer as u32,
            row: place as u32,
        }));
        candidates.offers.push(Offer {
            source: (*source).into(),
            rank: 0,
            values: Arc::new(texts.clone()),
            texts,
            keys: Arc::new(keys),
        });
    }
    let (candidates, chosen) = candidates.choose(rule);
    let mut found: Chosen = vec![None; GROUPS];
    for row in &chosen {
        let (source, key) = candidates.record(row);
        let text = candidates.offers[row.offer as usize].texts.value(row.row as usize);
        found[row.anchor as usize] = Some([text, source, key].map(str::to_owned));
    }
    found
}

fn rules() -> [SurvivorshipRule; 4] {
    let shop_first = vec!["shop".to_owned(), "crm".to_owned()];
    [
        SurvivorshipRule::Latest,
        SurvivorshipRule::First,
        SurvivorshipRule::MostFrequent,
        SurvivorshipRule::SourcePriority(shop_first),
    ]
}

proptest! {
    #[test]
    fn what_survives_is_what_an_attribute_chooses(
        rows in prop::collection::vec((0..GROUPS, 0_i64..3, 0_usize..2, 0_usize..3, 0_usize..4), 0..40),
        cut in 0_usize..40,
    ) {
        for rule in rules() {
            let wanted = expected(&rows, &rule);
            let (of_rows, places) = columns(&rows);
            let mut whole = groups(&rule);
            whole.update_batch(&of_rows, &places, None, GROUPS).unwrap();
            prop_assert_eq!(&finished(whole), &wanted, "{}", rule_word(&rule));

            // In two parts, of which the second one passes each row on.
            let (first, second) = rows.split_at(cut.min(rows.len()));
            let (of_first, first_places) = columns(first);
            let (of_second, second_places) = columns(second);
            let (mut part, mut last) = (groups(&rule), groups(&rule));
            part.update_batch(&of_first, &first_places, None, GROUPS).unwrap();
            let rows_passed = groups(&rule).convert_to_state(&of_second, None).unwrap();
            last.merge_batch(&rows_passed, &second_places, GROUPS).unwrap();
            let state = part.state(EmitTo::All).unwrap();
            last.merge_batch(&state, &(0..GROUPS).collect::<Vec<_>>(), GROUPS).unwrap();
            prop_assert_eq!(&finished(last), &wanted, "{} in parts", rule_word(&rule));

            let mut one = One::new(groups(&rule));
            let own: Vec<Row> = rows.iter().copied().filter(|row| row.0 == 2).collect();
            one.update_batch(&columns(&own).0).unwrap();
            let kept = one.state().unwrap().remove(0).to_array().unwrap();
            let mut other = One::new(groups(&rule));
            other.merge_batch(&[kept]).unwrap();
            for accumulator in [&mut one, &mut other] {
                let result = accumulator.evaluate().unwrap().to_array().unwrap();
                prop_assert_eq!(&shown(&result)[0], &wanted[2], "{} alone", rule_word(&rule));
            }
        }
    }
}

#[test]
fn what_is_filtered_out_or_has_no_time_says_nothing() {
    let rows = [(0, 3, 0, 0, 1), (0, 2, 1, 1, 2), (0, 1, 0, 2, 3)];
    let (mut of_rows, places) = columns(&rows);
    let times = TimestampMicrosecondArray::from(vec![Some(3), None, Some(1)]).with_timezone(UTC);
    of_rows[1] = Arc::new(times);
    let filter = BooleanArray::from(vec![Some(false), Some(true), Some(true)]);
    let mut latest = groups(&SurvivorshipRule::Latest);
    latest.update_batch(&of_rows, &places, Some(&filter), 2).unwrap();
    assert!(latest.size() > groups(&SurvivorshipRule::Latest).size());
    let result = latest.evaluate(EmitTo::All).unwrap();
    let wanted = Some(["Anna", "crm", "3"].map(str::to_owned));
    assert_eq!(shown(&result), [wanted, None]);
    assert_eq!(result.as_struct().column(4).as_string::<i32>().value(0), "latest");
    latest.update_batch(&of_rows, &places, Some(&filter), 2).unwrap();
    let kept = latest.size();
    latest.evaluate(EmitTo::All).unwrap();
    assert!(latest.size() < kept, "what left takes no room");
}
