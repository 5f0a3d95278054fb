//! The file destination: one file for each delivery, whole or not there.
//!
//! A delivery is written under a hidden name in the folder where it is going to be, made durable, and renamed. A run
//! that is delivered again replaces its file, and what a run that was killed left half-written goes with the next one.
//! A path that leads to what others need, such as the lake or the files of a source, is refused.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use flate2::write::GzEncoder;
use glob::Pattern;

use super::encode;
use super::input::Compression;
use super::leftover;
use super::root::{MATCHING, Root};
use crate::contract::{Delivery, Destination, DestinationSpec, Format, Receipt};
use crate::error::{Error, Result};

/// Folders and files are for the user that runs onefold: they hold personal data.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

const WRITE_BYTES: usize = 256 << 10;

/// The longest name that a run, a sync or a segment puts into a path.
const NAME_BYTES_MAX: usize = 128;

/// Files as a destination: CSV, NDJSON or Parquet, compressed when the path ends with `.gz` or `.zst`.
///
/// CSV cells are written as they are, also those that begin with `=`, `+`, `-` or `@`, which a spreadsheet takes for
/// formulas: the files are for programs, and a changed value would match nobody there.
pub(crate) struct FileDestination {
    place: Arc<Place>,
}

pub(super) struct Place {
    pub(super) root: Root,
    name: String,
    template: String,
    format: Format,
    /// Folders and files that no delivery may overwrite, and what they are.
    reserved_folders: Vec<(PathBuf, String)>,
    reserved_files: Vec<(Pattern, String)>,
}

impl FileDestination {
    /// Checks the definition; writes nothing.
    pub(crate) fn open(spec: DestinationSpec, paths: &[String]) -> Result<FileDestination> {
        let root = Root::open("destination", &spec.name, &spec.root)?;
        let [template] = paths else {
            let hint = "Name one path; `{segment}`, `{sync}` and `{run}` stand for names.";
            return Err(root.invalid("the path", hint));
        };
        if spec.format == Format::Segment {
            return Err(root.invalid("format segment", "Write csv, ndjson or parquet."));
        }
        if spec.format == Format::Parquet && Compression::of(template) != Compression::None {
            let hint = "Parquet compresses its own columns: let the path end with .parquet.";
            return Err(root.invalid("the path", hint));
        }
        // A pattern that is none matches no file, and its source reads none.
        let files = spec.reserved.files.into_iter();
        let files = files.filter_map(|(text, what)| Some((root.split(&text).ok()?.1, what)));
        let place = Place {
            reserved_files: files.collect(),
            reserved_folders: spec.reserved.folders,
            root,
            name: spec.name,
            template: template.clone(),
            format: spec.format,
        };
        place.check_free(&place.relative_path(|_| Ok("name".to_owned()))?)?;
        Ok(FileDestination { place: Arc::new(place) })
    }
}

#[async_trait]
impl Destination for FileDestination {
    fn location(&self, delivery: &Delivery) -> Result<String> {
        Ok(self.place.path_of(delivery)?.to_string_lossy().into_owned())
    }

    async fn deliver(&self, delivery: Delivery) -> Result<Receipt> {
        let place = Arc::clone(&self.place);
        let written = tokio::task::spawn_blocking(move || place.write(&delivery)).await;
        match written.map_err(tokio::task::JoinError::try_into_panic) {
            Ok(receipt) => receipt,
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            Err(Err(_)) => {
                Err(Error::Interrupted { connector: "destination", name: self.place.name.clone() })
            }
        }
    }
}

