//! Matching with everything secret that is, case by case.
//!
//! Secret: the key, hence every code of the token and every one that is right; the watermark. Public: the key's
//! length, the hash, the codes' format, which steps the window has, how many codes are tried, and whether there is a
//! watermark; of a counter-based token, its counter. A wrong code is what its sender knows, but whether it is one depends on the key.

use std::fmt;
use std::hint::black_box;

use skewgate::otp::{
    Algorithm, Code, Consecutive, CounterMatch, Digits, Format, Hotp, Match, Secret, SecretError, StepRange,
    TimeStep, Totp, scan, scan_ahead,
};

use crate::memcheck;

/// What a token is known to be.
#[derive(Clone, Copy)]
pub struct Token {
    pub algorithm: Algorithm,
    pub format: Format,
    pub key_bytes: usize,
}

impl Token {
    /// Every hash with every format that codes are validated with, and keys that are longer than a block.
    pub fn all() -> impl Iterator<Item = Self> {
        let algorithms = [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512];
        let decimal = [Digits::SIX, Digits::SEVEN, Digits::EIGHT].map(Format::Decimal);
        let formats = decimal.into_iter().chain([Format::Steam]);
        algorithms.into_iter().flat_map(move |algorithm| {
            let key_bytes = algorithm.secret_bytes();
            let usual = formats.clone().map(move |format| Self { algorithm, format, key_bytes });
            usual.chain([Self { algorithm, format: Format::default(), key_bytes: 200 }])
        })
    }

    /// With a key that is secret from the start.
    #[must_use]
    pub fn with_secret_key(self) -> Totp {
        let secret = secret_key(self.key_bytes);
        Totp::builder(&secret)
            .algorithm(self.algorithm)
            .format(self.format)
            .build()
            .expect("the usual period")
    }

    /// The same for counters.
    fn with_secret_key_for_counters(self) -> Hotp {
        Hotp::new(&secret_key(self.key_bytes), self.algorithm, self.format)
    }

    fn wrong_code(self) -> Code {
        // Each format's smallest code. No token here shows it.
        let zero = if self.format == Format::Steam { "2" } else { "0" };
        Code::parse(&zero.repeat(self.format.length())).expect("a code")
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.format {
            Format::Decimal(digits) => write!(f, "{}, {digits} digits", self.algorithm),
            format => write!(f, "{}, {format}", self.algorithm),
        }?;
        write!(f, ", key of {} bytes", self.key_bytes)
    }
}

/// Where the codes are right.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    First,
    Last,
    Nowhere,
}

/// What is looked for in which window.
#[derive(Clone, Copy)]
pub struct Search {
    pub steps: u32,
    pub codes: usize,
    pub place: Place,
    /// In the middle of the window.
    pub watermark: bool,
}

impl Search {
    pub fn all() -> impl Iterator<Item = Self> {
        let places = [Place::First, Place::Last, Place::Nowhere];
        [3, 21, 241].into_iter().flat_map(move |steps| {
            (1..=3).flat_map(move |codes| {
                places.into_iter().flat_map(move |place| {
                    [false, true].map(move |watermark| Self { steps, codes, place, watermark })
                })
            })
        })
    }

    /// The first step of a window of so many.
    pub const START: i64 = 59_000_000;

    #[must_use]
    pub fn window(self) -> StepRange {
        let first = step(Self::START);
        StepRange::new(first, first.saturating_add(self.steps - 1)).expect("in order")
    }

    /// A wide window in two ranges, as around two centres.
    fn ranges(self) -> Vec<StepRange> {
        let (first, last) = (self.window().first(), self.window().last());
        if self.steps == 3 {
            return vec![self.window()];
        }
        let cut = first.saturating_add(self.steps / 3);
        let ranges = [(first, cut), (cut.saturating_add(1), last)];
        ranges.map(|(first, last)| StepRange::new(first, last).expect("in order")).to_vec()
    }

    fn middle(self) -> TimeStep {
        self.window().first().saturating_add(self.steps / 2)
    }

    /// The step of the last code.
    fn newest(self) -> Option<TimeStep> {
        match self.place {
            Place::First => Some(self.window().first()),
            Place::Last => Some(self.window().last()),
            Place::Nowhere => None,
        }
    }

    /// By the words of [`Match`], with branches.
    fn expected(self) -> Match {
        let Some(newest) = self.newest() else {
            return Match { fresh: None, replayed: false, right_at_best: 0 };
        };
        let oldest = newest.get() - self.codes as i64 + 1;
        let alive = !self.watermark || oldest > self.middle().get();
        let dead = self.watermark && newest <= self.middle();
        Match { fresh: alive.then_some(newest), replayed: dead, right_at_best: self.codes as u8 }
    }

