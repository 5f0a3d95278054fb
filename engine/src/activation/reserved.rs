//! What no delivery may overwrite: the lake itself, the project, and the files that sources and secrets are read from.

use std::path::{Path, PathBuf};

use connectors::{ConnectorSpec, Reserved};

use crate::catalog::{Body, CatalogState, Secret};
use crate::error::{Error, Result};

/// The folders of a lake: all that is reserved of one that the project lies in.
const LAKE_FOLDERS: [&str; 12] = [
    "_audit",
    "_catalog",
    "_lease",
    "_sequences",
    "analytics",
    "cdp",
    "consent",
    "former_members",
    "identity",
    "profiles",
    "segments",
    "sources",
];

/// What a project consists of.
const PROJECT: [(&str, &str); 2] =
    [("onefold.toml", "the settings of the project"), ("**/*.sql", "a definition of the project")];

/// Returns what is reserved below `root` in a lake with this state, which lies in `lake` if that is a folder.
pub(super) fn reserved(lake: Option<&Path>, state: &CatalogState, root: &Path) -> Result<Reserved> {
    let files = PROJECT.map(|(pattern, what)| (pattern.to_owned(), what.to_owned()));
    let mut reserved = Reserved { folders: lake_folders(lake, root)?, files: files.into() };
    for definition in state.all() {
        let name = &definition.name;
        match &definition.body {
            Body::Source(source) => {
                let ConnectorSpec::File { paths } = &source.connector;
                let what = format!("read by source \"{name}\"");
                reserved.files.extend(paths.iter().map(|path| (path.clone(), what.clone())));
            }
            Body::Secret(Secret::File(path)) => {
                reserved.files.push((path.clone(), format!("read by secret \"{name}\"")));
            }
            _ => {}
        }
    }
    Ok(reserved)
}

fn lake_folders(lake: Option<&Path>, root: &Path) -> Result<Vec<(PathBuf, String)>> {
    let Some(lake) = lake else { return Ok(vec![]) };
    let resolved = |path: &Path| {
        path.canonicalize().map_err(|error| Error::Unavailable {
            message: format!("the folder \"{}\" cannot be looked at", path.display()),
            source: Some(Box::new(error)),
        })
    };
    let (lake, root) = (resolved(lake)?, resolved(root)?);
    let folders = match root.starts_with(&lake) {
        true => LAKE_FOLDERS.iter().map(|name| lake.join(name)).collect(),
        false => vec![lake],
    };
    Ok(folders.into_iter().map(|folder| (folder, "part of the lake".to_owned())).collect())
}