impl Place {
    fn write(&self, delivery: &Delivery) -> Result<Receipt> {
        let relative = self.path_of(delivery)?;
        let target = self.root.path.join(&relative);
        let (Some(folder), Some(name)) = (target.parent(), target.file_name()) else {
            return Err(self.root.invalid("the path", "Let it end with the name of a file."));
        };
        let folder = self.make_folder(folder)?;
        let target = folder.join(name);
        leftover::remove(self, delivery);
        let temporary = folder.join(leftover::name(&name.to_string_lossy(), &delivery.run));
        let written = self.write_file(&temporary, delivery).and_then(|file| {
            let renamed = fs::rename(&temporary, &target).and_then(|()| sync_folder(&folder));
            // Until here its lock says that somebody still writes it.
            drop(file);
            renamed.map_err(|error| self.root.refused(&target, error))
        });
        if let Err(error) = written {
            // What is left under the hidden name goes with the next delivery, so this may fail.
            let _ = fs::remove_file(&temporary);
            return Err(error);
        }
        let rows = delivery.batches.iter().map(|batch| batch.num_rows() as u64).sum();
        Ok(Receipt { location: relative.to_string_lossy().into_owned(), rows })
    }

    /// Returns the path of the delivery's file, relative to the root, unless somebody else needs what is there.
    fn path_of(&self, delivery: &Delivery) -> Result<PathBuf> {
        let path = self.path_of_run(delivery, &delivery.run)?;
        self.check_free(&path)?;
        Ok(path)
    }

    /// Returns the path of the file of a run that delivers what `delivery` does, relative to the root.
    pub(super) fn path_of_run(&self, delivery: &Delivery, run: &str) -> Result<PathBuf> {
        self.relative_path(|name| match name {
            "segment" => delivery.segment.clone().ok_or_else(|| {
                let hint = "The sync sends the rows of a query: use `{sync}` in the path.";
                self.root.invalid("`{segment}` in the path", hint)
            }),
            "sync" => Ok(delivery.sync.clone()),
            _ => Ok(run.to_owned()),
        })
    }

    /// Returns the parts of the path with names still to be filled in, relative to the root: the folders and the file.
    pub(super) fn parts(&self) -> Vec<&str> {
        let root = self.root.path.to_string_lossy();
        let relative = self.template.strip_prefix(&*root).unwrap_or(&self.template);
        relative.split('/').filter(|part| !matches!(*part, "" | ".")).collect()
    }

    /// Fails if a delivery to `path` would overwrite what somebody else needs. Links in the part of it that is there
    /// are followed.
    fn check_free(&self, path: &Path) -> Result<()> {
        let plain: PathBuf =
            path.components().filter(|part| matches!(part, Component::Normal(_))).collect();
        let target = self.root.path.join(plain);
        let there = target.ancestors().skip(1).find_map(|folder| {
            let rest = target.strip_prefix(folder).ok()?;
            Some(folder.canonicalize().ok()?.join(rest))
        });
        for target in [Some(&target), there.as_ref()].into_iter().flatten() {
            let mut folders = self.reserved_folders.iter();
            let folder = folders.find(|(folder, _)| target.starts_with(folder));
            let relative = target.strip_prefix(&self.root.path).ok();
            let file = relative.and_then(|path| {
                let mut files = self.reserved_files.iter();
                files.find(|(pattern, _)| pattern.matches_path_with(path, MATCHING))
            });
            let what = folder.map(|(_, what)| what).or_else(|| file.map(|(_, what)| what));
            if let Some(what) = what {
                let hint = format!(
                    "It is {what}, which a delivery would overwrite. Name a path that nothing else uses, such as \
                     'out/{{sync}}/{{run}}.csv'."
                );
                return Err(self.root.invalid(&format!("the path \"{}\"", path.display()), &hint));
            }
        }
        Ok(())
    }

