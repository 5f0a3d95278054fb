//! Refreshing after a few new records: only what they touch is done, and the outcome is that of doing everything anew.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::corpus::Corpus;
use crate::harness::{Built, Contents, files, root, small};

/// One in so many persons of the shop joins those of the small corpus, which are a tenth of all: about one in a hundred.
const JOINING_ONE_IN: u32 = 1_000;

/// Copies a lake and puts new files under it that it has not seen: records of new people, and of some that it knows.
pub(crate) fn grown(built: &Built) -> Built {
    let grown = built.copied();
    let mut corpus = grown.corpus();
    let whole = Corpus::read(&root().join("examples/shop/data"));
    corpus.append(&whole.of_people(|number| number % JOINING_ONE_IN == 3));
    change_known_people(&mut corpus);
    corpus.write(&grown.project.join("data"));
    grown
}

/// How many people [`change_known_people`] may touch.
const CHANGED: u32 = 3;

/// A contact moves, a mailbox opens a mail, a browser comes back.
fn change_known_people(corpus: &mut Corpus) {
    let (city, updated) = (corpus.contacts.column("city"), corpus.contacts.column("updated_at"));
    let mut moved = corpus.contacts.rows[0].clone();
    moved[city] = "Sopot".to_owned();
    moved[updated] = "2026-11-01 08:00:00".to_owned();
    corpus.contacts.rows.push(moved);
    let (event, at) = (corpus.engagement.column("event"), corpus.engagement.column("occurred_at"));
    let mut opened = corpus.engagement.rows[0].clone();
    opened[event] = "opened".to_owned();
    opened[at] = "2026-11-01T08:00:00Z".to_owned();
    corpus.engagement.rows.push(opened);
    let known = corpus
        .events
        .iter()
        .find(|line| line.contains("\"track\"") && line.ends_with('}'))
        .unwrap()
        .clone();
    let id = crate::corpus::member(&known, "messageId").unwrap();
    corpus.events.push(known.replace(&id, "ajs-a-new-one-of-a-known-browser"));
}

/// The newest version of every table of a lake, but for the logs about onefold itself.
fn versions(lake: &Path) -> BTreeMap<PathBuf, PathBuf> {
    let mut versions = BTreeMap::new();
    for file in files(lake) {
        let Some(log) = file.parent().filter(|folder| folder.ends_with("_delta_log")) else {
            continue;
        };
        let is_commit = file.extension().is_some_and(|extension| extension == "json");
        if is_commit && !log.starts_with("cdp") {
            // Names are padded numbers and come in order: the last one stays.
            versions.insert(log.to_owned(), file.clone());
        }
    }
    assert!(versions.len() > 10, "only {} tables in {}", versions.len(), lake.display());
    versions
}

#[test]
fn nothing_new_does_no_work() {
    let lake = small().copied();
    let before = versions(&lake.lake);
    lake.refresh();
    assert_eq!(versions(&lake.lake), before);
}

/// A refresh that looks at nobody, or at one person who lacks what others have, takes nobody away.
#[tokio::test]
async fn who_is_not_looked_at_stays() {
    let lake = small().copied();
    let counts = async |lake: &Built| {
        let server = lake.serve();
        let session = server.session("engineer").await;
        let count = "SELECT count(*), count(total_spent), count(birth_date) FROM profiles";
        session.rows(count).await
    };
    let before = counts(&lake).await;

    let mut corpus = lake.corpus();
    let mut answer = corpus.ledger.rows[0].clone();
    answer[corpus.ledger.column("captured_at")] = "2026-11-01T08:00:00Z".to_owned();
    corpus.ledger.rows.push(answer);
    corpus.write(&lake.project.join("data"));
    lake.refresh();
    assert_eq!(counts(&lake).await, before, "after an answer about consent");

    // Somebody without a name, a birthday, an order or anything else to choose from.
    let mut bare = vec![String::new(); corpus.contacts.rows[0].len()];
    for (column, value) in [
        ("crm_id", "CRM-900001"),
        ("email", "nobody.else@example.com"),
        ("updated_at", "2026-11-01 08:00:00"),
    ] {
        bare[corpus.contacts.column(column)] = value.to_owned();
    }
    corpus.contacts.rows.push(bare);
    corpus.write(&lake.project.join("data"));
    lake.refresh();
    let count = |rows: &[Vec<Option<String>>], at: usize| -> u64 {
        rows[0][at].as_ref().unwrap().parse().unwrap()
    };
    let after = counts(&lake).await;
    assert_eq!(count(&after, 0), count(&before, 0) + 1, "one profile more");
    assert_eq!((count(&after, 1), count(&after, 2)), (count(&before, 1), count(&before, 2)));
}

