//! Tokens, their right and wrong codes, and how to measure logins with them.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use skewgate::block_on;
use skewgate::otp::{Secret, TimeStep, Totp};
use skewgate::store::{Change, MemoryStore, Renewal, Reset, StateStore, Written};
use skewgate::time::os::SystemTime;
use skewgate::time::{SignedDuration, TimeInterval, TimeSource, Timestamp};
use skewgate::token::{Budget, Drift, Token, TokenId, TokenState};
use skewgate::validator::{Attempt, Imported, Validator};

/// So many tokens with right clocks.
#[expect(clippy::expect_used, reason = "what can't be set up can't be measured")]
pub(crate) fn tokens(count: u64) -> Vec<Token> {
    let token = |number: u64| {
        let mut bytes = [7; 20];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        let totp = Totp::builder(&Secret::from_bytes(&bytes).expect("20 bytes")).build().expect("a token");
        Token::new(TokenId::new(&format!("user-{number:011}")).expect("16 bytes"), totp)
    };
    (0..count).map(token).collect()
}

fn state(now: Timestamp, watermark: TimeStep, epoch: u64) -> TokenState {
    const VARIANCE_OF_TWO_SECONDS: u64 = 4_000_000_000_000;
    let drift = Drift::from_parts(SignedDuration::ZERO, VARIANCE_OF_TWO_SECONDS, now, None);
    TokenState { epoch, watermark: Some(watermark), nonce: [0; 8], drift }
}

#[expect(clippy::expect_used, reason = "what can't be set up can't be measured")]
fn step(time: Timestamp) -> TimeStep {
    TimeStep::new(time.as_unix_seconds() / 30).expect("after 1970")
}

/// An epoch that says what these tokens' codes are made of, as a validator makes it.
#[expect(clippy::expect_used, reason = "what can't be set up can't be measured")]
fn epoch() -> u64 {
    static EPOCH: OnceLock<u64> = OnceLock::new();
    *EPOCH.get_or_init(|| {
        let store = Arc::new(MemoryStore::new());
        let clock = SystemTime::with_max_error(Duration::from_millis(50));
        let gate = Validator::builder(store.clone(), Arc::new(clock)).build().expect("a validator");
        let tokens = tokens(1);
        let token = tokens.first().expect("one");
        block_on(gate.enrol_imported(token, Imported::default())).expect("a new token");
        let row = block_on(store.load(token.key())).expect("in memory").row;
        row.token.expect("just enrolled").epoch
    })
}

/// Enrols the token, long before its present step.
#[expect(clippy::expect_used, reason = "what can't be set up can't be measured")]
pub(crate) async fn enrol(store: &dyn StateStore, token: &Token, now: Timestamp) {
    let state = state(now, step(now - SignedDuration::from_secs(3_600)), epoch());
    let enrol = Change::Enrol { state, budget: Budget::full(now) };
    assert_eq!(store.write(token.key(), enrol).await.expect("a store that works"), Written::Done);
}

/// As if nothing had been shown today: nothing is used, nothing was guessed.
#[expect(clippy::expect_used, reason = "what can't be set up can't be measured")]
pub(crate) async fn forget(store: &dyn StateStore, token: &Token, now: Timestamp) {
    let top = step(now - SignedDuration::from_secs(3_600));
    let loaded = store.load(token.key()).await.expect("a store that works");
    let TokenState { epoch, watermark, .. } = loaded.row.token.expect("enrolled");
    let renewal = Renewal { epoch, watermark, seen: loaded.seen(), state: state(now, top, epoch) };
    for change in [Change::Renew(renewal), Change::Reset(Reset { budget: Budget::full(now) })] {
        assert_eq!(store.write(token.key(), change).await.expect("a store that works"), Written::Done);
    }
}

/// What the token shows.
#[expect(clippy::expect_used, reason = "what can't be set up can't be measured")]
pub(crate) fn right(token: &Token, time: &dyn TimeSource) -> Attempt {
    let now = time.now().expect("a clock").midpoint();
    Attempt::one(token.totp().code_at(step(now)))
}

