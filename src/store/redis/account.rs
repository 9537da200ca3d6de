//! An account as Redis keeps it, and changes as arguments of its scripts: see `lua/account.lua`.

use crate::otp::TimeStep;
use crate::store::{Acceptance, Change, Failure, Renewal, Reset, Row, Seen};
use crate::time::{SignedDuration, Timestamp};
use crate::token::{Bucket, Budget, Drift, TokenKey, TokenState};

use super::script::{Script, Scripts};

/// The head of a token's record, of this format.
const HEAD: u8 = 16;
const WITH_OUTLIER: u8 = 1;
const WITH_NAME: u8 = 2;

/// What is wrong with an account that can't be read.
pub(super) type Wrong = &'static str;

/// An account that was read: its budget, and its tokens by name; the empty one is the budget's.
pub(super) struct Account<'a> {
    pub(super) budget: Budget,
    pub(super) tokens: Vec<(&'a str, TokenState)>,
}

impl<'a> Account<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Wrong> {
        let mut rest = Reader(bytes);
        let (blind, partial) = (rest.timestamp()?, rest.timestamp()?);
        let budget = Budget::from_parts(blind, partial, u32::from_be_bytes(rest.take()?));
        let mut tokens: Vec<(&str, TokenState)> = Vec::new();
        while !rest.0.is_empty() {
            let [head] = rest.take()?;
            if head & !(WITH_OUTLIER | WITH_NAME) != HEAD {
                return Err("a token of an unknown format");
            }
            let name = if head & WITH_NAME == 0 { "" } else { rest.name()? };
            if tokens.iter().any(|(known, _)| *known == name) {
                return Err("a token is there twice");
            }
            tokens.push((name, rest.state(head & WITH_OUTLIER != 0)?));
        }
        Ok(Self { budget, tokens })
    }

    pub(super) fn row(&self, key: &TokenKey) -> Row {
        let name = name(key);
        let token = self.tokens.iter().find(|(known, _)| *known == name).map(|(_, state)| *state);
        Row { token, budget: Some(self.budget) }
    }
}

/// A token's name inside of its account.
fn name(key: &TokenKey) -> &str {
    if key.owns_budget() { "" } else { key.token().as_str() }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Wrong> {
        let (taken, rest) = self.0.split_first_chunk().ok_or("it ends too early")?;
        self.0 = rest;
        Ok(*taken)
    }

    fn name(&mut self) -> Result<&'a str, Wrong> {
        let [length] = self.take()?;
        let (name, rest) = self.0.split_at_checked(length.into()).ok_or("it ends too early")?;
        self.0 = rest;
        match std::str::from_utf8(name) {
            Ok("") | Err(_) => Err("the name of a token is no text"),
            Ok(name) => Ok(name),
        }
    }

    fn signed(&mut self) -> Result<i64, Wrong> {
        Ok((u64::from_be_bytes(self.take()?) ^ SIGN).cast_signed())
    }

    fn timestamp(&mut self) -> Result<Timestamp, Wrong> {
        self.signed().map(Timestamp::from_unix_nanos)
    }

    fn watermark(&mut self) -> Result<Option<TimeStep>, Wrong> {
        let Some(number) = u64::from_be_bytes(self.take()?).checked_sub(1) else { return Ok(None) };
        let step = i64::try_from(number).ok().and_then(TimeStep::new);
        step.ok_or("a watermark beyond all steps").map(Some)
    }

    fn state(&mut self, outlier: bool) -> Result<TokenState, Wrong> {
        let (epoch, watermark) = (u64::from_be_bytes(self.take()?), self.watermark()?);
        let nonce = self.take()?;
        let (mean, variance) = (SignedDuration::from_nanos(self.signed()?), u64::from_be_bytes(self.take()?));
        let updated = self.timestamp()?;
        let outlier = if outlier { Some(SignedDuration::from_nanos(self.signed()?)) } else { None };
        Ok(TokenState { epoch, watermark, nonce, drift: Drift::from_parts(mean, variance, updated, outlier) })
    }
}

const SIGN: u64 = 1 << 63;

/// In the order of the numbers.
pub(super) fn signed(number: i64) -> [u8; 8] {
    (number.cast_unsigned() ^ SIGN).to_be_bytes()
}

