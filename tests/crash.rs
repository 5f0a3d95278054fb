//! `kill -9` in the middle of a refresh: what is there is whole, and the next refresh completes.

use std::os::unix::process::ExitStatusExt;
use std::time::Instant;

use crate::harness::{Built, Contents, PROMPT, WORK, files, small};
use crate::incremental::grown;

/// At so many moments a refresh is killed, evenly spread over the files that it writes.
const MOMENTS: usize = 6;

/// What identity and unification make, visible in one publication.
const UNIFIED: [&str; 7] = [
    "profiles",
    "profile_identifiers",
    "former_identifiers",
    "attribute_sources",
    "identity_edges",
    "identity_violations",
    "profile_merges",
];
/// Relations over several tables that are published one by one.
const VIEWS: [&str; 1] = ["profile_records"];

#[test]
fn a_killed_refresh_leaves_whole_versions_and_the_next_one_completes() {
    let waiting = grown(small());
    let before = Contents::of(&waiting.lake).without_intake();
    let undisturbed = waiting.copied();
    let files_before = files(&undisturbed.lake).len();
    undisturbed.refresh();
    let files_written = files(&undisturbed.lake).len() - files_before;
    let after = Contents::of(&undisturbed.lake).without_intake();
    let changed = before.differing(&after);
    assert!(
        changed.contains(&"profiles") && changed.contains(&"sources.shop_orders"),
        "nothing to do but in {changed:?}"
    );

    for moment in 1..=MOMENTS {
        let lake = waiting.copied();
        kill_when_written(&lake, files_written * moment / (MOMENTS + 1));
        let found = Contents::of(&lake.lake).without_intake();
        for name in changed.iter().filter(|name| !UNIFIED.contains(name) && !VIEWS.contains(name)) {
            // Whose a row is comes from the identity graph, which is refreshed after the sources.
            let rows = [&before, &found, &after]
                .map(|contents| contents.relation(name).without(&["profile_id"]));
            let [old, there, new] = rows;
            assert!(
                there == old || there == new,
                "moment {moment}: {name} is a mixture of {} rows",
                there.len()
            );
        }
        let versions = [&before, &after]
            .map(|contents| UNIFIED.map(|name| contents.relation(name) == found.relation(name)));
        assert!(
            versions.contains(&[true; UNIFIED.len()]),
            "moment {moment}: {UNIFIED:?}, which are published together, are of two versions: {versions:?}"
        );
        lake.refresh();
        Contents::of(&lake.lake)
            .without_intake()
            .assert_same(&after, &format!("moment {moment}: the next refresh"));
    }
}

/// Starts a refresh and kills it as soon as it has written so many files. It must not have ended before.
fn kill_when_written(lake: &Built, count: usize) {
    let goal = files(&lake.lake).len() + count;
    let mut refresh = lake.start_refresh();
    let started = Instant::now();
    while refresh.is_running() && files(&lake.lake).len() < goal {
        assert!(
            started.elapsed() < WORK,
            "the refresh wrote no {count} files; stderr:\n{}",
            refresh.stderr()
        );
        std::thread::yield_now();
    }
    assert!(
        refresh.signal("KILL"),
        "the refresh ended before it was killed; stderr:\n{}",
        refresh.stderr()
    );
    assert_eq!(refresh.wait(PROMPT).signal(), Some(9), "the kill came too late");
}
