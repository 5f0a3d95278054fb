//! More of what Segment and Adobe publish of their rules, replayed as `published` does: Segment's matching step by step, its
//! limits and its example of a shop; Adobe's guide to configurations with all of its exercises, and its guardrails.
//!
//! About who is one person the outcome is theirs but where a comment says otherwise. What of a value that two people use, and of
//! values beyond a `LIMIT`, differs as it does there: theirs hangs on which event came first or last, ours does not.

use engine::identity::ValueClass;

use super::published::{CRMID, LOGIN, Replay, check};

/// How many values of a kind the person of a line has.
fn held(replay: &Replay, line: usize, kind: &str) -> usize {
    let anchor = replay.resolver.anchor_of(replay.subjects[line]).unwrap();
    let kind = replay.resolver.rules().kind(kind).unwrap();
    let all = replay.resolver.identifiers(anchor).into_iter();
    all.filter(|identifier| identifier.kind == kind).count()
}

fn replayed(graph: &str, lines: &[String]) -> Replay {
    Replay::of(graph, &lines.iter().map(String::as_str).collect::<Vec<_>>())
}

const SEGMENT: &str =
    "user_id PRIORITY 1 LIMIT 1, email PRIORITY 2 LIMIT 5, anonymous_id PRIORITY 3 LIMIT 5";

#[test]
fn segment_an_event_makes_a_profile_joins_one_or_merges_several() {
    let [account, mailbox] = ["user_id: u1", "email: jane@example.com"];
    check(SEGMENT, &[account], &[&[0]], None);
    check(SEGMENT, &[account, "user_id: u1, anonymous_id: a1"], &[&[0, 1]], None);
    check(SEGMENT, &[account, mailbox], &[&[0], &[1]], None);
    let both = "user_id: u1, email: jane@example.com";
    for [first, second] in [[account, mailbox], [mailbox, account]] {
        let replay = check(SEGMENT, &[first, second, both], &[&[0, 1, 2]], None);
        // The profile that was made first is the one that stays.
        let stays = replay.resolver.anchor_of(replay.subjects[2]);
        assert_eq!(stays, Some(replay.subjects[0]));
    }
}

#[test]
fn segment_a_customer_of_its_shop_is_one_person_across_devices_and_apps() {
    // As it orders them by default: user_id, email, and the others by their names.
    let graph =
        "user_id PRIORITY 1 LIMIT 1, email PRIORITY 2 LIMIT 5, android_id PRIORITY 3 LIMIT 5,
        anonymous_id PRIORITY 4 LIMIT 5, ios_id PRIORITY 5 LIMIT 5";
    let lines = [
        "anonymous_id: anon_123, ios_id: ios_abc123",
        "anonymous_id: anon_123, ios_id: ios_abc123",
        "user_id: abc123def, email: janedoe@example.com, anonymous_id: anon_123, ios_id: ios_abc123",
        "user_id: abc123def, email: janedoe@example.com, anonymous_id: anon_456, android_id: and_1a2b3c4d",
        "user_id: abc123def, anonymous_id: anon_789, android_id: and_1a2b3c4d",
    ];
    let replay = check(graph, &lines, &[&[0, 1, 2, 3, 4]], None);
    let kinds = ["user_id", "email", "android_id", "anonymous_id", "ios_id"];
    assert_eq!(kinds.map(|kind| held(&replay, 0, kind)), [1, 1, 1, 3, 1]);
    let stays = replay.resolver.anchor_of(replay.subjects[4]);
    assert_eq!(stays, Some(replay.subjects[0]), "she keeps the id of her first visit");
}

#[test]
fn segment_who_did_not_reset_the_browser_is_not_merged_with_who_logs_in_next() {
    // Its example of merge protection. It leaves the browser, and the visit before, with the first of the two.
    let lines =
        ["anonymous_id: a1", "user_id: u1, anonymous_id: a1", "user_id: u2, anonymous_id: a1"];
    check(SEGMENT, &lines, &[&[1], &[2]], Some(("anonymous_id", "a1")));
    check(SEGMENT, &lines[..2], &[&[0, 1]], None);
    // It gives up one identifier after the other, the weakest first, until none is left that would break a limit.
    let [profile, event] = ["abc123", "abc456"]
        .map(|user| format!("user_id: {user}, email: jane@example1.com, anonymous_id: a1"));
    for shared in [("email", "jane@example1.com"), ("anonymous_id", "a1")] {
        check(SEGMENT, &[profile.as_str(), event.as_str()], &[&[0], &[1]], Some(shared));
    }
}