/// The reverse of [`signed`], for a moment.
pub(super) fn moment(bytes: &[u8]) -> Result<Timestamp, Wrong> {
    let mut rest = Reader(bytes);
    let moment = rest.timestamp()?;
    if rest.0.is_empty() { Ok(moment) } else { Err("a moment that is too long") }
}

fn timestamp(time: Timestamp) -> [u8; 8] {
    signed(time.as_unix_nanos())
}

/// `None` is less than every step.
fn watermark(step: Option<TimeStep>) -> [u8; 8] {
    step.map_or(0, |step| step.get().cast_unsigned() + 1).to_be_bytes()
}

fn drift(drift: &Drift) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(32);
    bytes.extend(signed(drift.mean().as_nanos()));
    bytes.extend(drift.variance().to_be_bytes());
    bytes.extend(timestamp(drift.updated()));
    if let Some(outlier) = drift.outlier() {
        bytes.extend(signed(outlier.as_nanos()));
    }
    bytes
}

fn state(state: &TokenState) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(56);
    bytes.extend(state.epoch.to_be_bytes());
    bytes.extend(watermark(state.watermark));
    bytes.extend(state.nonce);
    bytes.extend(drift(&state.drift));
    bytes
}

fn budget(budget: &Budget) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(20);
    bytes.extend(timestamp(budget.full_at(Bucket::Blind)));
    bytes.extend(timestamp(budget.full_at(Bucket::Partial)));
    bytes.extend(budget.failures().to_be_bytes());
    bytes
}

/// Which script makes a change, and its arguments.
pub(super) fn call<'s>(scripts: &'s Scripts, key: &TokenKey, change: Change) -> (&'s Script, Vec<Vec<u8>>) {
    let mut arguments = vec![name(key).as_bytes().to_vec()];
    let script = match change {
        Change::Enrol { state: new, budget: full } => {
            arguments.extend([state(&new), budget(&full)]);
            &scripts.enrol
        }
        Change::Fail(Failure { charge, from, burn, epoch }) => {
            let (bucket, at) = (charge.bucket, if charge.bucket == Bucket::Blind { b"1" } else { b"9" });
            // What the charge moves an empty account by: how long the refill takes to bring it.
            let start = Timestamp::from_unix_nanos(0);
            let cost = Budget::full(start).charge(charge, start).full_at(bucket).as_unix_nanos();
            let cost = cost.cast_unsigned().to_be_bytes().to_vec();
            arguments.extend([at.to_vec(), timestamp(from).to_vec(), cost, watermark(burn).to_vec()]);
            arguments.push(epoch.to_be_bytes().to_vec());
            &scripts.fail
        }
        Change::Accept(Acceptance {
            first,
            step,
            drift: new,
            epoch,
            seen: _,
            nonce,
            failure_limit,
            authenticates,
        }) => {
            arguments
                .extend([watermark(Some(first)), watermark(Some(step)), epoch.to_be_bytes()].map(Vec::from));
            arguments.extend([nonce.to_vec(), drift(&new), failure_limit.to_be_bytes().to_vec()]);
            arguments.push(u8::from(authenticates).to_string().into_bytes());
            &scripts.accept
        }
        Change::Renew(Renewal { epoch, watermark: old, seen: _, state: new }) => {
            arguments.extend([[epoch.to_be_bytes(), watermark(old)].concat(), state(&new)]);
            &scripts.renew
        }
        Change::Reset(Reset { budget: new }) => {
            arguments.push(budget(&new));
            &scripts.reset
        }
        Change::Remove => &scripts.remove,
    };
    if let Some(Seen { not_before, lineage }) = change.seen() {
        arguments.push(base16ct::lower::encode_string(&lineage).into_bytes());
        arguments.push(not_before.map(|moment| timestamp(moment).to_vec()).unwrap_or_default());
    }
    (script, arguments)
}

/// Bytes of an account with one token: what `read` reads, in tests.
#[cfg(test)]
pub(super) fn written(name: &str, token: &TokenState, of: &Budget) -> Vec<u8> {
    let mut bytes = budget(of);
    let outlier = if token.drift.outlier().is_some() { WITH_OUTLIER } else { 0 };
    if name.is_empty() {
        bytes.push(HEAD | outlier);
    } else {
        bytes.extend([HEAD | WITH_NAME | outlier, u8::try_from(name.len()).unwrap()]);
        bytes.extend(name.as_bytes());
    }
    bytes.extend(state(token));
    bytes
}

#[cfg(test)]
mod tests;
