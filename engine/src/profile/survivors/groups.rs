//! The values of groups, of which each group's best survives.

use std::mem::{size_of, size_of_val};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, ListArray, StringArray, StructArray,
    TimestampMicrosecondArray, new_empty_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Fields, Int64Type, TimestampMicrosecondType};
use datafusion::common::{HashMap, Result, ScalarValue, internal_err};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};

use super::super::survivorship::{Said, Standing, place_of, rule_word};
use super::{UTC, kept_field, time};
use crate::catalog::SurvivorshipRule;
use crate::error::failure;
use crate::tables;

/// What a record says, or several records that say the same.
#[derive(Debug, Clone, Copy)]
struct Vote<'a> {
    text: &'a str,
    source: Option<&'a str>,
    key: Option<&'a str>,
    at: i64,
    votes: usize,
}

impl<'a> Vote<'a> {
    /// Returns how it stands among others, with so many votes.
    fn standing(self, rule: &SurvivorshipRule, votes: usize) -> Standing<'a> {
        let source = self.source.unwrap_or_default();
        let key = self.key.unwrap_or_default();
        let said = Said { at: self.at, rank: 0, source, key, text: self.text };
        Standing::of(rule, place_of(rule, source), votes, said)
    }
}

/// A value that is the best so far.
#[derive(Debug)]
struct Best {
    value: ScalarValue,
    text: Box<str>,
    source: Option<Box<str>>,
    key: Option<Box<str>>,
    at: i64,
    votes: usize,
}

impl Best {
    fn of(vote: Vote<'_>, value: ScalarValue) -> Self {
        let Vote { text, source, key, at, votes } = vote;
        let (source, key) = (source.map(Into::into), key.map(Into::into));
        Self { value, text: text.into(), source, key, at, votes }
    }

    fn vote(&self) -> Vote<'_> {
        let Self { text, source, key, at, votes, .. } = self;
        let (source, key) = (source.as_deref(), key.as_deref());
        Vote { text, source, key, at: *at, votes: *votes }
    }

    fn standing(&self, rule: &SurvivorshipRule) -> Standing<'_> {
        self.vote().standing(rule, self.votes)
    }

    /// What it takes besides itself.
    fn bytes(&self) -> usize {
        let length = |text: &Option<Box<str>>| text.as_ref().map_or(0, |text| text.len());
        let heap = self.value.size().saturating_sub(size_of::<ScalarValue>());
        heap + self.text.len() + length(&self.source) + length(&self.key)
    }
}

/// What is kept of each group.
#[derive(Debug)]
enum Kept {
    /// The best value.
    Best(Vec<Option<Best>>),
    /// The best of each value, by its text: where records vote.
    Counted(Vec<HashMap<Box<str>, Best>>),
}

impl Kept {
    fn grow(&mut self, groups: usize) {
        match self {
            Self::Best(best) if best.len() < groups => best.resize_with(groups, || None),
            Self::Counted(counted) if counted.len() < groups => {
                counted.resize_with(groups, HashMap::new);
            }
            Self::Best(_) | Self::Counted(_) => {}
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Best(best) => best.len(),
            Self::Counted(counted) => counted.len(),
        }
    }

    /// Returns all that is kept of a group.
    fn of(&self, group: usize) -> Vec<&Best> {
        match self {
            Self::Best(best) => best[group].iter().collect(),
            Self::Counted(counted) => counted[group].values().collect(),
        }
    }

    /// Lets go of the first groups, and returns what they took.
    fn forget(&mut self, groups: usize) -> usize {
        match self {
            Self::Best(best) => best.drain(..groups).flatten().map(|best| best.bytes()).sum(),
            Self::Counted(counted) => {
                let all = counted.drain(..groups).flat_map(HashMap::into_values);
                all.map(|best| counted_bytes(&best)).sum()
            }
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Best(best) => best.capacity() * size_of::<Option<Best>>(),
            Self::Counted(counted) => counted.capacity() * size_of::<HashMap<Box<str>, Best>>(),
        }
    }
}

/// What a value that is counted takes, with its entry in the table.
fn counted_bytes(best: &Best) -> usize {
    best.bytes() + best.text.len() + size_of::<(Box<str>, Best)>()
}

/// The values of groups.
#[derive(Debug)]
pub(super) struct Groups {
    rule: SurvivorshipRule,
    /// The columns of the result; the first is the value.
    result: Fields,
    kept: Kept,
    /// What is kept takes besides its vector.
    bytes: usize,
}