#[test]
fn segment_an_identifier_beyond_its_limit_is_left_out_and_the_event_is_not() {
    let mailboxes = 0..6;
    let mut lines: Vec<String> =
        mailboxes.clone().map(|number| format!("user_id: u1, email: {number}@x.example")).collect();
    let replay = replayed(SEGMENT, &lines);
    assert_eq!(replay.people().0, [[0, 1, 2, 3, 4, 5]]);
    assert_eq!(held(&replay, 0, "email"), 5);
    // What comes with that mailbox alone is somebody else's. It leaves out the last one, we one that a hash chooses.
    lines.extend(mailboxes.map(|number| format!("email: {number}@x.example")));
    let (people, nobody) = replayed(SEGMENT, &lines).people();
    assert_eq!(people.iter().map(Vec::len).collect::<Vec<_>>(), [11, 1]);
    assert!(nobody.is_empty());
    // Its configuration for people who have two accounts and one mailbox.
    let graph =
        "email PRIORITY 1 LIMIT 1, user_id PRIORITY 2 LIMIT 2, anonymous_id PRIORITY 3 LIMIT 5";
    let accounts = ["7d44-a1", "shopify-17", "third"];
    let lines = accounts.map(|account| format!("user_id: {account}, email: jane@example.com"));
    let replay = replayed(graph, &lines);
    assert_eq!(replay.people().0, [[0, 1, 2]]);
    assert_eq!(held(&replay, 0, "user_id"), 2);
}

#[test]
fn segment_a_profile_of_more_than_a_thousand_identifiers_takes_the_next_one() {
    // There a profile takes no further ones. Here LIMIT says how many, and nothing else does.
    let graph = "user_id PRIORITY 1 LIMIT 1, anonymous_id PRIORITY 2";
    let lines: Vec<String> =
        (0..1_001).map(|number| format!("user_id: u1, anonymous_id: {number}")).collect();
    let replay = Replay::at_once(graph, &lines);
    assert_eq!(replay.people().0.len(), 1);
    assert_eq!(held(&replay, 0, "anonymous_id"), 1_001);
}

const MOBILE: &str = "crmid PRIORITY 1 LIMIT 1, ecid PRIORITY 2, idfa PRIORITY 3";
const CARDS: &str = "crmid PRIORITY 1 LIMIT 1, cchash PRIORITY 2, ecid PRIORITY 3, idfa PRIORITY 4";
const HASHED: &str = "crmid PRIORITY 1 LIMIT 1, crmidhash PRIORITY 2 LIMIT 1, ecid PRIORITY 3";
const THREE: &str = "crmid PRIORITY 1 LIMIT 1, email PRIORITY 2 LIMIT 1,
    email_lc_sha256 PRIORITY 3 LIMIT 1, ecid PRIORITY 4";
const MANY: &str = "crmid PRIORITY 1 LIMIT 1, loyaltyid PRIORITY 2, email PRIORITY 3,
    thirdpartyid PRIORITY 4, orderid PRIORITY 5, ecid PRIORITY 6";

#[test]
fn adobe_basic_implementations() {
    let own = ["CRMID: John, ECID: 123", "CRMID: John, ECID: 999, IDFA: a-b-c"];
    check(MOBILE, &own, &[&[0, 1]], None);
    let computer = ["CRMID: John, ECID: 111", "CRMID: Jane, ECID: 111"];
    check(MOBILE, &computer, &[&[0], &[1]], Some(("ecid", "111")));
    let tablet = ["CRMID: John, ECID: 111, IDFA: a-b-c", "CRMID: Jane, ECID: 111, IDFA: a-b-c"];
    for shared in [("ecid", "111"), ("idfa", "a-b-c")] {
        check(MOBILE, &tablet, &[&[0], &[1]], Some(shared));
    }
    // Customers whom records describe, who log in on one computer.
    let graph = "crmid PRIORITY 1 LIMIT 1, email PRIORITY 2 LIMIT 1, ecid PRIORITY 3";
    let lines = [
        "record CRMID: Jane, Email: jane@acme.com",
        "record CRMID: John, Email: john@acme.com",
        "CRMID: Jane, Email: jane@acme.com, ECID: laptop",
        "CRMID: John, Email: john@acme.com, ECID: laptop",
    ];
    check(graph, &lines, &[&[0, 2], &[1, 3]], Some(("ecid", "laptop")));
}

