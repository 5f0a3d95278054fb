//! No number is given twice, whoever fails or believes the lake to be its own.

use proptest::prelude::*;

use super::*;
use crate::catalog::WholeNumber;
use crate::lake::tests::{Fault, WatchedStore, clock};

fn counted() -> Counted {
    let range = SequenceRange::ascending(WholeNumber::Bigint);
    let (key, name) = ("7.0".to_owned(), "numbers".to_owned());
    Counted { number: 7, key, name, first: 1, range, restarted: false }
}

/// A process that knows the sequence.
async fn open(store: &Arc<WatchedStore>) -> Arc<Sequences> {
    let sequences = Arc::new(Sequences::new(Lake::with_store(Arc::clone(store) as _, clock())));
    sequences.open(&BTreeSet::from([counted().key]), true).await.unwrap();
    sequences
}

#[tokio::test]
async fn a_process_that_ends_leaves_no_gap_and_one_that_is_killed_leaves_one() {
    let store = Arc::new(WatchedStore::default());
    let first = open(&store).await;
    assert_eq!(first.take(&counted(), 2).await.unwrap(), [1, 2]);
    first.close().await.unwrap();
    let second = open(&store).await;
    assert_eq!(second.position(&counted()), (Place { last: 2, called: true }, 0));
    assert_eq!(second.take(&counted(), 1).await.unwrap(), [3]);
    assert_eq!(second.position(&counted()), (Place { last: 3, called: true }, 32));
    let third = open(&store).await;
    assert_eq!(third.take(&counted(), 1).await.unwrap(), [36]);
    // Whoever was replaced writes nothing any more: it takes over what the other has left.
    let mut late = second.take(&counted(), 32).await.unwrap();
    assert_eq!(late, (4..=35).collect::<Vec<_>>());
    assert!(second.take(&counted(), 1).await.is_err());
    late = second.take(&counted(), 1).await.unwrap();
    assert_eq!(late, [69]);
}