impl Groups {
    /// No groups yet, whose results have these columns.
    pub(super) fn new(rule: SurvivorshipRule, result: Fields) -> Self {
        let kept = match rule {
            SurvivorshipRule::MostFrequent => Kept::Counted(vec![]),
            _ => Kept::Best(vec![]),
        };
        Self { rule, result, kept, bytes: 0 }
    }

    fn value_type(&self) -> &DataType {
        self.result[0].data_type()
    }

    fn take(
        &mut self,
        group: usize,
        vote: Vote<'_>,
        value: impl FnOnce() -> Result<ScalarValue>,
    ) -> Result<()> {
        let rule = &self.rule;
        let is_better = |kept: &Best| vote.standing(rule, 1) < kept.vote().standing(rule, 1);
        match &mut self.kept {
            Kept::Best(best) => {
                let slot = &mut best[group];
                if slot.as_ref().is_none_or(is_better) {
                    let new = Best::of(vote, value()?);
                    self.bytes += new.bytes();
                    let old = slot.replace(new);
                    self.bytes -= old.map_or(0, |old| old.bytes());
                }
            }
            Kept::Counted(counted) => match counted[group].get_mut(vote.text) {
                Some(kept) => {
                    let votes = kept.votes + vote.votes;
                    if is_better(kept) {
                        let new = Best::of(vote, value()?);
                        self.bytes += counted_bytes(&new);
                        self.bytes -= counted_bytes(kept);
                        *kept = new;
                    }
                    kept.votes = votes;
                }
                None => {
                    let new = Best::of(vote, value()?);
                    self.bytes += counted_bytes(&new);
                    counted[group].insert(vote.text.into(), new);
                }
            },
        }
        Ok(())
    }

    /// Returns the results of the first groups.
    fn results(&self, groups: usize) -> Result<ArrayRef> {
        let better = |left: &&Best, right: &&Best| {
            left.standing(&self.rule).cmp(&right.standing(&self.rule))
        };
        let winner = |group: usize| self.kept.of(group).into_iter().min_by(better);
        let winners: Vec<Option<&Best>> = (0..groups).map(winner).collect();
        let some = || winners.iter().copied();
        let nothing = ScalarValue::try_from(self.value_type())?;
        let values =
            some().map(|best| best.map_or_else(|| nothing.clone(), |best| best.value.clone()));
        let word = rule_word(&self.rule);
        let columns: Vec<ArrayRef> = vec![
            column(values, self.value_type())?,
            Arc::new(some().map(|best| best?.source.as_deref()).collect::<StringArray>()),
            Arc::new(some().map(|best| best?.key.as_deref()).collect::<StringArray>()),
            Arc::new(
                some()
                    .map(|best| best.map(|best| best.at))
                    .collect::<TimestampMicrosecondArray>()
                    .with_timezone(UTC),
            ),
            Arc::new(some().map(|best| best.map(|_| word)).collect::<StringArray>()),
        ];
        let there = NullBuffer::from_iter(some().map(|best| best.is_some()));
        Ok(Arc::new(StructArray::try_new(self.result.clone(), columns, Some(there))?))
    }

    /// Returns what is kept of the first groups.
    fn states(&self, groups: usize) -> Result<ArrayRef> {
        let of_group: Vec<Vec<&Best>> = (0..groups).map(|group| self.kept.of(group)).collect();
        let lengths = OffsetBuffer::from_lengths(of_group.iter().map(Vec::len));
        let all = || of_group.iter().flatten();
        let count = |votes: usize| i64::try_from(votes).unwrap_or(i64::MAX);
        let columns: Vec<ArrayRef> = vec![
            column(all().map(|best| best.value.clone()), self.value_type())?,
            Arc::new(all().map(|best| best.source.as_deref()).collect::<StringArray>()),
            Arc::new(all().map(|best| best.key.as_deref()).collect::<StringArray>()),
            Arc::new(Int64Array::from_iter_values(all().map(|best| best.at))),
            Arc::new(Int64Array::from_iter_values(all().map(|best| count(best.votes)))),
        ];
        let item = kept_field(self.value_type());
        let DataType::Struct(fields) = item.data_type() else {
            return internal_err!("what is kept is no record");
        };
        let kept = StructArray::try_new(fields.clone(), columns, None)?;
        Ok(Arc::new(ListArray::try_new(item, lengths, Arc::new(kept), None)?))
    }

    fn forget(&mut self, emit_to: EmitTo) {
        let groups = self.count(emit_to);
        self.bytes -= self.kept.forget(groups);
    }

    fn count(&self, emit_to: EmitTo) -> usize {
        match emit_to {
            EmitTo::All => self.kept.len(),
            EmitTo::First(groups) => groups,
        }
    }
}