    /// Looks for it, everything secret that is.
    ///
    /// # Panics
    ///
    /// Where the result isn't secret, or isn't right.
    pub fn run(self, token: Token) {
        let totp = token.with_secret_key();
        let codes: Vec<Code> = (0..self.codes)
            .rev()
            .map(|back| match self.newest() {
                Some(newest) => totp.code_at(step(newest.get() - back as i64)),
                None => token.wrong_code(),
            })
            .collect();
        let watermark = self.watermark.then(|| {
            let mut watermark = self.middle();
            memcheck::classify(&mut watermark);
            watermark
        });
        let codes = Consecutive::new(&codes).expect("one to three");

        let mut found = matching()(&totp, &self.ranges(), watermark, codes);
        // Without this, no report could mean that nothing was secret.
        assert!(memcheck::is_secret(&found.right_at_best), "{self} of {token}: what was found isn't secret");
        memcheck::declassify(&mut found);
        assert_eq!(found, self.expected(), "{self} of {token}");
    }
}

impl fmt::Display for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { steps, codes, place, watermark } = self;
        write!(f, "{steps} steps, {codes} codes, right at {place:?}, watermark {watermark}")
    }
}

/// `scan`, called so that it stays a function of its own however far the optimiser looks: what is disassembled is what runs.
fn matching() -> fn(&Totp, &[StepRange], Option<TimeStep>, Consecutive<'_>) -> Match {
    black_box(scan)
}

/// What is looked for of a counter-based token.
#[derive(Clone, Copy)]
pub struct Ahead {
    pub look_ahead: u16,
    pub codes: usize,
    pub place: Place,
}

impl Ahead {
    pub fn all() -> impl Iterator<Item = Self> {
        let places = [Place::First, Place::Last, Place::Nowhere];
        [0, 10, 100].into_iter().flat_map(move |look_ahead| {
            (1..=3).flat_map(move |codes| places.map(|place| Self { look_ahead, codes, place }))
        })
    }

    /// Of the next code.
    const NEXT: u64 = 4711;

    /// The counter of the first code.
    fn oldest(self) -> Option<u64> {
        match self.place {
            Place::First => Some(Self::NEXT),
            Place::Last => Some(Self::NEXT + u64::from(self.look_ahead)),
            Place::Nowhere => None,
        }
    }

    /// By the words of [`CounterMatch`], with branches.
    fn expected(self) -> CounterMatch {
        match self.oldest() {
            Some(oldest) => CounterMatch {
                next_counter: Some(oldest + self.codes as u64),
                right_at_best: self.codes as u8,
            },
            None => CounterMatch { next_counter: None, right_at_best: 0 },
        }
    }

    /// Looks for it, everything secret that is.
    ///
    /// # Panics
    ///
    /// Where the result isn't secret, or isn't right.
    pub fn run(self, token: Token) {
        let hotp = token.with_secret_key_for_counters();
        let codes: Vec<Code> = (0..self.codes as u64)
            .map(|after| match self.oldest() {
                Some(oldest) => hotp.code_at(oldest + after),
                None => token.wrong_code(),
            })
            .collect();
        let codes = Consecutive::new(&codes).expect("one to three");

        let mut found = matching_ahead()(&hotp, Self::NEXT, self.look_ahead, codes);
        assert!(memcheck::is_secret(&found.right_at_best), "{self} of {token}: what was found isn't secret");
        memcheck::declassify(&mut found);
        assert_eq!(found, self.expected(), "{self} of {token}");
    }
}

impl fmt::Display for Ahead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { look_ahead, codes, place } = self;
        write!(f, "look-ahead of {look_ahead}, {codes} codes, right at {place:?}")
    }
}

/// `scan_ahead`, in the same way.
fn matching_ahead() -> fn(&Hotp, u64, u16, Consecutive<'_>) -> CounterMatch {
    black_box(scan_ahead)
}

/// Reads a secret's text, which is secret itself.
///
/// # Panics
///
/// Where it can't be read, or isn't secret afterwards.
pub fn read_base32(text: &str) {
    let mut text = text.to_owned();
    memcheck::classify(text.as_mut_str());
    let mut secret: Result<Secret, SecretError> = Secret::from_base32(black_box(&text));
    memcheck::declassify(&mut secret);
    let secret = secret.expect("base32");
    assert!(secret.expose_bytes().iter().all(memcheck::is_secret), "bytes read from {text} aren't secret");
}

/// Writes a secret's text, which is as secret.
///
/// # Panics
///
/// Where it isn't.
pub fn write_base32(key_bytes: usize) {
    let text = secret_key(key_bytes).expose_base32();
    assert!(text.as_bytes().iter().all(memcheck::is_secret), "base32 of a secret isn't secret");
}

/// Base32 of a key of so many bytes, not secret yet.
#[must_use]
pub fn base32(key_bytes: usize) -> String {
    Secret::from_bytes(&key(key_bytes)).expect("keys of a fair length").expose_base32().to_string()
}

fn secret_key(bytes: usize) -> Secret {
    let mut key = key(bytes);
    memcheck::classify(key.as_mut_slice());
    Secret::from_bytes(&key).expect("keys of a fair length")
}

fn key(bytes: usize) -> Vec<u8> {
    (1..=u8::MAX).cycle().take(bytes).collect()
}

fn step(number: i64) -> TimeStep {
    TimeStep::new(number).expect("steps of this century")
}