#[test]
fn adobe_intermediate_implementations_with_credit_cards() {
    let own = [
        "CRMID: John, CChash: 1111-2222",
        "CRMID: John, CChash: 3333-4444",
        "CRMID: John, ECID: 123",
        "CRMID: John, ECID: 999, IDFA: a-b-c",
    ];
    check(CARDS, &own, &[&[0, 1, 2, 3]], None);
    let shared_device = [
        "CRMID: John, CChash: 1111-2222",
        "CRMID: Jane, CChash: 3333-4444",
        "CRMID: John, ECID: 123",
        "CRMID: Jane, ECID:123",
    ];
    check(CARDS, &shared_device, &[&[0, 2], &[1, 3]], Some(("ecid", "123")));
    let one_card = [
        "CRMID: John, CChash: 1111-2222",
        "CRMID: Jane, CChash: 1111-2222",
        "CRMID: John, ECID: 123",
        "CRMID: Jane, ECID:456",
    ];
    check(CARDS, &one_card, &[&[0, 2], &[1, 3]], Some(("cchash", "1111-2222")));
    let people = ["John", "Jane", "Jack", "Jill"];
    let invalid = people.map(|name| format!("CRMID: {name}, CChash: undefined"));
    let replay = replayed(CARDS, &invalid);
    assert_eq!(replay.people().0, [[0], [1], [2], [3]]);
    // There it stays with Jill. Here it is of all four, and of nobody once they are more than share a value.
    assert_eq!(replay.class("cchash", "undefined"), Some(ValueClass::Shared));
    assert_eq!(replay.holders("cchash", "undefined"), 4);
    let many: Vec<String> = (0..6).map(|one| format!("CRMID: {one}, IDFA: user_null")).collect();
    let replay = replayed(CARDS, &many);
    assert_eq!(replay.people().0.len(), 6);
    assert_eq!(replay.class("idfa", "user_null"), Some(ValueClass::Nobody));
    assert_eq!(replay.holders("idfa", "user_null"), 0);
}

#[test]
fn adobe_intermediate_implementations_with_several_unique_namespaces() {
    let shared_device = [
        "CRMID: John, CRMIDhash: John",
        "CRMID: Jane, CRMIDhash: Jane",
        "CRMIDhash: John, ECID: 111",
        "CRMIDhash: Jane, ECID: 111",
    ];
    check(HASHED, &shared_device, &[&[0, 2], &[1, 3]], Some(("ecid", "111")));
    let bad_hash = ["CRMID: John, CRMIDhash: aaaa", "CRMID: Jane, CRMIDhash: aaaa"];
    check(HASHED, &bad_hash, &[&[0], &[1]], Some(("crmidhash", "aaaa")));
    let shared_device = [
        "CRMID: John, Email: john@g, Email_LC_SHA256: john_hash",
        "CRMID: Jane, Email: jane@g, Email_LC_SHA256: jane_hash",
        "CRMID: John, ECID: 111",
        "CRMID: Jane, ECID: 111",
    ];
    check(THREE, &shared_device, &[&[0, 2], &[1, 3]], Some(("ecid", "111")));
    // There the new mailbox takes the place of the old one. Here LIMIT 1 is for ever and one of them stays, with its hash; a
    // limit for a time has room for both.
    let other_mailbox = [
        "CRMID: John, Email: john@g, Email_LC_SHA256: john_hash",
        "CRMID: John, Email: john@y, Email_LC_SHA256: john_y_hash",
    ];
    let replay = check(THREE, &other_mailbox, &[&[0, 1]], None);
    assert_eq!(["email", "email_lc_sha256"].map(|kind| held(&replay, 0, kind)), [1, 1]);
    let ways = [("john@g", "john_hash"), ("john@y", "john_y_hash")];
    let kept = ways.map(|(email, hash)| {
        [replay.holders("email", email), replay.holders("email_lc_sha256", hash)]
    });
    assert!(kept == [[1, 1], [0, 0]] || kept == [[0, 0], [1, 1]], "{kept:?}");
}