/// Collects values into a column of their type.
fn column(values: impl Iterator<Item = ScalarValue>, of: &DataType) -> Result<ArrayRef> {
    let mut values = values.peekable();
    match values.peek() {
        Some(_) => ScalarValue::iter_to_array(values),
        None => Ok(new_empty_array(of)),
    }
}

/// The arguments of one batch.
struct Offered<'a> {
    values: &'a ArrayRef,
    texts: StringArray,
    times: ArrayRef,
    sources: Option<StringArray>,
    keys: Option<StringArray>,
}

impl<'a> Offered<'a> {
    fn of(columns: &'a [ArrayRef]) -> Result<Self> {
        let [values, times, ..] = columns else {
            return internal_err!("value and time were not given");
        };
        let text = |at: usize| columns.get(at).map(tables::texts).transpose().map_err(failure);
        let times = cast(times, &time())?;
        let texts = tables::texts(values).map_err(failure)?;
        Ok(Self { values, texts, times, sources: text(2)?, keys: text(3)? })
    }

    /// Returns what a row says; nothing without a value or a time.
    fn vote(&self, row: usize) -> Option<Vote<'_>> {
        let times = self.times.as_primitive::<TimestampMicrosecondType>();
        let text = text_at(&self.texts, row).filter(|text| !text.is_empty())?;
        let at = times.is_valid(row).then(|| times.value(row))?;
        let source = self.sources.as_ref().and_then(|column| text_at(column, row));
        let key = self.keys.as_ref().and_then(|column| text_at(column, row));
        Some(Vote { text, source, key, at, votes: 1 })
    }
}

fn text_at(column: &StringArray, row: usize) -> Option<&str> {
    column.is_valid(row).then(|| column.value(row))
}

fn passes(filter: Option<&BooleanArray>, row: usize) -> bool {
    filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row))
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.kept.grow(total_num_groups);
        let offered = Offered::of(values)?;
        for (row, group) in
            group_indices.iter().enumerate().filter(|(row, _)| passes(opt_filter, *row))
        {
            if let Some(vote) = offered.vote(row) {
                self.take(*group, vote, || ScalarValue::try_from_array(offered.values, row))?;
            }
        }
        Ok(())
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.kept.grow(total_num_groups);
        let [lists] = values else { return internal_err!("one state was expected") };
        let lists = lists.as_list::<i32>();
        let kept = lists.values().as_struct();
        let [values, sources, keys, times, votes] = kept.columns() else {
            return internal_err!("what was kept has other columns");
        };
        let texts = tables::texts(values).map_err(failure)?;
        let (sources, keys) = (sources.as_string::<i32>(), keys.as_string::<i32>());
        let (times, votes) = (times.as_primitive::<Int64Type>(), votes.as_primitive::<Int64Type>());
        let offsets = lists.value_offsets();
        let place = |at: i32| usize::try_from(at).unwrap_or_default();
        for (row, group) in group_indices.iter().enumerate().filter(|(row, _)| lists.is_valid(*row))
        {
            for at in place(offsets[row])..place(offsets[row + 1]) {
                let vote = Vote {
                    text: texts.value(at),
                    source: text_at(sources, at),
                    key: text_at(keys, at),
                    at: times.value(at),
                    votes: usize::try_from(votes.value(at)).unwrap_or_default(),
                };
                self.take(*group, vote, || ScalarValue::try_from_array(values, at))?;
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let results = self.results(self.count(emit_to))?;
        self.forget(emit_to);
        Ok(results)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let states = self.states(self.count(emit_to))?;
        self.forget(emit_to);
        Ok(vec![states])
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let rows = values.first().map_or(0, |values| values.len());
        let mut own = Self::new(self.rule.clone(), self.result.clone());
        own.update_batch(values, &(0..rows).collect::<Vec<_>>(), opt_filter, rows)?;
        own.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.kept.size() + self.bytes
    }
}

/// The values of a single group.
#[derive(Debug)]
pub(super) struct One(Groups);

impl One {
    /// The only group of `groups`, which has none yet.
    pub(super) fn new(mut groups: Groups) -> Self {
        groups.kept.grow(1);
        Self(groups)
    }
}

impl Accumulator for One {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let rows = values.first().map_or(0, |values| values.len());
        self.0.update_batch(values, &vec![0; rows], None, 1)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let rows = states.first().map_or(0, |states| states.len());
        self.0.merge_batch(states, &vec![0; rows], 1)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::try_from_array(&self.0.states(1)?, 0)?])
    }

    // A window asks again and again, so nothing is let go.
    fn evaluate(&mut self) -> Result<ScalarValue> {
        ScalarValue::try_from_array(&self.0.results(1)?, 0)
    }

    fn size(&self) -> usize {
        self.0.size()
    }
}
