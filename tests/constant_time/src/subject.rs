//! Matching with everything secret that is, case by case.
//!
//! Secret: the key, hence every code of the token and every one that is right; the watermark. Public: the key's
//! length, the hash, how many digits, which steps the window has, how many codes are tried, and whether there is a
//! watermark. A wrong code is what its sender knows, but whether it is one depends on the key.

use std::fmt;
use std::hint::black_box;

use skewgate::otp::{
    Algorithm, Code, Consecutive, Digits, Match, Secret, SecretError, StepRange, TimeStep, Totp, scan,
};

use crate::memcheck;

/// What a token is known to be.
#[derive(Clone, Copy)]
pub struct Token {
    pub algorithm: Algorithm,
    pub digits: Digits,
    pub key_bytes: usize,
}

impl Token {
    /// Every hash with every number of digits that codes are validated with, and keys that are longer than a block.
    pub fn all() -> impl Iterator<Item = Self> {
        let algorithms = [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512];
        let digits = [Digits::SIX, Digits::SEVEN, Digits::EIGHT];
        algorithms.into_iter().flat_map(move |algorithm| {
            let usual = digits.map(|digits| Self { algorithm, digits, key_bytes: algorithm.secret_bytes() });
            let long = Self { algorithm, digits: Digits::SIX, key_bytes: 200 };
            usual.into_iter().chain([long])
        })
    }

    /// With a key that is secret from the start.
    #[must_use]
    pub fn with_secret_key(self) -> Totp {
        let secret = secret_key(self.key_bytes);
        Totp::builder(&secret)
            .algorithm(self.algorithm)
            .digits(self.digits)
            .build()
            .expect("the usual period")
    }

    fn wrong_code(self) -> Code {
        Code::parse(&"0".repeat(self.digits.get())).expect("digits")
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} digits, key of {} bytes", self.algorithm, self.digits, self.key_bytes)
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