/// What it doesn't show for minutes on either side.
#[expect(clippy::expect_used, reason = "what can't be set up can't be measured")]
pub(crate) fn wrong(token: &Token, time: &dyn TimeSource) -> Attempt {
    let now = step(time.now().expect("a clock").midpoint()).get();
    let near: Vec<String> = (now - 20..now + 20)
        .map(|step| token.totp().code_at(TimeStep::new(step).expect("after 1970")).expose().to_string())
        .collect();
    let code = (0..100).map(|code| format!("{code:06}")).find(|code| !near.contains(code));
    Attempt::parse(&code.expect("forty codes are not all")).expect("six digits")
}

/// In seconds.
#[expect(clippy::disallowed_methods, reason = "a benchmark looks at the clock")]
pub(crate) fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

/// The median, and in brackets what ten and ninety of a hundred are below.
pub(crate) fn spread(mut values: Vec<f64>, unit: &str) -> String {
    values.sort_by(f64::total_cmp);
    let at = |percent: usize| values[(values.len() * percent / 100).min(values.len() - 1)];
    format!("{:.2}{unit} ({:.2} to {:.2})", at(50), at(10), at(90))
}

/// A clock that stands still: for groups whose store takes so long that the clock doesn't matter.
#[allow(dead_code, reason = "groups with features use it")]
pub(crate) struct Still(pub(crate) Arc<skewgate::time::sim::SimTime>);

#[allow(dead_code, reason = "groups with features use it")]
impl Still {
    #[expect(clippy::expect_used, reason = "what can't be set up can't be measured")]
    pub(crate) fn new() -> Self {
        let noon = Timestamp::from_unix_seconds(1_780_315_200).expect("a date");
        let now = TimeInterval::around(noon, std::time::Duration::from_millis(10));
        Self(Arc::new(skewgate::time::sim::SimTime::new(now)))
    }

    /// The next step, and another after it: codes that were used are out of every window.
    pub(crate) fn next(&self) {
        self.0.advance(std::time::Duration::from_secs(60));
    }

    #[expect(clippy::expect_used, reason = "what can't be set up can't be measured")]
    pub(crate) fn now(&self) -> Timestamp {
        self.0.now().expect("a simulated time is known").midpoint()
    }
}

/// Logins in turns with a bare loop.
#[allow(dead_code, reason = "groups with features use it")]
#[derive(Default)]
pub(crate) struct Beside {
    moments: Vec<Instant>,
    /// In microseconds, of one each.
    logins: Vec<f64>,
    bare: Vec<f64>,
}

#[allow(dead_code, reason = "groups with features use it")]
#[expect(clippy::disallowed_methods, reason = "a benchmark looks at the clock")]
impl Beside {
    /// The logins begin.
    pub(crate) fn turn(&mut self) {
        self.moments = vec![Instant::now()];
    }

    /// The bare loop begins.
    pub(crate) fn other_half(&mut self) {
        self.moments.push(Instant::now());
    }

    /// There were so many of both.
    pub(crate) fn end(&mut self, count: u32) {
        let micros = |span: Duration| span.as_secs_f64() * 1e6 / f64::from(count);
        if let [begin, middle] = self.moments[..] {
            self.logins.push(micros(middle - begin));
            self.bare.push(micros(middle.elapsed()));
        }
    }
}

impl std::fmt::Display for Beside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ratios = self.logins.iter().zip(&self.bare).map(|(login, bare)| bare / login).collect();
        let (logins, bare) = (spread(self.logins.clone(), " µs"), spread(self.bare.clone(), " µs"));
        let (turns, ratios) = (self.logins.len(), spread(ratios, ""));
        write!(f, "a login {logins}, bare {bare}, rate {ratios} of the bare one, {turns} turns")
    }
}
