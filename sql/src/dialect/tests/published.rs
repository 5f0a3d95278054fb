//! What graphs in this language make of examples that Segment and Adobe publish of theirs.
//!
//! The events are theirs: Segment's page on the settings of identity resolution, and Adobe's pages on the linking logic, the
//! identity optimization algorithm and the examples of graph configurations. `LIMIT 1` is what Adobe calls a unique namespace.
//! Each example says who is one person, and about that we agree.
//!
//! One difference is on purpose. Both give a value that two people use to one of them: Segment to whose it was first, Adobe to
//! whose it was last, so that anonymous visits on a shared device change hands with every log-in. Here it is `shared`: each of
//! the two has it, and it leads nobody who says nothing else to either.

use engine::catalog::Body;
use engine::identity::{NewSubject, PersonFields, Resolver, Rules, ValueClass};

use super::*;

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// The lines of an example, resolved.
pub(super) struct Replay {
    pub(super) resolver: Resolver,
    /// The subject of each line: an event that says what an earlier one said is the same.
    pub(super) subjects: Vec<u32>,
}

impl Replay {
    fn new(graph: &str) -> Replay {
        let Statement::Create { definition, .. } =
            one(&format!("CREATE IDENTITY GRAPH customer IDENTIFIERS ({graph})")).statement
        else {
            panic!("{graph}")
        };
        let Body::IdentityGraph(graph) = definition.body else { panic!("no graph") };
        let rules = Rules::from_graph(&graph).unwrap();
        Replay { resolver: Resolver::new(rules), subjects: Vec::new() }
    }

    /// Resolves one line more.
    fn add(&mut self, line: &str, at: i64) {
        self.take(line, at);
        self.resolver.resolve();
    }

    /// Takes one line in: `CRMID: Tom, ECID: 111`, behind `record` if it is one of a person. Its first identifier is the key of
    /// the record.
    fn take(&mut self, line: &str, at: i64) {
        let (is_record, line) = match line.strip_prefix("record ") {
            Some(line) => (true, line),
            None => (false, line),
        };
        let mut person = PersonFields::default();
        let mut identifiers: Vec<(u16, &str)> = Vec::new();
        for part in line.split(", ") {
            let (kind, value) = part.split_once(':').unwrap();
            match (kind.trim().to_lowercase().as_str(), value.trim()) {
                ("name", name) => person.name = Some(name.to_owned()),
                (kind, value) => {
                    let kind = self.resolver.rules().kind(kind);
                    identifiers.push((kind.unwrap_or_else(|| panic!("{part}")), value));
                }
            }
        }
        let source = self.resolver.source(if is_record { "crm" } else { "web" }).unwrap();
        let subject = NewSubject {
            source,
            trust: 100,
            record: is_record.then(|| identifiers[0].1),
            identifiers: &identifiers,
            person: is_record.then_some(&person),
            observed_at: at,
        };
        self.subjects.push(self.resolver.add(&[subject]).unwrap());
    }

    /// Resolves lines that all say something else, all of them at once: many would take long one after the other.
    pub(super) fn at_once(graph: &str, lines: &[String]) -> Replay {
        let mut replay = Replay::new(graph);
        for (line, at) in lines.iter().zip(0..) {
            replay.take(line, at);
        }
        replay.resolver.resolve();
        replay
    }

    pub(super) fn of(graph: &str, lines: &[&str]) -> Replay {
        let mut replay = Replay::new(graph);
        for (at, line) in lines.iter().enumerate() {
            match lines[..at].iter().position(|earlier| earlier == line) {
                Some(earlier) => replay.subjects.push(replay.subjects[earlier]),
                None => replay.add(line, at as i64),
            }
        }
        replay
    }

