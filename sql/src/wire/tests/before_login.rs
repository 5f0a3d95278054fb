//! Before the log-in: no order of messages leads in, and nothing that comes brings the server down.
//!
//! Both ends are in memory, so that a visit takes microseconds: what is driven is all that a connection goes through from
//! its first byte to its session.

use std::sync::atomic::Ordering;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::*;
use crate::wire::server::{Door, Shared, Socket, enter};

/// Set when this is built for the long run: then nothing is left out.
const WHOLE: bool = option_env!("ONEFOLD_LONG_TESTS").is_some();
/// Of all sequences of messages one in so many is played in a short run, a different residue for each store.
const EVERY: usize = if WHOLE { 1 } else { 8 };
/// How many visits of random messages there are.
const RANDOM_VISITS: usize = if WHOLE { 250_000 } else { 5_000 };
/// Messages of such a visit.
const RANDOM_MESSAGES: usize = 4;
/// Messages of a sequence at most.
const SEQUENCE_MESSAGES_MAX: u32 = 4;

/// What is known of the role that wants in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Store {
    Knows,
    KnowsNobody,
    IsDamaged,
    HoldsOff,
}

/// Counts the sessions that are opened: none may be.
struct Doorkeeper {
    store: Store,
    verifier: String,
    opened: AtomicUsize,
}

#[async_trait]
impl Backend for Doorkeeper {
    async fn verifier(&self, _: &str) -> Option<String> {
        match self.store {
            Store::Knows | Store::HoldsOff => Some(self.verifier.clone()),
            Store::KnowsNobody => None,
            Store::IsDamaged => Some("SCRAM-SHA-256$4096:no verifier".to_owned()),
        }
    }

    async fn open(&self, _: &str, _: Client) -> engine::Result<Arc<dyn QuerySession>> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        Err(engine::Error::Denied { message: "somebody got in".into(), hint: "None.".into() })
    }
}

/// A front without a listener.
struct Gate {
    keeper: Arc<Doorkeeper>,
    shared: Arc<Shared>,
    rooms: [Arc<Semaphore>; 2],
}

impl Gate {
    fn of(store: Store) -> Gate {
        let verifier = verifier_of("secret");
        let keeper = Arc::new(Doorkeeper { store, verifier, opened: AtomicUsize::new(0) });
        let front = Front {
            backend: keeper.clone(),
            light: tokio::runtime::Handle::current(),
            heavy: tokio::runtime::Handle::current(),
            tls: None,
            limits: Limits::default(),
            secret: [7; 32],
        };
        let shared = Shared::new(front, CancellationToken::new());
        if store == Store::HoldsOff {
            let now = Instant::now();
            (0..40).for_each(|_| shared.throttle.failed("ada", Self::address().ip(), now));
            assert!(!shared.throttle.admits("ada", Self::address().ip(), now));
        }
        let rooms = [Arc::new(Semaphore::new(1)), Arc::new(Semaphore::new(1))];
        Gate { keeper, shared, rooms }
    }

    fn address() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 1))
    }

    /// Says everything at once and goes; returns what came back. Fails if that was let in.
    async fn visit(&self, said: &[u8]) -> Vec<u8> {
        let (mut client, server) = tokio::io::duplex(1 << 16);
        client.write_all(said).await.unwrap();
        client.shutdown().await.unwrap();
        let door = Door::open(&self.rooms[0], &self.rooms[1]).unwrap();
        let entered = enter(Socket::Memory(server), Self::address(), &self.shared, &door).await;
        assert!(entered.is_none(), "let in after {said:?}");
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        answer
    }
}

/// Fails unless an answer is nothing but steps of a log-in, not its success, and at most one error, the last and fatal.
fn check(answer: &[u8], said: &[u8]) {
    let mut rest = answer;
    while !rest.is_empty() {
        let length = usize::try_from((&rest[1..5]).get_i32()).unwrap();
        let (message, behind) = rest.split_at(length + 1);
        let reply = Reply(char::from(message[0]), message[5..].to_vec());
        match reply.0 {
            // SASL, and SASLContinue: 0 would be success and 12 the proof of the server.
            'R' => assert!(matches!(&reply.1[..4], [0, 0, 0, 10 | 11]), "{reply:?} after {said:?}"),
            'E' => {
                assert_eq!(reply.field(b'S').as_deref(), Some("FATAL"), "after {said:?}");
                assert!(behind.is_empty(), "{behind:?} behind an error after {said:?}");
            }
            _ => panic!("{reply:?} after {said:?}"),
        }
        rest = behind;
    }
}

/// Fourteen messages: each that a client may send after its log-in, and three of a log-in, of which none proves anything.
fn alphabet() -> [Vec<u8>; 14] {
    let first = b"n,,n=,r=clientnonce";
    [
        message(b'Q', &[b"SELECT 1\0"]),
        message(b'P', &[b"\0SELECT 1\0\0\0"]),
        message(b'B', &[b"\0\0\0\0\0\0\0\0"]),
        message(b'D', &[b"S\0"]),
        message(b'E', &[b"\0\0\0\0\0"]),
        message(b'C', &[b"S\0"]),
        message(b'S', &[]),
        message(b'H', &[]),
        message(b'X', &[]),
        message(b'F', &[b"\0\0\0\0\0\0\0\0\0\0"]),
        message(b'd', &[b"row"]),
        message(b'p', &[b"secret\0"]),
        message(b'p', &[b"SCRAM-SHA-256\0", &19i32.to_be_bytes(), first]),
        message(b'p', &[b"c=biws,r=clientnonce,p=", &[b'A'; 43], b"="]),
    ]
}