/// A contact who uses somebody's mailbox under another name is somebody else, until the name is corrected, and again when it
/// is corrected once more.
#[tokio::test]
async fn a_corrected_name_reaches_identity() {
    let lake = small().copied();
    let mut corpus = lake.corpus();
    let column = |name: &str| corpus.contacts.column(name);
    let (key, email, updated) = (column("crm_id"), column("email"), column("updated_at"));
    let (first, last) = (column("first_name"), column("last_name"));
    let known = corpus.contacts.rows[0].clone();
    let mut typed = vec![String::new(); known.len()];
    (typed[key], typed[email]) = ("CRM-900002".to_owned(), "first.of.all@example.com".to_owned());
    (typed[first], typed[last]) = ("Zbigniew".to_owned(), "Wiśniewski".to_owned());
    typed[updated] = "2026-11-01 08:00:00".to_owned();
    let mut other = typed.clone();
    (other[key], other[first]) = ("CRM-900003".to_owned(), "Katarzyna".to_owned());
    let mut corrected = other.clone();
    corrected[first] = "Zbyszek".to_owned();
    corrected[updated] = "2026-11-02 08:00:00".to_owned();
    let mut again = corrected.clone();
    again[first] = "Ewa".to_owned();
    again[updated] = "2026-11-03 08:00:00".to_owned();

    let persons = "SELECT DISTINCT profile_id FROM sources.crm_contacts WHERE crm_id LIKE 'CRM-90000%' ORDER BY 1";
    let refreshed = async |corpus: &crate::corpus::Corpus| {
        corpus.write(&lake.project.join("data"));
        lake.refresh();
        let server = lake.serve();
        let session = server.session("engineer").await;
        let merges = "SELECT merged_profile_id, profile_id, rule FROM profile_merges";
        (session.rows(persons).await, session.rows(merges).await)
    };
    corpus.contacts.rows.extend([typed, other]);
    let (apart, _) = refreshed(&corpus).await;
    assert_eq!(apart.len(), 2, "two people with one mailbox");
    corpus.contacts.rows.push(corrected);
    let (together, merges) = refreshed(&corpus).await;
    assert_eq!(together.len(), 1, "one person with two accounts");
    let id = |row: &Vec<Option<String>>| row[0].clone();
    let lost: Vec<_> = apart.iter().map(id).filter(|before| *before != id(&together[0])).collect();
    let told: Vec<_> = merges.iter().filter(|merge| lost.contains(&merge[0])).collect();
    assert_eq!(told, [&vec![lost[0].clone(), id(&together[0]), Some("email".to_owned())]]);
    corpus.contacts.rows.push(again);
    let (parted, _) = refreshed(&corpus).await;
    assert_eq!(parted, apart, "a correction separates them, and each has the id of before");
}

#[tokio::test]
async fn new_records_touch_only_what_they_change() {
    let lake = small().copied();
    let mut corpus = lake.corpus();
    change_known_people(&mut corpus);
    corpus.write(&lake.project.join("data"));
    let before = versions(&lake.lake);
    lake.refresh();
    let after = versions(&lake.lake);
    let moved: Vec<String> = after
        .iter()
        .filter(|(log, version)| before.get(*log) != Some(version))
        .map(|(log, _)| log.display().to_string())
        .collect();
    for untouched in
        ["sources/shop_customers/", "sources/loyalty_members/", "sources/consent_ledger/"]
    {
        assert!(
            !moved.iter().any(|log| log.starts_with(untouched)),
            "{untouched} has a new version; moved: {moved:?}"
        );
    }
    for touched in ["sources/crm_contacts/", "sources/email_engagement/", "sources/web_events/"] {
        assert!(
            moved.iter().any(|log| log.starts_with(touched)),
            "{touched} has no new version; moved: {moved:?}"
        );
    }

    // The process that refreshed had not worked with the lake before: it still tells the new from what was there.
    let server = lake.serve();
    let session = server.session("engineer").await;
    let profiles = session
        .value("SELECT rows_out FROM cdp.refreshes WHERE object = 'profiles' AND status = 'done' ORDER BY at DESC LIMIT 1")
        .await;
    let profiles: u32 = profiles.parse().unwrap();
    assert!((1..=CHANGED).contains(&profiles), "{profiles} profiles were made anew");
}