    /// The lines of each person, and those of nobody.
    pub(super) fn people(&self) -> (Vec<Vec<usize>>, Vec<usize>) {
        let (mut people, mut nobody): (Vec<(u32, Vec<usize>)>, Vec<usize>) = Default::default();
        for (line, subject) in self.subjects.iter().enumerate() {
            match self.resolver.anchor_of(*subject) {
                None => nobody.push(line),
                Some(anchor) => match people.iter_mut().find(|(known, _)| *known == anchor) {
                    Some((_, lines)) => lines.push(line),
                    None => people.push((anchor, vec![line])),
                },
            }
        }
        (people.into_iter().map(|(_, lines)| lines).collect(), nobody)
    }

    pub(super) fn class(&self, kind: &str, value: &str) -> Option<ValueClass> {
        self.resolver.value_class(self.resolver.rules().kind(kind).unwrap(), value)
    }

    /// How many people have a value.
    pub(super) fn holders(&self, kind: &str, value: &str) -> usize {
        self.resolver.profiles_by_value(self.resolver.rules().kind(kind).unwrap(), value).len()
    }
}

/// Checks who is who, and that `shared`, a kind and a value, is known to be two people's.
#[track_caller]
pub(super) fn check(
    graph: &str,
    lines: &[&str],
    people: &[&[usize]],
    shared: Option<(&str, &str)>,
) -> Replay {
    let replay = Replay::of(graph, lines);
    let (found, nobody) = replay.people();
    assert_eq!(found, people, "{lines:?}");
    let told: usize = people.iter().map(|lines| lines.len()).sum();
    assert_eq!(nobody.len(), lines.len() - told, "{lines:?}");
    if let Some((kind, value)) = shared {
        assert_eq!(replay.class(kind, value), Some(ValueClass::Shared), "{lines:?}");
        assert_eq!(replay.holders(kind, value), 2, "{lines:?}");
    }
    replay
}

pub(super) const CRMID: &str = "crmid PRIORITY 1 LIMIT 1, ecid PRIORITY 2";
const HASHED_EMAIL: &str = "crmid PRIORITY 1 LIMIT 1, email_lc_sha256 PRIORITY 2, ecid PRIORITY 3";
const DEVICES: &str =
    "crmid PRIORITY 1 LIMIT 1, email_lc_sha256 PRIORITY 2, phone_sha256 PRIORITY 3,
    gaid PRIORITY 4, idfa PRIORITY 5, ecid PRIORITY 6";
pub(super) const LOGIN: &str = "crmid PRIORITY 1 LIMIT 1, loginid PRIORITY 2, ecid PRIORITY 3";
const LOGINS: &str =
    "crmid PRIORITY 1 LIMIT 1, email_lc_sha256 PRIORITY 2, phone_sha256 PRIORITY 3,
    loginid PRIORITY 4, ecid PRIORITY 5, aaid PRIORITY 6";
const COMMERCE: &str = "crmid PRIORITY 1 LIMIT 1, email PRIORITY 2 LIMIT 1, ecid PRIORITY 5";

/// Adds the last events of an example to those that its configuration begins with.
fn with<'a>(first: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [first, more].concat()
}

#[test]
fn adobe_a_log_in_ties_a_browser_and_its_anonymous_visits_to_the_customer() {
    let graph = "crmid PRIORITY 1 LIMIT 1, email PRIORITY 2, phone PRIORITY 3, ecid PRIORITY 4";
    let lines = [
        "record CRMID: 60013ABC, Phone: 555-555-1234, Email: julien@acme.com, name: Julien Smith",
        "record CRMID: 31260XYZ, Phone: 777-777-6890, Email: evan@acme.com, name: Evan Smith",
        "ECID: 38652",
        "ECID: 38652, CRMID: 31260XYZ",
        "ECID: 44675",
        "ECID: 44675, CRMID: 31260XYZ",
    ];
    check(graph, &lines, &[&[0], &[1, 2, 3, 4, 5]], None);
    let lines = [
        "PHONE:(555)-555-1234, EMAIL:julien@acme.com, CRMID:60013ABC",
        "CRMID:60013ABC, ECID:100066526",
    ];
    check(graph, &lines, &[&[0, 1]], None);
}

