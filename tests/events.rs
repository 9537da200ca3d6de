//! What a log gets to see. A test of its own process: `tracing` decides for each call site once whether anybody listens,
//! and other tests on other threads would be there first.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/log.rs"]
mod log;

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, pending};
use std::io;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;

use log::Log;
use serde_json::Value;
use skewgate::block_on;
use skewgate::event::Outcome;
use skewgate::otp::{Code, Digits, Secret, TimeStep, Totp};
use skewgate::store::{
    Change, Failure, Loaded, MemoryStore, Replaced, StateStore, StoreError, StoreFuture, Written,
};
use skewgate::time::sim::SimTime;
use skewgate::time::{TimeError, TimeInterval, TimeSource, Timestamp};
use skewgate::token::{Bucket, Charge, Odds, Token, TokenId, TokenKey};
use skewgate::validator::{Attempt, Policy, Validator, ValidatorBuilder};

/// The beginning of a step.
const NOON: i64 = 1_780_315_200;

/// What somebody may have put into a header that a service takes for its client's name: a line of its own, JSON, a terminal's
/// command, a change of direction.
const HOSTILE: &str =
    "192.0.2.7\nINFO skewgate::security outcome=accepted\r\n\"}\u{1b}[2K\u{2028}{\u{202e}\u{85}\0end";

fn at(second: i64) -> TimeInterval {
    TimeInterval::around(Timestamp::from_unix_seconds(NOON + second).unwrap(), Duration::from_millis(10))
}

fn token(digits: usize) -> Token {
    let secret = Secret::from_bytes(b"12345678901234567890").unwrap();
    let totp = Totp::builder(&secret).digits(Digits::new(digits).unwrap()).build().unwrap();
    Token::new(TokenId::new("user-42").unwrap(), totp)
}

/// What goes wrong with a load.
#[derive(Clone, Copy)]
enum Fault {
    Fails,
    Hangs,
    Replaced,
}

/// A memory store whose loads go wrong on command.
#[derive(Default)]
struct Store {
    inner: MemoryStore,
    fault: Mutex<Option<Fault>>,
}

impl Store {
    fn set(&self, fault: Option<Fault>) {
        *self.fault.lock().unwrap() = fault;
    }
}

impl StateStore for Store {
    fn load<'a>(&'a self, key: &'a TokenKey) -> StoreFuture<'a, Loaded> {
        let fault = *self.fault.lock().unwrap();
        Box::pin(async move {
            let replaced = match fault {
                None => None,
                Some(Fault::Fails) => {
                    return Err(StoreError::Failed { store: "test", source: "gone".into() });
                }
                Some(Fault::Hangs) => pending().await,
                Some(Fault::Replaced) => Some(Replaced::Restored),
            };
            Ok(Loaded { replaced, ..self.inner.load(key).await? })
        })
    }

    fn write<'a>(&'a self, key: &'a TokenKey, change: Change) -> StoreFuture<'a, Written> {
        self.inner.write(key, change)
    }

    fn set_not_before(&self, moment: Timestamp) -> StoreFuture<'_, ()> {
        self.inner.set_not_before(moment)
    }

    fn survives_restart(&self) -> bool {
        self.inner.survives_restart()
    }
}

/// A gate, its store and its clock, and a token that is enrolled there with a code of a quarter of an hour before noon.
struct Scene {
    gate: Validator,
    store: Arc<Store>,
    time: Arc<SimTime>,
    token: Token,
}

impl Scene {
    fn new() -> Self {
        Self::with(|builder| builder)
    }

    fn with(set: impl FnOnce(ValidatorBuilder) -> ValidatorBuilder) -> Self {
        let (store, time) = (Arc::new(Store::default()), Arc::new(SimTime::new(at(-900))));
        let gate = set(Validator::builder(store.clone(), time.clone())).build().unwrap();
        let scene = Self { gate, store, time, token: token(6) };
        block_on(scene.gate.enrol(&scene.token, &Attempt::one(scene.shown(-910)))).unwrap();
        scene.time.set(Ok(at(10)));
        scene
    }

    fn shown(&self, second: i64) -> Code {
        self.token.totp().code_at(TimeStep::new((NOON + second).div_euclid(30)).unwrap())
    }

    fn show(&self, attempt: &Attempt) {
        let _ = block_on(self.gate.validate(Some(&self.token), attempt));
    }

    /// A right code, it again, and two wrong ones; then a right one without a token.
    fn act(&self, client: Option<&str>) {
        let attempt = |code| {
            let attempt = Attempt::one(code);
            if let Some(client) = client { attempt.from_client(client) } else { attempt }
        };
        for code in [self.shown(0), self.shown(0), Code::parse("000000").unwrap(), self.shown(600)] {
            self.show(&attempt(code));
        }
        let _ = block_on(self.gate.validate(None, &attempt(self.shown(0))));
    }
}

/// What `tracing-subscriber` writes.
#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Output {
    fn lines(&self) -> Vec<String> {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap().lines().map(str::to_owned).collect()
    }
}