#[test]
fn adobe_advanced_implementations_with_several_accounts() {
    let own = [
        "CRMID: John, loginID: JohnPersonal",
        "CRMID: John, loginID: JohnBusiness",
        "loginID: JohnPersonal, ECID: 111",
        "loginID: JohnPersonal, ECID: 222",
        "loginID: JohnBusiness, ECID: 222",
    ];
    check(LOGIN, &own, &[&[0, 1, 2, 3, 4]], None);
    let shared_device = [
        "CRMID: John, loginID: JohnPersonal",
        "CRMID: John, loginID: JohnBusiness",
        "CRMID: Jane, loginID: JanePersonal",
        "CRMID: Jane, loginID: JaneBusiness",
        "loginID: JohnPersonal, ECID: 111",
        "loginID: JanePersonal, ECID: 111",
    ];
    check(LOGIN, &shared_device, &[&[0, 1, 4], &[2, 3, 5]], Some(("ecid", "111")));
    let bad_data = [
        "CRMID: John, loginID: JohnPersonal",
        "CRMID: John, loginID: error",
        "CRMID: Jane, loginID: JanePersonal",
        "CRMID: Jane, loginID: error",
        "loginID: JohnPersonal, ECID: 111",
        "loginID: JanePersonal, ECID: 222",
    ];
    check(LOGIN, &bad_data, &[&[0, 1, 4], &[2, 3, 5]], Some(("loginid", "error")));
}

#[test]
fn adobe_advanced_implementations_with_many_namespaces() {
    let [john, jane] = [
        "CRMID: John, loyaltyID: John, Email: john@g",
        "CRMID: Jane, loyaltyID: Jane, Email: jane@g",
    ];
    let order = "Email: john@g, orderID: aaa";
    let own = [john, order, "CRMID: John, thirdPartyID: xyz", "CRMID: John, ECID: 111"];
    check(MANY, &own, &[&[0, 1, 2, 3]], None);
    let shared_device = [
        john,
        jane,
        order,
        "CRMID: John, thirdPartyID: xyz",
        "CRMID: John, ECID: 111",
        "CRMID: Jane, ECID: 111",
    ];
    check(MANY, &shared_device, &[&[0, 2, 3, 4], &[1, 5]], Some(("ecid", "111")));
    let other_mailbox = [john, "CRMID: John, loyaltyID: John, Email: john@y"];
    let replay = check(MANY, &other_mailbox, &[&[0, 1]], None);
    assert_eq!(held(&replay, 0, "email"), 2);
    let third_party =
        [john, jane, "CRMID: John, thirdPartyID: xyz", "CRMID: Jane, thirdPartyID: xyz"];
    check(MANY, &third_party, &[&[0, 2], &[1, 3]], Some(("thirdpartyid", "xyz")));
    let one_order = [john, jane, order, "Email: jane@g, orderID: aaa"];
    check(MANY, &one_order, &[&[0, 2], &[1, 3]], Some(("orderid", "aaa")));
    let bad_loyalty = [
        "CRMID: John, loyaltyID: aaa, Email: john@g",
        "CRMID: Jane, loyaltyID: aaa, Email: jane@g",
    ];
    check(MANY, &bad_loyalty, &[&[0], &[1]], Some(("loyaltyid", "aaa")));
}

#[test]
fn adobe_guardrails() {
    // An event with one identity makes no graph there. Here it is a visitor, whom a later log-in may name.
    check(CRMID, &["ECID: 111"], &[&[0]], None);
    // Of more than fifty identities the oldest are deleted there. A LIMIT leaves the others with the customer, and their events.
    let graph = "crmid PRIORITY 1 LIMIT 1, ecid PRIORITY 2 LIMIT 50";
    let lines: Vec<String> = (0..51).map(|number| format!("CRMID: Tom, ECID: {number}")).collect();
    let replay = replayed(graph, &lines);
    assert_eq!(replay.people().0, [(0..51).collect::<Vec<usize>>()]);
    assert_eq!(held(&replay, 0, "ecid"), 50);
    // An event that names two customers is rejected there. Here it is of one of them, and joins them in no way.
    let lines = [
        "CRMID: Tom, ECID: 222",
        "CRMID: Summer, ECID: 333",
        "CRMID: Tom, CRMID: Summer, ECID: 111",
    ];
    check(CRMID, &lines, &[&[0], &[1, 2]], None);
}
