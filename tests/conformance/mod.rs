//! The laws of [`StateStore`](skewgate::store::StateStore) and [`ManageStore`], as tests of any store; and of a validator on it.
//!
//! A [`Place`] is where a store keeps its rows. `conformance!(name, make)` makes a module with a test for each law, in which
//! `make` is called once; `conformance!(#[ignore = "needs …: ./tests/run"] name, make)` marks them all. `make` is given the runtime
//! that drives the test, in case it has to wait for a server.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]

pub(crate) mod drops;
pub(crate) mod logins;
mod model;
pub(crate) mod names;
pub(crate) mod races;
pub(crate) mod restarts;
pub(crate) mod scans;
pub(crate) mod sequences;
mod values;

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use skewgate::otp::TimeStep;
use skewgate::store::{
    Acceptance, Change, Failure, Loaded, ManageStore, Record, Renewal, Seen, StoreError, Written,
};
use skewgate::time::{SignedDuration, Timestamp};
use skewgate::token::{Bucket, Budget, Charge, Drift, Odds, TokenId, TokenKey, TokenState};
use tokio::runtime::{Builder, Runtime};

/// A store that is being opened.
pub(crate) type Opening<'a> = Pin<Box<dyn Future<Output = Arc<dyn ManageStore>> + Send + 'a>>;

/// Where a store keeps its rows: a directory, a database. It begins empty, belongs to one test, and is cleared away when
/// dropped.
pub(crate) trait Place: Send + Sync {
    /// The store of this place. If it [survives a restart](skewgate::store::StateStore::survives_restart), then with all that was
    /// written here before. It isn't called while a store of this place is open, unless that
    /// [is shared](Self::is_shared).
    fn open(&self) -> Opening<'_>;

    /// True where several stores may be open here at a time, each as another process's.
    fn is_shared(&self) -> bool {
        false
    }
}