#[test]
fn adobe_customers_who_share_a_browser_a_device_or_an_address_stay_apart() {
    check(CRMID, &["CRMID: Tom, ECID: 111"], &[&[0]], None);
    let shared = Some(("ecid", "111"));
    check(CRMID, &["CRMID: Tom, ECID: 111", "CRMID: Summer, ECID: 111"], &[&[0], &[1]], shared);
    let own = [
        "CRMID: Tom, Email_LC_SHA256: aabbcc",
        "CRMID: Tom, ECID: 111",
        "CRMID: Summer, Email_LC_SHA256: ddeeff",
        "CRMID: Summer, ECID: 222",
    ];
    let apart: [&[usize]; 2] = [&[0, 1], &[2, 3, 4]];
    check(HASHED_EMAIL, &own, &[&[0, 1], &[2, 3]], None);
    check(HASHED_EMAIL, &with(&own, &["CRMID: Summer, ECID: 111"]), &apart, shared);
    let email = Some(("email_lc_sha256", "aabbcc"));
    let lines = with(&own, &["CRMID: Summer, Email_LC_SHA256: aabbcc"]);
    check(HASHED_EMAIL, &lines, &apart, email);
    let own = [
        "CRMID: Tom, Email_LC_SHA256: aabbcc, Phone_SHA256: 123-4567",
        "CRMID: Tom, ECID: 111",
        "CRMID: Tom, ECID: 222, IDFA: A-A-A",
        "CRMID: Summer, Email_LC_SHA256: ddeeff, Phone_SHA256: 765-4321",
        "CRMID: Summer, ECID: 333",
        "CRMID: Summer, ECID: 444, GAID:B-B-B",
    ];
    check(DEVICES, &own, &[&[0, 1, 2], &[3, 4, 5]], None);
    let apart: [&[usize]; 2] = [&[0, 1, 2], &[3, 4, 5, 6]];
    for (event, shared) in [
        ("CRMID: Summer, ECID: 111", ("ecid", "111")),
        ("CRMID: Summer, ECID: 222, IDFA: A-A-A", ("idfa", "A-A-A")),
        ("CRMID: Summer, ECID: 555, IDFA: A-A-A", ("idfa", "A-A-A")),
        ("CRMID: Summer, Phone_SHA256: 123-4567", ("phone_sha256", "123-4567")),
        ("CRMID: Summer, Email_LC_SHA256: aabbcc", ("email_lc_sha256", "aabbcc")),
    ] {
        check(DEVICES, &with(&own, &[event]), &apart, Some(shared));
    }
    let android = with(&own, &["CRMID: Tom, ECID: 444, GAID: B-B-B"]);
    check(DEVICES, &android, &[&[0, 1, 2, 6], &[3, 4, 5]], Some(("gaid", "B-B-B")));
    // With a unique telephone Summer keeps one of her two; Adobe takes the later one.
    let unique = DEVICES.replace("phone_sha256 PRIORITY 3", "phone_sha256 PRIORITY 3 LIMIT 1");
    let lines = with(&own, &["CRMID: Summer, Phone_SHA256: 123-4567"]);
    let replay = check(&unique, &lines, &apart, None);
    let summer = replay.resolver.anchor_of(replay.subjects[3]).unwrap();
    let phone = replay.resolver.rules().kind("phone_sha256").unwrap();
    let held = replay.resolver.identifiers(summer).into_iter().filter(|held| held.kind == phone);
    assert_eq!(held.count(), 1);
}