/// What the newest refresh of profiles made anew, and how many stages of the graph it tells of.
fn newest_refresh(lake: &Built) -> [String; 2] {
    let newest = |what: &str| {
        format!(
            "SELECT {what} FROM cdp.refreshes WHERE object = 'profiles' AND status = 'done' \
             ORDER BY at DESC LIMIT 1"
        )
    };
    let stages =
        format!("SELECT count(*) FROM cdp.identity_stages WHERE run = ({})", newest("run"));
    [newest("rows_out"), stages].map(|statement| {
        let said = crate::harness::sql_csv(&lake.lake, "engineer", &statement);
        said.lines().last().unwrap().to_owned()
    })
}

/// A row that changed in what says nothing of its person makes a profile anew, and leaves the graph alone.
#[test]
fn rows_that_say_the_same_of_their_people_leave_the_graph_alone() {
    let lake = small().copied();
    let mut corpus = lake.corpus();
    let (key, updated) = (corpus.contacts.column("crm_id"), corpus.contacts.column("updated_at"));
    let rows = &corpus.contacts.rows;
    let versions_of = |row: &[String]| rows.iter().filter(|other| other[key] == row[key]).count();
    let mut contact = rows.iter().find(|row| versions_of(row) == 1).unwrap().clone();
    contact[updated] = "2026-11-01 08:00:00".to_owned();
    corpus.contacts.rows.push(contact.clone());
    corpus.write(&lake.project.join("data"));
    lake.refresh();
    assert_eq!(newest_refresh(&lake), ["1", "0"]);
    let before = versions(&lake.lake);
    lake.refresh();
    assert_eq!(versions(&lake.lake), before, "nothing is left to do");

    // Who moves says something new, also after that.
    contact[corpus.contacts.column("city")] = "Sopot".to_owned();
    contact[updated] = "2026-11-02 08:00:00".to_owned();
    corpus.contacts.rows.push(contact);
    corpus.write(&lake.project.join("data"));
    lake.refresh();
    assert_ne!(newest_refresh(&lake)[1], "0");
}

/// So many files of a table are merged by the upkeep that ends a refresh.
const MERGED_FILES: u32 = 66;

/// Files of superseded versions are merged now and then. Nobody's rows are other ones for it.
#[tokio::test]
async fn merged_history_touches_nobody() {
    let lake = small().copied();
    let mut corpus = lake.corpus();
    let (city, updated) = (corpus.contacts.column("city"), corpus.contacts.column("updated_at"));
    let mut contact = corpus.contacts.rows[0].clone();
    let mut moves_to = |town: String, hour: u32| {
        contact[city] = town;
        contact[updated] = format!("2026-11-{:02} {:02}:00:00", 1 + hour / 24, hour % 24);
        corpus.contacts.rows.push(contact.clone());
        corpus.write(&lake.project.join("data"));
    };
    {
        let server = lake.serve();
        let engineer = server.session("engineer").await;
        for hour in 0..MERGED_FILES {
            moves_to(format!("Town {hour}"), hour);
            engineer.run("REFRESH SOURCE crm_contacts").await.unwrap();
        }
    }
    let history = lake.lake.join("sources/crm_contacts_superseded");
    let log = |text: &str| {
        let commits = files(&history.join("_delta_log")).into_iter();
        let commits = commits.filter(|path| path.extension().is_some_and(|kind| kind == "json"));
        let read = |path: PathBuf| std::fs::read_to_string(history.join("_delta_log").join(path));
        commits.filter(|path| read(path.clone()).unwrap().contains(text)).count()
    };
    lake.refresh();
    assert!(log("\"dataChange\":false") > 0, "nothing was merged");

    moves_to("Gdynia".to_owned(), MERGED_FILES);
    lake.refresh();
    let newest = "SELECT rows_out FROM cdp.refreshes WHERE object = 'profiles' AND status = 'done' \
                  ORDER BY at DESC LIMIT 1";
    let profiles = crate::harness::sql_csv(&lake.lake, "engineer", newest);
    assert_eq!(profiles.lines().last(), Some("1"), "profiles that were made anew");
}