/// A module with a test for each law.
macro_rules! conformance {
    ($name:ident, $make:expr) => {
        $crate::conformance::conformance!(@module [] $name, $make);
    };
    (#[$mark:meta] $name:ident, $make:expr) => {
        $crate::conformance::conformance!(@module [#[$mark]] $name, $make);
    };
    (@module $marks:tt $name:ident, $make:expr) => {
        mod $name {
            #[allow(unused_imports, reason = "what `make` needs")]
            use super::*;

            $crate::conformance::conformance!(@law $marks $make, sequences::every_change_does_what_apply_does);
            $crate::conformance::conformance!(@law $marks $make, names::names_that_look_alike_are_others);
            $crate::conformance::conformance!(@law $marks $make, names::a_token_on_another_budget_is_another_token);
            $crate::conformance::conformance!(@law $marks $make, names::tokens_of_one_budget_share_it);
            $crate::conformance::conformance!(@law $marks $make, races::one_of_many_equal_acceptances_wins);
            $crate::conformance::conformance!(@law $marks $make, races::one_of_many_acceptances_of_a_step_wins);
            $crate::conformance::conformance!(@law $marks $make, races::acceptances_only_move_the_watermark_up);
            $crate::conformance::conformance!(@law $marks $make, races::all_failures_are_paid_and_all_that_is_burnt_is_dead);
            $crate::conformance::conformance!(@law $marks $make, races::a_failure_of_another_enrolment_pays_and_burns_nothing);
            $crate::conformance::conformance!(@law $marks $make, races::one_of_many_enrolments_wins);
            $crate::conformance::conformance!(@law $marks $make, races::one_of_many_renewals_wins);
            $crate::conformance::conformance!(@law $marks $make, races::what_was_answered_is_seen_by_all);
            $crate::conformance::conformance!(@law $marks $make, races::not_before_never_goes_back);
            $crate::conformance::conformance!(@law $marks $make, races::nothing_is_accepted_that_was_decided_before_a_restore);
            $crate::conformance::conformance!(@law $marks $make, drops::a_dropped_future_did_all_or_nothing);
            $crate::conformance::conformance!(@law $marks $make, scans::a_scan_shows_each_token_once);
            $crate::conformance::conformance!(@law $marks $make, restarts::what_was_answered_is_there_after_a_restart);
            $crate::conformance::conformance!(@law $marks $make, logins::an_owner_gets_in_within_two_tries_through_a_flood);
            $crate::conformance::conformance!(@law $marks $make, logins::an_attempt_that_is_dropped_lets_nobody_in_twice);
            #[cfg(feature = "backup")]
            $crate::conformance::conformance!(@law $marks $make, logins::no_used_code_comes_back_with_an_import);
        }
    };
    (@law [$($mark:tt)*] $make:expr, $file:ident::$law:ident) => {
        $($mark)*
        #[test]
        fn $law() {
            $crate::conformance::run($make, $crate::conformance::$file::$law);
        }
    };
}

pub(crate) use conformance;

/// How many tasks meet in a race.
const TASKS: u64 = 48;

pub(crate) fn run<P, F>(make: impl FnOnce(&Runtime) -> P, law: impl FnOnce(Arc<dyn Place>) -> F)
where
    P: Place + 'static,
    F: Future<Output = ()>,
{
    let runtime = Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    let place: Arc<dyn Place> = Arc::new(make(&runtime));
    // Not a measurement: a store that never answers should fail the test, not hang it.
    let limit = Duration::from_secs(600);
    runtime.block_on(async { tokio::time::timeout(limit, law(place)).await }).unwrap();
}

/// What several processes would have: two stores where the place is shared, otherwise one.
async fn handles(place: &dyn Place) -> Vec<Arc<dyn ManageStore>> {
    let mut handles = vec![place.open().await];
    if place.is_shared() {
        handles.push(place.open().await);
    }
    handles
}

/// Writes all changes at once, each in a task of its own, in turns through all `handles`; what came of them, in order.
async fn at_once(
    handles: &[Arc<dyn ManageStore>],
    changes: impl IntoIterator<Item = (TokenKey, Change)>,
) -> Vec<Written> {
    let tasks: Vec<_> = changes
        .into_iter()
        .zip(handles.iter().cycle().cloned())
        .map(|((key, change), store)| tokio::spawn(async move { write(&store, &key, change).await.unwrap() }))
        .collect();
    let mut written = Vec::new();
    for task in tasks {
        written.push(task.await.unwrap());
    }
    written
}

/// `change` as decided from what the store is now.
async fn decided(store: &Arc<dyn ManageStore>, key: &TokenKey, change: Change) -> Change {
    let Some(_) = change.seen() else { return change };
    having_seen(load(store, key).await.seen(), change)
}

fn having_seen(seen: Seen, change: Change) -> Change {
    match change {
        Change::Accept(acceptance) => Change::Accept(Acceptance { seen, ..acceptance }),
        Change::Renew(renewal) => Change::Renew(Renewal { seen, ..renewal }),
        other => other,
    }
}

/// As a validator does: decided from a load.
async fn write(store: &Arc<dyn ManageStore>, key: &TokenKey, change: Change) -> Result<Written, StoreError> {
    store.write(key, decided(store, key, change).await).await
}

async fn load(store: &Arc<dyn ManageStore>, key: &TokenKey) -> Loaded {
    store.load(key).await.unwrap()
}

async fn scan(store: &Arc<dyn ManageStore>) -> Vec<Record> {
    let mut records = Vec::new();
    let mut visit = |record| {
        records.push(record);
        ControlFlow::Continue(())
    };
    store.scan(&mut visit).await.unwrap();
    records
}

fn count(written: &[Written], wanted: Written) -> usize {
    written.iter().filter(|written| **written == wanted).count()
}

fn id(text: &str) -> TokenId {
    TokenId::new(text).unwrap()
}

/// A token with a budget of its own.
fn key(text: &str) -> TokenKey {
    id(text).into()
}

fn shared(token: &str, budget: &str) -> TokenKey {
    TokenKey::new(id(token), id(budget))
}

const NOW: Timestamp = Timestamp::from_unix_nanos(1_780_000_000_000_000_000);
const EPOCH: u64 = 7;

fn step(number: u64) -> TimeStep {
    TimeStep::new(i64::try_from(number).unwrap()).unwrap()
}

fn drift(number: u64) -> Drift {
    Drift::from_parts(SignedDuration::from_secs(5), 124_000_000 + number, NOW, None)
}

fn state(epoch: u64) -> TokenState {
    TokenState { epoch, watermark: Some(step(10)), nonce: [1; 8], drift: drift(0) }
}

fn enrol() -> Change {
    Change::Enrol { state: state(EPOCH), budget: Budget::full(NOW) }
}

/// Of one step, known again by `nonce`.
fn acceptance(number: u64, nonce: u64) -> Acceptance {
    Acceptance {
        first: step(number),
        step: step(number),
        drift: drift(number),
        epoch: EPOCH,
        seen: Seen::default(),
        nonce: nonce.to_le_bytes(),
        failure_limit: u32::MAX,
        authenticates: true,
    }
}

/// Of the price `number`.
fn failure(bucket: Bucket, number: u64) -> Failure {
    let charge = Charge { bucket, cost: Odds::from_e12(1_000_000 + number) };
    Failure { charge, from: NOW, burn: None, epoch: EPOCH }
}