#[test]
fn adobe_accounts_lead_to_their_customer_and_one_of_two_customers_to_neither() {
    let own = [
        "CRMID: Tom, loginID: ID_A",
        "CRMID: Tom, loginID: ID_B",
        "loginID: ID_A, ECID: 111",
        "CRMID: Summer, loginID: ID_C",
        "CRMID: Summer, loginID: ID_D",
        "loginID: ID_C, ECID: 222",
    ];
    check(LOGIN, &own, &[&[0, 1, 2], &[3, 4, 5]], None);
    let shared = Some(("ecid", "111"));
    let lines = with(&own, &["loginID: ID_C, ECID: 111"]);
    check(LOGIN, &lines, &[&[0, 1, 2], &[3, 4, 5, 6]], shared);
    let lines = with(&own, &["CRMID: Tom, loginID: ID_D"]);
    check(LOGIN, &lines, &[&[0, 1, 2, 6], &[3, 4, 5]], Some(("loginid", "ID_D")));
    // A dangling account of which no customer is known: neither can tell that it is somebody else's.
    let lines = with(&own[..3], &["loginID: ID_C, ECID: 111"]);
    check(LOGIN, &lines, &[&[0, 1, 2, 3]], None);
    let own = [
        "CRMID: Tom, Email_LC_SHA256: aabbcc, Phone_SHA256: 123-4567",
        "CRMID: Tom, loginID: ID_A",
        "CRMID: Tom, loginID: ID_B",
        "loginID: ID_A, ECID: 111",
        "CRMID: Summer, Email_LC_SHA256: ddeeff, Phone_SHA256: 765-4321",
        "CRMID: Summer, loginID: ID_C",
        "CRMID: Summer, loginID: ID_D",
        "loginID: ID_C, ECID: 222",
    ];
    check(LOGINS, &own, &[&[0, 1, 2, 3], &[4, 5, 6, 7]], None);
    let lines = with(&own, &["loginID: ID_C, ECID: 111"]);
    check(LOGINS, &lines, &[&[0, 1, 2, 3], &[4, 5, 6, 7, 8]], shared);
    let more = ["CRMID: Summer, loginID: ID_C, ECID: 111", "loginID: ID_A, ECID: 111"];
    check(LOGINS, &with(&own, &more), &[&[0, 1, 2, 3, 9], &[4, 5, 6, 7, 8]], shared);
    let lines = with(&own, &["CRMID: Summer, Email_LC_SHA256: aabbcc"]);
    let email = Some(("email_lc_sha256", "aabbcc"));
    check(LOGINS, &lines, &[&[0, 1, 2, 3], &[4, 5, 6, 7, 8]], email);
    let more = ["CRMID: Tom, Phone_SHA256: 111-1111", "CRMID: Summer, Phone_SHA256: 111-1111"];
    let phone = Some(("phone_sha256", "111-1111"));
    check(LOGINS, &with(&own, &more), &[&[0, 1, 2, 3, 8], &[4, 5, 6, 7, 9]], phone);
    // An account of two customers: Adobe gives its browser to the later one, here it is nobody's.
    let lines = with(&own, &["CRMID: Tom, loginID: ID_C"]);
    let login = Some(("loginid", "ID_C"));
    check(LOGINS, &lines, &[&[0, 1, 2, 3, 8], &[4, 5, 6]], login);
}

#[test]
fn adobe_a_guest_on_the_device_of_a_customer_is_somebody_else() {
    let shared = Some(("ecid", "111"));
    check(
        COMMERCE,
        &["CRMID: Tom, Email: tom@acme.com", "CRMID: Tom, ECID: 111"],
        &[&[0, 1]],
        None,
    );
    let lines = [
        "CRMID: Tom, Email: tom@acme.com",
        "CRMID: Summer, Email: summer@acme.com",
        "CRMID: Tom, ECID: 111",
        "CRMID: Summer, ECID: 111",
    ];
    check(COMMERCE, &lines, &[&[0, 2], &[1, 3]], shared);
    let guest = "Email: summer@acme.com, ECID: 111";
    let lines = ["CRMID: Tom, Email: tom@acme.com", "CRMID: Tom, ECID: 111", guest];
    check(COMMERCE, &lines, &[&[0, 1], &[2]], shared);
    check(COMMERCE, &["Email: tom@acme.com, ECID: 111", guest], &[&[0], &[1]], shared);
    // Of a customer without a mailbox it may be the mailbox: the implementation error that Adobe warns of.
    check(COMMERCE, &["CRMID: Tom, ECID: 111", guest], &[&[0, 1]], None);
    let lines = [
        "Email: tom@acme.com, ECID: 111",
        "Email: tom@acme.com, CRMID: Tom",
        "CRMID: Tom, ECID: 111",
    ];
    check(COMMERCE, &lines, &[&[0, 1, 2]], None);
}

