//! Segments that read each other: which comes after which, and that none comes after itself.

use std::collections::{BTreeMap, BTreeSet};

use super::definition::{Body, Kind};
use super::references::{SegmentsRead, segments_read};
use super::state::CatalogState;
use crate::error::{Error, Result};

/// The segments of a lake, each with those that it reads.
///
/// A segment that reads `segment_members` reads all others. So that there is an order, such segments come after those
/// that do not, themselves or through another one, and among each other they are ordered by the names that they name.
#[derive(Debug, Default)]
pub struct SegmentOrder {
    /// By segment: those that it reads by name.
    named: BTreeMap<String, BTreeSet<String>>,
    /// By segment: those that come before it.
    before: BTreeMap<String, BTreeSet<String>>,
}

impl SegmentOrder {
    /// Finds out what the segments of `state` read.
    pub fn of(state: &CatalogState) -> Self {
        let reads: BTreeMap<String, SegmentsRead> = state
            .of_kind(Kind::Segment)
            .filter_map(|definition| match &definition.body {
                Body::Segment(segment) => {
                    Some((definition.name.clone(), segments_read(&segment.query)))
                }
                _ => None,
            })
            .collect();
        let named: BTreeMap<String, BTreeSet<String>> = reads
            .iter()
            .map(|(name, read)| {
                let there = read.named.iter().filter(|other| reads.contains_key(*other));
                (name.clone(), there.cloned().collect())
            })
            .collect();
        let members = reads.iter().filter(|(_, read)| read.members).map(|(name, _)| name.as_str());
        let of_all = reached(members, &readers(&named));
        let others = || named.keys().filter(|name| !of_all.contains(name.as_str())).cloned();
        let before = named
            .iter()
            .map(|(name, read)| {
                let mut before = read.clone();
                if reads[name].members {
                    before.extend(others());
                }
                before.remove(name);
                (name.clone(), before)
            })
            .collect();
        Self { named, before }
    }

    /// Returns every segment, each after those that it reads.
    pub fn all(&self) -> Vec<String> {
        let readers = readers(&self.before);
        let mut missing: BTreeMap<&str, usize> =
            self.before.iter().map(|(name, before)| (name.as_str(), before.len())).collect();
        let mut ready: BTreeSet<&str> =
            missing.iter().filter(|(_, count)| **count == 0).map(|(name, _)| *name).collect();
        let mut order = Vec::with_capacity(self.before.len());
        while let Some(name) = ready.pop_first() {
            missing.remove(name);
            order.push(name.to_owned());
            for reader in readers.get(name).into_iter().flatten() {
                if let Some(count) = missing.get_mut(reader) {
                    *count -= 1;
                    if *count == 0 {
                        ready.insert(reader);
                    }
                }
            }
        }
        // Only a circle is left, and none can be defined.
        order.extend(missing.into_keys().map(str::to_owned));
        order
    }

    /// Returns the segment `name` and all that it reads, itself or through another one, each after those that it reads.
    pub fn up_to(&self, name: &str) -> Vec<String> {
        let before: BTreeMap<&str, BTreeSet<&str>> = self
            .before
            .iter()
            .map(|(name, before)| (name.as_str(), before.iter().map(String::as_str).collect()))
            .collect();
        let wanted = reached(std::iter::once(name), &before);
        self.all().into_iter().filter(|name| wanted.contains(name.as_str())).collect()
    }

    /// Returns the segments that the segment `name` reads by name.
    pub fn read_by(&self, name: &str) -> impl Iterator<Item = &str> {
        self.named.get(name).into_iter().flatten().map(String::as_str)
    }

    /// Fails if the segment `name` reads itself, through whichever others.
    pub fn check(&self, name: &str) -> Result<()> {
        let mut from: BTreeMap<&str, &str> = BTreeMap::new();
        let mut open = vec![name];
        while let Some(reader) = open.pop() {
            for read in self.read_by(reader) {
                if read == name {
                    return Err(circular(name, reader, &from));
                }
                if !from.contains_key(read) {
                    from.insert(read, reader);
                    open.push(read);
                }
            }
        }
        Ok(())
    }
}

/// Turns "reads" round: by segment, those that read it.
fn readers(reads: &BTreeMap<String, BTreeSet<String>>) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut readers: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (reader, read) in reads {
        for name in read {
            readers.entry(name.as_str()).or_default().insert(reader.as_str());
        }
    }
    readers
}