/// The sequences of so many messages of `alphabet`, each as one text: the digits of a number.
fn sequences(alphabet: &[Vec<u8>], messages: u32) -> impl Iterator<Item = Vec<u8>> {
    let count = alphabet.len();
    (0..count.pow(messages)).map(move |number| {
        let digits = (0..messages).map(|place| number / count.pow(place) % count);
        digits.flat_map(|digit| alphabet[digit].iter().copied()).collect()
    })
}

/// All 165,480 combinations of a store and a sequence of up to four messages that prove nothing.
#[tokio::test]
async fn no_sequence_of_messages_leads_in_whatever_is_known_of_the_role() {
    let alphabet = alphabet();
    let hello = startup(&[("user", "ada"), ("database", "onefold")]);
    let stores = [Store::Knows, Store::KnowsNobody, Store::IsDamaged, Store::HoldsOff];
    let mut known = 0;
    for (residue, store) in stores.into_iter().enumerate() {
        let gate = Gate::of(store);
        let all = (1..=SEQUENCE_MESSAGES_MAX).flat_map(|messages| sequences(&alphabet, messages));
        for (number, sequence) in all.enumerate() {
            known += 1;
            if number % EVERY != residue % EVERY {
                continue;
            }
            let said = [hello.as_slice(), &sequence].concat();
            let answer = gate.visit(&said).await;
            assert!(!answer.is_empty(), "no answer to {said:?}");
            check(&answer, &said);
        }
        assert_eq!(gate.keeper.opened.load(Ordering::SeqCst), 0, "{store:?}");
    }
    assert_eq!(known, 165_480);
}

/// The same visits are worth something only if the right proof does lead in: it is the backend that refuses then.
#[tokio::test]
async fn the_right_proof_leads_to_the_backend() {
    let gate = Gate::of(Store::Knows);
    let (client, server) = tokio::io::duplex(1 << 16);
    let door = Door::open(&gate.rooms[0], &gate.rooms[1]).unwrap();
    let entering = enter(Socket::Memory(server), Gate::address(), &gate.shared, &door);
    let mut client = Wire { stream: client, key: (0, 0) };
    let proving = async {
        client.send(&startup(&[("user", "ada"), ("database", "onefold")])).await;
        client.answer_scram("secret").await;
        client.until_ready().await
    };
    let (entered, replies) = tokio::join!(entering, proving);
    assert!(entered.is_none());
    assert_eq!(gate.keeper.opened.load(Ordering::SeqCst), 1);
    assert_eq!(sqlstate(&replies), "42501");
}

/// Random bytes in the shape of messages, and out of any shape.
fn random_messages(random: &mut StdRng) -> Vec<u8> {
    let mut said = match random.random_range(0..4) {
        0 => Vec::new(),
        1 => packet(random.random(), &[("user", "ada")]),
        _ => startup(&[("user", "ada"), ("database", "onefold")]),
    };
    let parts: [&[u8]; 6] = [
        b"SCRAM-SHA-256\0",
        b"\0\0\0\x13n,,n=,r=clientnonce",
        b"p=x,,",
        b"c=biws,r=,p=",
        b"\0",
        b"\xff\xff\xff\xff",
    ];
    for _ in 0..RANDOM_MESSAGES {
        let kinds = b"QPBDECSHXFdcfp\0";
        let kind = kinds[random.random_range(0..kinds.len())];
        let mut body: Vec<u8> = Vec::new();
        for _ in 0..random.random_range(0..4) {
            match random.random_range(0..parts.len() + 2) {
                part if part < parts.len() => body.extend_from_slice(parts[part]),
                _ => body.extend((0..random.random_range(0..64)).map(|_| random.random::<u8>())),
            }
        }
        let mut whole = message(kind, &[&body]);
        match random.random_range(0..6) {
            // A length that is not true.
            0 => whole[1..5].copy_from_slice(&random.random::<i32>().to_be_bytes()),
            1 => whole.truncate(random.random_range(0..=whole.len())),
            2 => whole.iter_mut().for_each(|byte| *byte = random.random()),
            _ => {}
        }
        said.extend(whole);
    }
    said
}

/// A million random messages in a long run: none leads in and none ends by a panic, which would fail the visit.
#[tokio::test]
async fn random_messages_neither_lead_in_nor_bring_anything_down() {
    let gate = Gate::of(Store::Knows);
    let mut random = StdRng::seed_from_u64(3);
    for _ in 0..RANDOM_VISITS {
        gate.visit(&random_messages(&mut random)).await;
    }
    assert_eq!(gate.keeper.opened.load(Ordering::SeqCst), 0);
}