#[test]
fn adobe_a_mailbox_that_two_customers_made_up_joins_them_in_no_way() {
    let lines = [
        "CRMID: Jane, ECID: Safari",
        "CRMID: John, ECID: Chrome",
        "record CRMID: Jane, Email: test@test.com",
        "record CRMID: John, Email: test@test.com",
    ];
    let email = Some(("email", "test@test.com"));
    check(COMMERCE, &lines, &[&[0, 2], &[1, 3]], email);
}

#[test]
fn adobe_anonymous_visits_on_a_shared_tablet_change_hands_with_no_log_in() {
    let [kevin, nora, anonymous] =
        ["CRMID: Kevin, ECID: tablet", "CRMID: Nora, ECID: tablet", "ECID: tablet"];
    // Adobe: Nora's at first, and Kevin's once he logs in again.
    let shared = Some(("ecid", "tablet"));
    check(CRMID, &[kevin, anonymous], &[&[0, 1]], None);
    let replay = check(CRMID, &[kevin, nora, anonymous], &[&[0], &[1]], shared);
    assert_eq!(replay.people().1, [2], "nobody's");
    let replay = check(CRMID, &[kevin, nora, anonymous, kevin], &[&[0, 3], &[1]], shared);
    assert_eq!(replay.people().1, [2], "nobody's");
}

#[test]
fn segment_an_event_is_nobodys_whose_limit_its_strongest_identifier_would_exceed() {
    let graph =
        "user_id PRIORITY 1 LIMIT 1, email PRIORITY 2 LIMIT 5, anonymous_id PRIORITY 3 LIMIT 5";
    let [profile, event] =
        ["user_id: abc123, email: jane@example1.com", "user_id: abc456, email: jane@example1.com"];
    // Segment leaves the mailbox with the first profile alone.
    let email = Some(("email", "jane@example1.com"));
    check(graph, &[profile, event], &[&[0], &[1]], email);
    check(graph, &[event, profile], &[&[0], &[1]], email);
    let record = format!("record {profile}");
    let replay = check(graph, &[record.as_str(), event], &[&[0], &[1]], email);
    let refused =
        replay.resolver.violations().map(|refused| replay.resolver.explain_violation(refused));
    let refused: Vec<_> = refused.map(|refused| (refused.rule, refused.limited_kind)).collect();
    assert_eq!(refused, [("email".to_owned(), Some("user_id".to_owned()))]);
}

#[test]
fn segment_values_that_it_suggests_to_block_identify_nobody() {
    let graph = "user_id PRIORITY 1 LIMIT 1 BLOCK VALUES ('-1', 'null', 'anonymous') BLOCK MATCHING '^[0-]*$',
        anonymous_id PRIORITY 2 LIMIT 5";
    for value in ["-1", "null", "anonymous", "0", "-", "00-000"] {
        let events = ["first", "second"].map(|id| format!("user_id: {value}, anonymous_id: {id}"));
        let events = events.each_ref().map(String::as_str);
        let replay = check(graph, &events, &[&[0], &[1]], None);
        assert_eq!(replay.class("user_id", value), Some(ValueClass::Nobody), "{value}");
    }
}

#[test]
fn segment_limits_that_it_recommends_are_for_a_sliding_time() {
    let mut replay = Replay::new(
        "user_id PRIORITY 1 LIMIT 1, email PRIORITY 2 LIMIT 5 PER '365 days', anonymous_id PRIORITY 3 LIMIT 5 PER '1 week'",
    );
    let days = [0, 1, 2, 3, 4, 5, 8];
    for day in days {
        replay.add(&format!("user_id: u, anonymous_id: of day {day}"), day * DAY);
    }
    assert_eq!(replay.people(), (vec![vec![0, 1, 2, 3, 4, 5, 6]], vec![]), "all are the user's");
    let held = days.map(|day| replay.holders("anonymous_id", &format!("of day {day}")));
    assert_eq!(held, [1, 1, 1, 1, 1, 0, 1], "five in any week");
}