#[tokio::test]
async fn what_may_have_been_written_counts() {
    let store = Arc::new(WatchedStore::default());
    let sequences = open(&store).await;
    *store.fault.lock() = Some((FOLDER, Fault::AnswerLost));
    assert_eq!(sequences.take(&counted(), 1).await.unwrap(), [1]);
    *store.fault.lock() = Some((FOLDER, Fault::AnswerLost));
    *store.unreadable.lock() = Some(FOLDER);
    assert!(sequences.take(&counted(), 40).await.is_err());
    *store.unreadable.lock() = None;
    let next = sequences.take(&counted(), 1).await.unwrap();
    assert!(next[0] > 33, "{next:?}");
    *store.fault.lock() = Some((FOLDER, Fault::Refused));
    assert!(sequences.take(&counted(), 40).await.is_err());
    assert!(sequences.take(&counted(), 1).await.unwrap()[0] > next[0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_end_and_can_be_set() {
    let sequences = open(&Arc::new(WatchedStore::default())).await;
    let few = SequenceRange { maximum: 3, ..counted().range };
    let few = Counted { range: few, ..counted() };
    assert_eq!(sequences.take_here(&few, 2).unwrap(), [1, 2]);
    assert_eq!(sequences.take_here(&few, 2).unwrap_err().sqlstate(), "2200H");
    // Those that were there are gone, as in PostgreSQL.
    assert_eq!(sequences.position(&few).0, Place { last: 3, called: true });
    assert!(sequences.is_ahead(&few));
    sequences.set_here(&few, Place { last: 2, called: false }).unwrap();
    assert!(!sequences.is_ahead(&few), "2 may come again");
    assert_eq!(sequences.take_here(&few, 1).unwrap(), [2]);
    assert!(!sequences.is_ahead(&few), "so may 3");
    assert_eq!(sequences.take_here(&few, 1).unwrap(), [3]);
    assert!(sequences.is_ahead(&few), "nothing comes again any more");
    sequences.set_here(&few, Place { last: 2, called: true }).unwrap();
    let outside = sequences.set_here(&few, Place { last: 4, called: true }).unwrap_err();
    assert_eq!(outside.sqlstate(), "22003");
    let round = Counted { range: SequenceRange { cycle: true, ..few.range.clone() }, ..few };
    assert_eq!(sequences.take_here(&round, 3).unwrap(), [3, 1, 2]);
}

#[tokio::test]
async fn numbers_that_rows_bring_are_passed() {
    let store = Arc::new(WatchedStore::default());
    let sequences = open(&store).await;
    sequences.pass(&counted(), 9).await.unwrap();
    assert_eq!(sequences.take(&counted(), 1).await.unwrap(), [10]);
    sequences.pass(&counted(), 4).await.unwrap();
    sequences.pass(&counted(), -4).await.unwrap();
    assert_eq!(sequences.take(&counted(), 1).await.unwrap(), [11]);
    assert_eq!(sequences.counter(&counted()).brought(), 3);
    assert!(sequences.is_ahead(&counted()));
    // A sequence that nobody knows any more is forgotten.
    let other = Arc::new(Sequences::new(Lake::with_store(Arc::clone(&store) as _, clock())));
    other.open(&BTreeSet::new(), true).await.unwrap();
    assert!(other.is_unused(&counted().key));
}

#[tokio::test]
async fn numbers_that_may_come_again_are_known_as_such() {
    let store = Arc::new(WatchedStore::default());
    let up = counted();
    let down = SequenceRange { increment: -1, minimum: -9, ..up.range.clone() };
    let down = Counted { range: down, ..counted() };
    let few = Counted { range: SequenceRange { maximum: 9, ..up.range.clone() }, ..counted() };
    for (other, brought) in [(down, None), (few, Some(50))] {
        let sequences = open(&store).await;
        let start = Counted { key: format!("{}.0", other.range.maximum), ..up.clone() };
        let other = Counted { key: start.key.clone(), ..other };
        assert_eq!(sequences.take(&start, 2).await.unwrap(), [1, 2]);
        assert!(sequences.is_ahead(&start));
        match brought {
            None => assert_eq!(sequences.take(&other, 1).await.unwrap(), [1]),
            Some(brought) => sequences.pass(&other, brought).await.unwrap(),
        }
        // Also if that was said of it in a transaction that was taken back.
        assert!(!sequences.is_ahead(&start));
        assert_eq!(sequences.counter(&start).brought(), 1, "whoever was given numbers is told");
        let known = BTreeSet::from([start.key.clone()]);
        let next = Arc::new(Sequences::new(Lake::with_store(Arc::clone(&store) as _, clock())));
        next.open(&known, true).await.unwrap();
        assert!(!next.is_ahead(&start));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sequence_that_was_lowered_is_ahead_again_behind_what_it_gave() {
    let store = Arc::new(WatchedStore::default());
    let sequences = open(&store).await;
    assert_eq!(sequences.take(&counted(), 9).await.unwrap().last(), Some(&9));
    sequences.set_here(&counted(), Place { last: 5, called: true }).unwrap();
    assert_eq!(sequences.counter(&counted()).brought(), 1, "whoever was given numbers is told");
    // Lowering it farther, and rows that bring numbers, change nothing about that.
    sequences.set_here(&counted(), Place { last: 2, called: true }).unwrap();
    sequences.pass(&counted(), 4).await.unwrap();
    assert_eq!(sequences.take(&counted(), 4).await.unwrap(), [5, 6, 7, 8]);
    assert!(!sequences.is_ahead(&counted()));
    sequences.close().await.unwrap();
    let sequences = open(&store).await;
    assert!(!sequences.is_ahead(&counted()), "9 is to come again");
    assert_eq!(sequences.take(&counted(), 2).await.unwrap(), [9, 10]);
    assert!(sequences.is_ahead(&counted()));
    sequences.set_here(&counted(), Place { last: 1, called: false }).unwrap();
    assert!(!sequences.is_ahead(&counted()));
    assert_eq!(sequences.counter(&counted()).brought(), 1, "again");
    sequences.pass(&counted(), 10).await.unwrap();
    assert!(sequences.is_ahead(&counted()), "rows brought as many");
}

#[test]
fn documents_of_earlier_versions_are_read() {
    let kept = |text: &str| serde_json::from_str::<Kept>(text).unwrap().lowered;
    assert_eq!(kept(r#"{"last":3,"called":true}"#), None);
    assert_eq!(kept(r#"{"last":3,"called":true,"lowered":true}"#), Some(i64::MAX));
    let written = Kept { place: Place { last: 3, called: true }, lowered: Some(7) };
    assert_eq!(kept(&serde_json::to_string(&written).unwrap()), Some(7));
}

#[tokio::test]
async fn whoever_takes_over_again_keeps_sequences_that_it_does_not_know() {
    let store = Arc::new(WatchedStore::default());
    let first = open(&store).await;
    assert_eq!(first.take(&counted(), 1).await.unwrap(), [1]);
    let second = open(&store).await;
    let other = Counted { number: 8, key: "8.0".into(), ..counted() };
    assert_eq!(second.take(&other, 1).await.unwrap(), [1]);
    assert!(first.take(&counted(), 40).await.is_err());
    assert_eq!(first.take(&counted(), 1).await.unwrap().len(), 1);
    let third = Arc::new(Sequences::new(Lake::with_store(Arc::clone(&store) as _, clock())));
    let known = BTreeSet::from([counted().key, other.key.clone()]);
    third.open(&known, true).await.unwrap();
    assert!(third.take(&other, 1).await.unwrap()[0] > 33);
}

/// What happens next: numbers are taken by one of two processes, or one of them ends and another one comes.
#[derive(Debug, Clone, Copy)]
enum Step {
    Take(usize, usize),
    Ends(usize, bool),
    Fails(Fault),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..2_usize, 1..50_usize).prop_map(|(process, count)| Step::Take(process, count)),
        2 => (0..2_usize, any::<bool>()).prop_map(|(process, kept)| Step::Ends(process, kept)),
        1 => prop_oneof![Just(Fault::Refused), Just(Fault::AnswerLost)].prop_map(Step::Fails),
    ];
    prop::collection::vec(step, 1..40)
}

proptest! {
    #[test]
    fn no_number_is_given_twice(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let given = runtime.block_on(async {
            let store = Arc::new(WatchedStore::default());
            let mut processes = [open(&store).await, open(&store).await];
            let mut given = Vec::new();
            for step in steps {
                match step {
                    Step::Take(process, count) => {
                        let taken = processes[process].take(&counted(), count).await;
                        given.extend(taken.unwrap_or_default());
                    }
                    Step::Ends(process, closes) => {
                        *store.fault.lock() = None;
                        if closes {
                            let _ = processes[process].close().await;
                        }
                        processes[process] = open(&store).await;
                    }
                    Step::Fails(fault) => *store.fault.lock() = Some((FOLDER, fault)),
                }
            }
            given
        });
        let distinct: BTreeSet<i64> = given.iter().copied().collect();
        prop_assert_eq!(distinct.len(), given.len());
    }
}