/// Returns what `edges` lead to from `starts`, the starts included.
fn reached<'a>(
    starts: impl Iterator<Item = &'a str>,
    edges: &BTreeMap<&'a str, BTreeSet<&'a str>>,
) -> BTreeSet<&'a str> {
    let mut open: Vec<&str> = starts.collect();
    let mut found: BTreeSet<&str> = BTreeSet::new();
    while let Some(name) = open.pop() {
        if found.insert(name) {
            open.extend(edges.get(name).into_iter().flatten().copied());
        }
    }
    found
}

/// The error of the segment `name`, which `last` reads; `from` says of each segment on the way who reads it.
fn circular(name: &str, last: &str, from: &BTreeMap<&str, &str>) -> Error {
    let mut way = vec![name, last];
    while let Some(reader) = way.last().and_then(|name| from.get(name)) {
        way.push(reader);
    }
    way.reverse();
    let way: Vec<String> = way.iter().map(|name| format!("segments.{name}")).collect();
    Error::Invalid {
        message: format!("segment \"{name}\" depends on itself"),
        hint: format!(
            "{}: let one of them read profiles, sources or events instead.",
            way.join(" reads ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Definition, Freshness, Segment};

    /// A state with segments of these names and queries.
    fn state(segments: &[(&str, &str)]) -> CatalogState {
        let mut state = CatalogState::new([0; 16]);
        for (name, query) in segments {
            let segment = Segment {
                graph: "customer".into(),
                purpose: "service".into(),
                freshness: Freshness::OnDemand,
                query: (*query).into(),
            };
            let (name, sql) = ((*name).into(), String::new());
            state.put(Definition { name, sql, comment: None, body: Body::Segment(segment) }, 1);
        }
        state
    }

    fn reading(names: &[&str]) -> String {
        let parts = names.iter().map(|name| format!("SELECT profile_id FROM {name}"));
        parts.collect::<Vec<_>>().join(" UNION ")
    }

    #[test]
    fn each_segment_comes_after_those_that_it_reads() {
        let (a, b) = (reading(&["segments.c", "Segments.\"b\""]), reading(&["segments.z"]));
        let d = reading(&["public.segment_members"]);
        let order = SegmentOrder::of(&state(&[
            ("a", &a),
            ("b", &b),
            ("c", &reading(&["profiles", "segments.no_more"])),
            ("d", &d),
            ("e", &reading(&["segments.d"])),
            ("z", &reading(&["profiles"])),
        ]));
        assert_eq!(order.all(), ["c", "z", "b", "a", "d", "e"]);
        assert_eq!(order.up_to("a"), ["c", "z", "b", "a"]);
        assert_eq!(order.up_to("z"), ["z"]);
        assert_eq!(order.up_to("e"), ["c", "z", "b", "a", "d", "e"]);
        assert_eq!(order.read_by("a").collect::<Vec<_>>(), ["b", "c"]);
        assert!(order.read_by("d").next().is_none(), "members of all of them are no names");
        for name in ["a", "b", "c", "d", "e", "z"] {
            order.check(name).unwrap();
        }
    }

    #[test]
    fn readers_of_all_members_have_an_order_among_each_other() {
        let all = "SELECT profile_id FROM segment_members";
        let both = format!("{all} INTERSECT SELECT profile_id FROM segments.n");
        let order = SegmentOrder::of(&state(&[
            ("m", &both),
            ("n", all),
            ("o", "SELECT profile_id FROM profiles"),
        ]));
        assert_eq!(order.all(), ["o", "n", "m"]);
        order.check("m").unwrap();
    }

    #[test]
    fn a_circle_is_refused_and_told() {
        let hint = |segments: &[(&str, &str)], name: &str| {
            let refused = SegmentOrder::of(&state(segments)).check(name).unwrap_err();
            assert_eq!(refused.to_string(), format!("segment \"{name}\" depends on itself"));
            refused.hint().unwrap_or_default()
        };
        let circle = [
            ("a", "SELECT profile_id FROM segments.b"),
            ("b", "SELECT profile_id FROM segments.c"),
            ("c", "SELECT profile_id FROM segments.a"),
            ("d", "SELECT profile_id FROM segments.a"),
        ];
        let told = hint(&circle, "b");
        let way = "segments.b reads segments.c reads segments.a reads segments.b: ";
        assert!(told.starts_with(way), "{told}");
        let own = [("a", "SELECT profile_id FROM segments.a")];
        assert!(hint(&own, "a").starts_with("segments.a reads segments.a: "));
        // Who reads a circle is none of it, and everybody has a place in the order.
        let order = SegmentOrder::of(&state(&circle));
        order.check("d").unwrap();
        assert_eq!(order.all(), ["a", "b", "c", "d"]);
    }
}