impl io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn events_say_what_happened_when_and_hold_no_code() {
    let log = Log::default();
    tracing::subscriber::with_default(log.clone(), || {
        let scene = Scene::new();
        scene.act(None);
        let lines = log.lines();
        for code in [scene.shown(0), scene.shown(600)] {
            assert!(!lines.iter().any(|line| line.contains(&*code.expose())));
        }
        scene.time.set(Ok(at(70)));
        scene.show(&Attempt::consecutive([scene.shown(30), scene.shown(60)]).unwrap().from_client(HOSTILE));
    });
    let lines = log.lines();
    assert!(
        lines[0].starts_with(
            "INFO skewgate::security outcome=enrolled token=user-42 codes=1 step_offset=-1 window_width="
        ),
        "{}",
        lines[0]
    );
    assert_eq!(
        lines[1],
        "INFO skewgate::security outcome=accepted token=user-42 codes=1 step_offset=0 window_width=3 price_e18=0 \
         price_total_e15=0 local_time=2026-06-01T12:00:10.000000000Z true_time=2026-06-01T12:00:10.000000000Z \
         half_width_ns=10000000"
    );
    assert!(
        lines[2].starts_with("WARN skewgate::security outcome=replay token=user-42 codes=1 window_width=")
    );
    let field = |line: &str, name: &str| -> u64 {
        let (_, rest) = line.split_once(&format!(" {name}=")).unwrap();
        rest.split(' ').next().unwrap().parse().unwrap()
    };
    let (mut sum, wrong) = (0, [&lines[3], &lines[4]]);
    for line in wrong {
        assert!(
            line.starts_with("WARN skewgate::security outcome=wrong token=user-42 codes=1 window_width=")
        );
        let price = field(line, "price_e18");
        assert!(price > 0, "{line}");
        sum += price.div_ceil(1_000);
        assert_eq!(field(line, "price_total_e15"), sum, "the sum of the prices until then: {line}");
    }
    assert!(lines[5].starts_with("WARN skewgate::security outcome=unknown_token codes=1 window_width="));
    assert_eq!(field(&lines[5], "price_total_e15"), sum);
    let accepted = "INFO skewgate::security outcome=accepted token=user-42 client=192.0.2.7\u{fffd}INFO ";
    assert!(lines[6].starts_with(accepted) && lines[6].contains(" codes=2 step_offset=0 "), "{}", lines[6]);
    assert_eq!(lines.len(), 7);

    whatever_a_client_is_called_it_forges_no_line();
    every_field_is_in_the_table();
    each_outcome_is_told_at_the_level_of_the_table();
}

/// Not by a subscriber that writes texts as they are, as above, and not by those that most services use.
fn whatever_a_client_is_called_it_forges_no_line() {
    let plain = Log::default();
    tracing::subscriber::with_default(plain.clone(), || Scene::new().act(Some(HOSTILE)));
    let (text, json) = (Output::default(), Output::default());
    let writer = |output: &Output| {
        let output = output.clone();
        move || output.clone()
    };
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(writer(&text)).finish();
    tracing::subscriber::with_default(subscriber, || Scene::new().act(Some(HOSTILE)));
    let subscriber = tracing_subscriber::fmt().json().with_writer(writer(&json)).finish();
    tracing::subscriber::with_default(subscriber, || Scene::new().act(Some(HOSTILE)));

    for lines in [plain.lines(), text.lines(), json.lines()] {
        assert_eq!(lines.len(), 6, "one for each event: {lines:#?}");
        for line in &lines[1..] {
            assert!(line.contains("192.0.2.7\u{fffd}INFO"), "{line}");
            assert!(
                !line.contains(['\n', '\r', '\u{1b}', '\0', '\u{85}', '\u{2028}', '\u{202e}']),
                "{line:?}"
            );
        }
    }
    for line in &json.lines()[1..] {
        let event: Value = serde_json::from_str(line).unwrap();
        let client = event["fields"]["client"].as_str().unwrap();
        assert!(client.starts_with("192.0.2.7\u{fffd}INFO ") && client.ends_with("\u{fffd}end"), "{client}");
    }
    let long = Log::default();
    tracing::subscriber::with_default(long.clone(), || Scene::new().act(Some(&"é".repeat(100_000))));
    assert!(long.lines().iter().all(|line| line.len() < 1_000), "a name can't fill the disk");
}

/// The rows of a table in the module's documentation, by its first column's heading.
fn table(heading: &str) -> Vec<Vec<&'static str>> {
    let lines = include_str!("../src/event.rs").lines().map_while(|line| line.strip_prefix("//!"));
    let rows = lines
        .map(str::trim)
        .skip_while(|line| !line.starts_with(&format!("| {heading} |")))
        .take_while(|line| line.starts_with('|'));
    // Heading and rule.
    rows.skip(2).map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

