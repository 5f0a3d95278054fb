//! What a delivery left half-written when its process ended in the middle: the next delivery removes it.
//!
//! Only files whose hidden name is exactly that of another run of the same delivery are touched, and none that somebody
//! still writes.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::destination::Place;
use crate::contract::Delivery;
use crate::error::Result;

/// How long the name of a run is: a number in hexadecimal.
const RUN_DIGITS: usize = 32;

/// Returns the hidden name that the file `name` is written under by a run.
pub(super) fn name(name: &str, run: &str) -> String {
    format!(".{name}.{run}.tmp")
}

/// Removes what earlier runs of `delivery` left. What cannot be removed stays: it is in nobody's way.
pub(super) fn remove(place: &Place, delivery: &Delivery) {
    for path in found(place, delivery) {
        if let Err(error) = remove_unless_written(&path) {
            let path = path.display();
            tracing::warn!(%path, %error, "a half-written delivery could not be removed");
        }
    }
}

/// Returns the half-written files of other runs of `delivery`.
fn found(place: &Place, delivery: &Delivery) -> Vec<PathBuf> {
    let parts = place.parts();
    let Some((_, parents)) = parts.split_last() else { return vec![] };
    let Ok(target) = place.path_of_run(delivery, &delivery.run) else { return vec![] };
    let mut folders = vec![place.root.path.clone()];
    // The part of each folder in the path of this run stands for all runs where the run is in it.
    let names = target.components().map(|part| part.as_os_str()).filter(|part| *part != ".");
    for (part, name) in parents.iter().zip(names) {
        folders = match part.contains("{run}") {
            true => folders.iter().flat_map(|folder| entries(folder)).collect(),
            false => folders.into_iter().map(|folder| folder.join(name)).collect(),
        };
    }
    let files = folders.iter().flat_map(|folder| entries(folder));
    files.filter(|path| is_left_by_other_run(place, delivery, path).unwrap_or(false)).collect()
}

/// Returns what is in a folder; nothing if there is none.
fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// Tells whether `path` is the hidden name that another run of `delivery` writes its file under.
fn is_left_by_other_run(place: &Place, delivery: &Delivery, path: &Path) -> Result<bool> {
    let hidden = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let Some(run) = hidden.strip_suffix(".tmp").and_then(|name| Some(name.rsplit_once('.')?.1))
    else {
        return Ok(false);
    };
    let is_run = run.len() == RUN_DIGITS && run.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_run || run == delivery.run {
        return Ok(false);
    }
    let target = place.root.path.join(place.path_of_run(delivery, run)?);
    let Some(file) = target.file_name() else { return Ok(false) };
    Ok(path == target.with_file_name(name(&file.to_string_lossy(), run)))
}

fn remove_unless_written(path: &Path) -> io::Result<()> {
    if !fs::symlink_metadata(path)?.is_file() {
        return Ok(());
    }
    match File::open(path)?.try_lock() {
        Ok(()) => fs::remove_file(path),
        Err(fs::TryLockError::WouldBlock) => Ok(()),
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}