    /// Fills in the template. Names must be names, so that they lead into no other folder.
    fn relative_path(&self, value_of: impl Fn(&str) -> Result<String>) -> Result<PathBuf> {
        let mut path = String::with_capacity(self.template.len());
        let mut rest = self.template.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, behind)) = after.split_once('}') else {
                return Err(self.root.invalid("the path", "Close the brace."));
            };
            if !matches!(name, "segment" | "sync" | "run") {
                let hint = "Only `{segment}`, `{sync}` and `{run}` stand for names.";
                return Err(self.root.invalid(&format!("`{{{name}}}` in the path"), hint));
            }
            path.push_str(before);
            path.push_str(&self.checked(name, value_of(name)?)?);
            rest = behind;
        }
        path.push_str(rest);
        let root = self.root.path.to_string_lossy();
        let relative =
            path.strip_prefix(&*root).map_or(&*path, |rest| rest.trim_start_matches('/'));
        let relative = Path::new(relative);
        let inside = relative
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        match inside && !path.ends_with('/') && relative.file_name().is_some() {
            true => Ok(relative.to_owned()),
            false => {
                let hint = "Name a file within the project's folder, without `..`.";
                Err(self.root.invalid("the path", hint))
            }
        }
    }

    fn checked(&self, name: &str, value: String) -> Result<String> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        let valid = value.bytes().all(plain)
            && (1..=NAME_BYTES_MAX).contains(&value.len())
            && !value.starts_with('.');
        match valid {
            true => Ok(value),
            false => {
                let hint = "Use letters, digits, `_`, `-` and `.` in its name, 128 at most.";
                Err(self.root.invalid(&format!("`{{{name}}}` in the path"), hint))
            }
        }
    }

    /// Makes the folder unless it is there, durably, and returns it with links resolved.
    fn make_folder(&self, folder: &Path) -> Result<PathBuf> {
        let refused = |error| self.root.refused(folder, error);
        let there =
            folder.ancestors().find(|ancestor| ancestor.is_dir()).unwrap_or(&self.root.path);
        // Before anything is made: the part that is there may be a link that leads outside.
        self.root.inside(&there.canonicalize().map_err(refused)?)?;
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(FOLDER_MODE).create(folder).map_err(refused)?;
        let resolved = folder.canonicalize().map_err(refused)?;
        self.root.inside(&resolved)?;
        for made in folder.ancestors().take_while(|ancestor| *ancestor != there) {
            sync_folder(made.parent().unwrap_or(made)).map_err(refused)?;
        }
        Ok(resolved)
    }

    /// Writes the rows to a new file, durably, and returns it, locked.
    fn write_file(&self, path: &Path, delivery: &Delivery) -> Result<File> {
        let refused = |error| self.root.refused(path, error);
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(refused(error)),
            _ => {}
        }
        // Created anew, so that no link is followed.
        let file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path);
        let file = file.map_err(refused)?;
        match file.lock() {
            // Where there are no locks nobody else is kept away by one.
            Err(error) if error.kind() != io::ErrorKind::Unsupported => return Err(refused(error)),
            _ => {}
        }
        let sink = BufWriter::with_capacity(WRITE_BYTES, file);
        let sink = match Compression::of(&self.template) {
            Compression::None => self.encode(delivery, sink)?,
            Compression::Gzip => {
                let coder = GzEncoder::new(sink, flate2::Compression::default());
                self.encode(delivery, coder)?.finish().map_err(refused)?
            }
            Compression::Zstd => {
                let coder =
                    zstd::stream::write::Encoder::new(sink, zstd::DEFAULT_COMPRESSION_LEVEL);
                self.encode(delivery, coder.map_err(refused)?)?.finish().map_err(refused)?
            }
        };
        let file = sink.into_inner().map_err(|error| refused(error.into_error()))?;
        file.sync_all().map_err(refused)?;
        Ok(file)
    }

    fn encode<W: Write + Send>(&self, delivery: &Delivery, sink: W) -> Result<W> {
        let written = encode::write(self.format, &delivery.schema, &delivery.batches, sink);
        written.map_err(|error| self.unwritable(error))
    }

    fn unwritable(&self, error: arrow::error::ArrowError) -> Error {
        let path = Path::new(&self.template);
        match error {
            arrow::error::ArrowError::IoError(_, error) => self.root.refused(path, error),
            error => {
                let hint = "A column's type cannot be written in this format: cast it to text.";
                self.root.error(path, hint, Some(io::Error::other(error)))
            }
        }
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
