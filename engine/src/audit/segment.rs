//! The segment of a process on a local disk: a file that it appends to, and that it holds locked for as long as it may.
//!
//! The kernel lets go of the lock when the process ends, however it ends. So a segment that can be locked is closed, and
//! nobody ever writes to it again.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Error as IoError, Result as IoResult, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use uuid::Uuid;

use super::unwritten;
use crate::clock::Clock;
use crate::error::Error;

/// How often a segment is made anew, if it was taken for a closed one before it could be locked.
const ATTEMPTS_MAX: usize = 8;

/// Returns a new name, in the order of time.
pub(super) fn name(clock: &dyn Clock) -> String {
    format!("{:020}-{}", clock.now_us(), Uuid::new_v4().simple())
}

/// Appends lines durably to the open segment. After a failure the segment is given up, with what half a line it may end
/// in, and the next lines go to another: the lines come back to be written again.
pub(super) async fn append(
    open: &mut Option<File>,
    folder: &Path,
    clock: &dyn Clock,
    lines: Vec<u8>,
) -> Result<(), (Vec<u8>, Error)> {
    let segment = open.take();
    let names: Vec<String> = (0..ATTEMPTS_MAX).map(|_| name(clock)).collect();
    let folder = folder.to_owned();
    let work = tokio::task::spawn_blocking(move || {
        let write = || -> IoResult<File> {
            let mut segment = match segment {
                Some(segment) => segment,
                None => create(&folder, &names)?,
            };
            segment.write_all(&lines)?;
            segment.sync_data()?;
            Ok(segment)
        };
        write().map_err(|error| (lines.clone(), error))
    });
    match work.await {
        Ok(Ok(written)) => {
            *open = Some(written);
            Ok(())
        }
        Ok(Err((lines, error))) => Err((lines, unwritten(Box::new(error)))),
        Err(error) => Err((vec![], unwritten(Box::new(error)))),
    }
}

/// Makes a segment and locks it, and makes its name durable.
fn create(folder: &Path, names: &[String]) -> IoResult<File> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    for name in names {
        let path = folder.join(format!("{name}.ndjson"));
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