#[tokio::test]
async fn a_few_new_records_give_what_a_full_rebuild_gives() {
    let lake = grown(small());
    lake.refresh();
    let incremental = Contents::of(&lake.lake);
    let before = Contents::of(&small().lake);
    let joined = incremental.relation("sources.shop_customers").len()
        - before.relation("sources.shop_customers").len();
    assert!(joined > 0, "nobody joined");
    assert_eq!(churn(&lake)[..2], moved(&before, &incremental));

    // The same log, everything derived from it made anew: the same rows and the same ids.
    let rebuilt = lake.copied();
    {
        let server = rebuilt.serve();
        server.session("engineer").await.run("REFRESH ALL FULL").await.unwrap();
    }
    Contents::of(&rebuilt.lake).assert_same(&incremental, "REFRESH ALL FULL");
    assert_eq!(churn(&rebuilt), [0, 0, 0]);

    // Another lake that takes everything at once: ids are its own, but the same records are the same people.
    let fresh = Built::of(&lake.corpus());
    let fresh = Contents::of(&fresh.lake);
    assert_eq!(clusters(&fresh), clusters(&incremental), "the same records belong together");
    let golden = |contents: &Contents| {
        let rows = contents.relation("profiles").without(&["profile_id"]);
        rows.into_iter().map(|row| row.join("|")).collect::<Vec<_>>()
    };
    assert_eq!(golden(&fresh), golden(&incremental), "the same people have the same values");
}

/// What the newest refresh of profiles says of those before: records moved, ids merged, profiles split.
fn churn(lake: &Built) -> [usize; 3] {
    let newest = "SELECT records_moved, profiles_merged, profiles_split FROM cdp.refreshes \
                  WHERE object = 'profiles' AND status = 'done' ORDER BY at DESC LIMIT 1";
    let said = crate::harness::sql_csv(&lake.lake, "engineer", newest);
    let said = said.lines().last().unwrap().split(',').map(|count| count.parse().unwrap());
    said.collect::<Vec<usize>>().try_into().unwrap()
}

/// How many records of persons have another profile than before, and how many ids lead to another one.
fn moved(before: &Contents, after: &Contents) -> [usize; 2] {
    let profiles = |contents: &Contents| -> BTreeMap<Vec<String>, String> {
        let rows = contents.relation("profile_records");
        let rows = rows.of_columns(&["source", "record_key", "profile_id"]).into_iter();
        let of_people = rows.filter(|row| row[0] != "shop_orders");
        of_people
            .map(|row| {
                (row[..2].iter().map(|text| (*text).to_owned()).collect(), row[2].to_owned())
            })
            .collect()
    };
    let (then, now) = (profiles(before), profiles(after));
    let moved = then.iter().filter(|(record, profile)| now.get(*record) != Some(profile));
    let ids = |contents: &Contents| -> BTreeSet<String> {
        let rows = contents.relation("profiles").of_columns(&["profile_id"]);
        rows.into_iter().map(|row| row[0].to_owned()).collect()
    };
    [moved.count(), ids(before).difference(&ids(after)).count()]
}

/// The records of each profile, whatever its id.
fn clusters(contents: &Contents) -> Vec<Vec<String>> {
    let mut by_profile: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let records = contents.relation("profile_records");
    for row in records.of_columns(&["profile_id", "source", "record_key"]) {
        by_profile.entry(row[0]).or_default().push(format!("{} {}", row[1], row[2]));
    }
    let mut clusters: Vec<Vec<String>> = by_profile.into_values().collect();
    clusters.sort();
    clusters
}
