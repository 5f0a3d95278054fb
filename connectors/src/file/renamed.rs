//! Files that have other names than when they were read: logs that a rotation moved aside.
//!
//! A file under a new name, or under the name of another one, is recognised by what was read of it: its mark moves with
//! it, and it goes on where it was read to. What then lies under its old name is a file of its own, none of whose rows
//! was read before.

use std::collections::{HashMap, HashSet};
use std::fs::File;

use super::input::{Origin, Stat};
use super::mark::{Mark, Marks, Standing, Start, start_of};
use super::schema::Pending;
use crate::contract::Format;
use crate::error::Result;

/// How many files that are gone from their names are looked for under others; those that were written last count.
const MISSED_MAX: usize = 256;

/// A file that was found, and what its name's mark says about it.
struct Place {
    origin: Origin,
    file: File,
    stat: Stat,
    /// `None` if its name is new.
    standing: Option<Standing>,
    /// It is not the file that was read under its name, even if it begins like it.
    other: bool,
}

impl Place {
    /// Tells whether it is, for all that its name's mark says, what was read under it.
    fn is_known(&self) -> bool {
        matches!(self.standing, Some(Standing::Unchanged | Standing::GoesOn(_)))
    }
}

/// Returns what is to be read of `found`, and moves the marks of files that were renamed.
pub(super) fn settle(
    marks: &mut Marks,
    found: Vec<Origin>,
    format: Format,
) -> Result<Vec<Pending>> {
    let mut places = Vec::with_capacity(found.len());
    for origin in found {
        let (file, stat) = origin.open()?;
        let mark = marks.files.get(&*origin.file);
        let standing = mark.map(|mark| mark.standing(&origin, &file, stat)).transpose()?;
        let other = mark.is_some_and(|mark| mark.is_other(stat));
        places.push(Place { origin, file, stat, standing, other });
    }
    follow(marks, &mut places)?;
    let mut pending = Vec::new();
    for Place { mut origin, standing, .. } in places {
        if standing.is_none() && marks.left.remove(&*origin.file) {
            marks.followers += 1;
            origin.id = format!("{}\u{1f}{}", origin.file, marks.followers).into();
        } else if let Some(id) = marks.files.get(&*origin.file).and_then(|mark| mark.id.as_deref())
        {
            origin.id = id.into();
        }
        let start = match standing {
            Some(Standing::Unchanged) => continue,
            Some(Standing::GoesOn(start)) => start,
            Some(Standing::Replaced) | None => Start::at(start_of(format)),
        };
        pending.push(Pending { origin, start });
    }
    Ok(pending)
}

/// Finds the files of marks whose names have other files now, or none, and moves the marks to where they are.
fn follow(marks: &mut Marks, places: &mut [Place]) -> Result<()> {
    let is_settled = |place: &Place| place.is_known() && !place.other;
    let settled: HashSet<&str> =
        places.iter().filter(|place| is_settled(place)).map(|place| &*place.origin.file).collect();
    let mut missed: Vec<(&String, &Mark)> =
        marks.files.iter().filter(|(name, _)| !settled.contains(name.as_str())).collect();
    if missed.is_empty() || settled.len() == places.len() {
        return Ok(());
    }
    missed.sort_by_key(|(_, mark)| std::cmp::Reverse(mark.modified_ns));
    missed.truncate(MISSED_MAX);
    let now_there: HashMap<&str, u64> =
        places.iter().map(|place| (&*place.origin.file, place.stat.inode)).collect();
    let mut moves: HashMap<String, usize> = HashMap::new();
    for (number, place) in places.iter().enumerate().filter(|(_, place)| !is_settled(place)) {
        let mut best: Option<(&String, &Mark)> = None;
        for (name, mark) in missed.iter().copied() {
            let longer = best.is_none_or(|(_, best)| mark.at.offset > best.at.offset);
            if longer
                && *name != *place.origin.file
                && !moves.contains_key(name)
                && may_be(mark, now_there.get(name.as_str()).copied(), place)
                && mark.begins(&place.origin, Some(&place.file), place.stat)?
            {
                best = Some((name, mark));
            }
        }
        if let Some((name, _)) = best {
            moves.insert(name.clone(), number);
        }
    }
    apply(marks, places, moves)
}

/// Tells whether the file of `mark` can be the one in `place`: the same one, or the copy of one that was emptied where it
/// was. `now_there` is the file that lies under its old name now. Who looks like what was read under its own name is only
/// taken for the same one.
fn may_be(mark: &Mark, now_there: Option<u64>, place: &Place) -> bool {
    match mark.inode {
        Some(inode) => inode == place.stat.inode || now_there == Some(inode) && !place.is_known(),
        None => !place.is_known(),
    }
}

fn apply(marks: &mut Marks, places: &mut [Place], moves: HashMap<String, usize>) -> Result<()> {
    let mut moved = Vec::with_capacity(moves.len());
    for (name, number) in moves {
        let Some(mut mark) = marks.files.remove(&name) else { continue };
        mark.id.get_or_insert_with(|| name.clone());
        if let Some(place) = places.iter_mut().find(|place| *place.origin.file == *name) {
            place.standing = None;
        }
        marks.left.insert(name);
        moved.push((mark, number));
    }
    for (mark, number) in moved {
        let place = &mut places[number];
        let name = place.origin.file.to_string();
        tracing::info!(file = %place.origin.file, "this file was read under another name");
        place.standing = Some(mark.goes_on(&place.origin, &place.file, place.stat)?);
        marks.left.remove(&name);
        marks.files.insert(name, mark);
    }
    Ok(())
}
