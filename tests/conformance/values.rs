//! Values of every kind, the farthest ones often, and steps so close together that conditions hold now and then.

use super::*;
use proptest::prelude::*;
use skewgate::store::{Renewal, Reset};

fn number() -> BoxedStrategy<i64> {
    prop_oneof![
        4 => Just(0_i64), 1 => Just(-1), 1 => Just(1), 2 => Just(i64::MIN), 2 => Just(i64::MAX), 1 => Just(i64::MIN + 1),
        4 => 1_770_000_000_000_000_000..1_790_000_000_000_000_000_i64,
        2 => any::<i64>(),
    ]
        .boxed()
}

fn time() -> BoxedStrategy<Timestamp> {
    number().prop_map(Timestamp::from_unix_nanos).boxed()
}

fn time_step() -> BoxedStrategy<TimeStep> {
    prop_oneof![8 => 0..12_i64, 1 => Just(i64::MAX), 1 => Just(i64::MAX - 1), 1 => 0..=i64::MAX]
        .prop_map(|number| TimeStep::new(number).unwrap())
        .boxed()
}

fn epoch() -> BoxedStrategy<u64> {
    prop_oneof![12 => 0..2_u64, 1 => Just((1 << 63) - 1), 1 => Just(1 << 63), 1 => Just(u64::MAX)].boxed()
}

fn variance() -> BoxedStrategy<u64> {
    prop_oneof![4 => Just(0_u64), 12 => 0..1_u64 << 63, 4 => Just((1 << 63) - 1), 1 => Just(1 << 63), 1 => Just(u64::MAX)].boxed()
}

fn any_drift() -> BoxedStrategy<Drift> {
    let length = || number().prop_map(SignedDuration::from_nanos);
    (length(), variance(), time(), proptest::option::of(length()))
        .prop_map(|(mean, variance, updated, outlier)| Drift::from_parts(mean, variance, updated, outlier))
        .boxed()
}

fn nonce() -> BoxedStrategy<[u8; 8]> {
    prop_oneof![Just([0; 8]), Just([0xff; 8]), any::<[u8; 8]>()].boxed()
}

pub(super) fn any_state() -> BoxedStrategy<TokenState> {
    (epoch(), proptest::option::of(time_step()), nonce(), any_drift())
        .prop_map(|(epoch, watermark, nonce, drift)| TokenState { epoch, watermark, nonce, drift })
        .boxed()
}

fn count() -> BoxedStrategy<u32> {
    prop_oneof![0..4_u32, Just(u32::MAX), Just(u32::MAX - 1), Just(1 << 31), Just((1 << 31) - 1)].boxed()
}

pub(super) fn any_budget() -> BoxedStrategy<Budget> {
    (time(), time(), count())
        .prop_map(|(blind, partial, failures)| Budget::from_parts(blind, partial, failures))
        .boxed()
}

fn any_charge() -> BoxedStrategy<Charge> {
    let cost = prop_oneof![Just(0_u64), Just(1), Just(u64::MAX), 1..1_000_000_000_000_000_u64, any::<u64>()];
    let bucket = prop_oneof![Just(Bucket::Blind), Just(Bucket::Partial)];
    (bucket, cost).prop_map(|(bucket, units)| Charge { bucket, cost: Odds::from_units(units) }).boxed()
}

/// Any change, such that of two that meet one row each holds now and then.
pub(super) fn any_change() -> BoxedStrategy<Change> {
    let fail = (any_charge(), time(), proptest::option::of(time_step()), epoch())
        .prop_map(|(charge, from, burn, epoch)| Change::Fail(Failure { charge, from, burn, epoch }));
    let accept = (time_step(), time_step(), any_drift(), epoch(), nonce(), count(), any::<bool>()).prop_map(
        |(first, step, drift, epoch, nonce, failure_limit, authenticates)| {
            let (first, step) = (first.min(step), first.max(step));
            Change::Accept(Acceptance {
                first,
                step,
                drift,
                epoch,
                nonce,
                failure_limit,
                authenticates,
                seen: Seen::default(),
            })
        },
    );
    let renew =
        (epoch(), proptest::option::of(time_step()), any_state()).prop_map(|(epoch, watermark, state)| {
            Change::Renew(Renewal { epoch, watermark, seen: Seen::default(), state })
        });
    let reset = any_budget().prop_map(|budget| Change::Reset(Reset { budget }));
    let enrol = (any_state(), any_budget()).prop_map(|(state, budget)| Change::Enrol { state, budget });
    prop_oneof![
        4 => enrol,
        4 => fail,
        6 => accept,
        3 => renew,
        1 => reset,
        1 => Just(Change::Remove),
    ]
    .boxed()
}

/// True for what a store may refuse with `StoreError::OutOfRange`: no validator writes it.
pub(super) fn may_be_refused(change: &Change) -> bool {
    let too_large = |value: u64| i64::try_from(value).is_err();
    let state = |state: &TokenState| too_large(state.epoch) || too_large(state.drift.variance());
    match change {
        Change::Enrol { state: new, .. } => state(new),
        Change::Accept(acceptance) => too_large(acceptance.epoch) || too_large(acceptance.drift.variance()),
        Change::Renew(renewal) => too_large(renewal.epoch) || state(&renewal.state),
        Change::Fail(failure) => too_large(failure.epoch),
        _ => false,
    }
}
