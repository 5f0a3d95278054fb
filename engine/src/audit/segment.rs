//! The segment of a process on a local disk: a file that it appends to, and that it holds locked for as long as it may.
//!
//! The kernel lets go of the lock when the process ends, however it ends. So a segment that can be locked is closed, and
//! nobody ever writes to it again.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Error as IoError, Result as IoResult};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use uuid::Uuid;

use crate::clock::Clock;

/// How often a segment is made anew, if it was taken for a closed one before it could be locked.
const ATTEMPTS_MAX: usize = 8;

/// Returns a new name, in the order of time.
pub(super) fn name(clock: &dyn Clock) -> String {
    format!("{:020}-{}", clock.now_us(), Uuid::new_v4().simple())
}

/// Makes a segment and locks it, and makes its name durable.
pub(super) fn create(folder: &Path, clock: &dyn Clock) -> IoResult<File> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    for _ in 0..ATTEMPTS_MAX {
        let path = folder.join(format!("{}.ndjson", name(clock)));
        let file = OpenOptions::new().create_new(true).append(true).mode(0o600).open(path)?;
        if lock(&file)? {
            File::open(folder)?.sync_all()?;
            return Ok(file);
        }
    }
    Err(IoError::other("every new segment was folded before it could be locked"))
}

/// Locks a segment, unless another process holds it or has removed it meanwhile.
pub(super) fn lock(file: &File) -> IoResult<bool> {
    match file.try_lock() {
        Ok(()) => Ok(file.metadata()?.nlink() > 0),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