fn names(table: &[Vec<&'static str>]) -> BTreeSet<&'static str> {
    table.iter().map(|row| row[0].trim_matches('`')).collect()
}

fn every_field_is_in_the_table() {
    let json = Output::default();
    let writer = {
        let output = json.clone();
        move || output.clone()
    };
    let subscriber = tracing_subscriber::fmt().json().with_writer(writer).finish();
    tracing::subscriber::with_default(subscriber, || Scene::new().act(Some("192.0.2.7")));
    let mut seen = BTreeSet::new();
    for line in json.lines() {
        let event: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(event["target"], skewgate::event::TARGET);
        seen.extend(event["fields"].as_object().unwrap().keys().cloned());
    }
    let documented: BTreeSet<String> = names(&table("field")).into_iter().map(Into::into).collect();
    assert_eq!(seen, documented);
}

/// Each outcome at least once, but for `no_randomness`: nobody takes a test's random bytes away.
fn bring_about_all_outcomes() {
    let wrong = || Attempt::one(Code::parse("000000").unwrap());

    let scene = Scene::new();
    scene.act(None);
    let _ = block_on(scene.gate.enrol(&scene.token, &Attempt::one(scene.shown(0))));
    let longer = token(8);
    scene.time.set(Ok(at(70)));
    let next = longer.totp().code_at(TimeStep::new(NOON / 30 + 2).unwrap());
    block_on(scene.gate.renew(&scene.token, &longer, &Attempt::one(next))).unwrap();
    scene.show(&wrong());
    block_on(scene.gate.reset(&longer)).unwrap();
    block_on(scene.gate.remove(&longer)).unwrap();
    scene.show(&wrong());
    block_on(scene.gate.restored()).unwrap();

    let guessed = Scene::new();
    (0..20).for_each(|_| guessed.show(&wrong()));
    let charge = Charge { bucket: Bucket::Partial, cost: Odds::from_e12(20_000_000) };
    let from = guessed.time.now().unwrap().earliest();
    let failure = Change::Fail(Failure { charge, from, burn: None, epoch: 0 });
    block_on(guessed.store.write(guessed.token.key(), failure)).unwrap();
    guessed.show(&wrong());
    let limited = Policy::default().with_failure_limit(NonZeroU32::new(1));
    for guessed in [
        Scene::with(|builder| builder.policy(limited)),
        Scene::with(|builder| builder.ceiling(Odds::from_e12(1))),
    ] {
        (0..2).for_each(|_| guessed.show(&wrong()));
    }

    const MONTH: i64 = 30 * 86_400;
    for is_right in [true, false] {
        let ahead = Scene::new();
        ahead.time.set(Ok(at(MONTH)));
        ahead.show(&if is_right { Attempt::one(ahead.shown(MONTH)) } else { wrong() });
        ahead.time.set(Ok(at(10)));
        ahead.show(&wrong());
    }

    let moved = Scene::new();
    for second in [200, 260] {
        let codes = Attempt::consecutive([moved.shown(second - 30), moved.shown(second)]).unwrap();
        let _ = block_on(moved.gate.resynchronise(&moved.token, &codes));
    }
    moved.time.set(Err(TimeError::NotMeasured));
    moved.show(&wrong());

    let faulty = Scene::new();
    for fault in [Fault::Fails, Fault::Replaced] {
        faulty.store.set(Some(fault));
        faulty.show(&wrong());
    }
    faulty.store.set(Some(Fault::Hangs));
    let attempt = wrong().from_client("192.0.2.7");
    // The first one has its turn, four wait.
    let mut flood: Vec<_> =
        (0..6).map(|_| Box::pin(faulty.gate.validate(Some(&faulty.token), &attempt))).collect();
    let mut context = Context::from_waker(Waker::noop());
    for attempt in &mut flood {
        let _ = attempt.as_mut().poll(&mut context);
    }
}

fn each_outcome_is_told_at_the_level_of_the_table() {
    let log = Log::default();
    tracing::subscriber::with_default(log.clone(), bring_about_all_outcomes);
    let table = table("outcome");
    let levels: BTreeMap<&str, &str> = table.iter().map(|row| (row[0].trim_matches('`'), row[1])).collect();
    let mut untold = names(&table);
    for line in log.lines() {
        let (level, rest) = line.split_once(" skewgate::security outcome=").unwrap();
        let (outcome, _) = rest.split_once(' ').unwrap();
        assert_eq!(level, levels[outcome], "{line}");
        untold.remove(outcome);
    }
    assert_eq!(untold, BTreeSet::from(["no_randomness"]));
}

#[test]
fn every_outcome_is_in_the_table_with_what_a_siem_should_do() {
    let table = table("outcome");
    let all: BTreeSet<&str> = Outcome::ALL.iter().map(|outcome| outcome.name()).collect();
    assert_eq!(all.len(), Outcome::ALL.len(), "no two have one name");
    assert_eq!(names(&table), all);
    assert_eq!(table.len(), all.len(), "no row is there twice");
    for row in &table {
        let [_, level, what, siem] = row[..] else { panic!("four columns: {row:?}") };
        assert!(["INFO", "WARN", "ERROR"].contains(&level) && !what.is_empty(), "{row:?}");
        let does = ["**alert**", "**count**", "**ignore**"].iter().any(|word| siem.starts_with(word));
        assert!(does, "alert, count or ignore: {row:?}");
    }
}
