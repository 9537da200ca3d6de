//! What stands in for a token that isn't there.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::otp::Totp;
use crate::time::{SignedDuration, TimeInterval, Timestamp};
use crate::token::{Budget, Drift, TokenId, TokenKey, TokenState};

use super::decide::Standing;

/// How many rows stand in for all unknown tokens: with one, a flood of attempts on unknown users would wait for that row's lock, and in
/// a Redis Cluster all be one server's.
pub(super) const ROWS: usize = 64;

/// What is worked on where there is no token: a secret that nobody knows, and rows for its failures.
pub(super) struct StandIns {
    totp: Totp,
    keys: Box<[TokenKey]>,
    hasher: RandomState,
    next: AtomicUsize,
}

impl StandIns {
    pub(super) fn new(totp: Totp) -> Self {
        let keys = (0..ROWS).map(|number| TokenId::stand_in(number).into()).collect();
        Self { totp, keys, hasher: RandomState::new(), next: AtomicUsize::new(0) }
    }

    pub(super) const fn totp(&self) -> &Totp {
        &self.totp
    }

    /// The row for attempts on users whom nobody knows: one for each client, as one user would have, by a hash under keys that nobody outside
    /// knows; where none is named, one after the other.
    pub(super) fn of_client(&self, client: Option<&str>) -> &TokenKey {
        let number = match client {
            Some(client) => self.hasher.hash_one(client),
            None => self.next.fetch_add(1, Ordering::Relaxed) as u64,
        };
        self.key(number)
    }

    /// The row for attempts on a token that isn't enrolled.
    pub(super) fn of_token(&self, token: &TokenKey) -> &TokenKey {
        self.key(self.hasher.hash_one(token))
    }

    fn key(&self, number: u64) -> &TokenKey {
        &self.keys[usize::try_from(number % ROWS as u64).unwrap_or(0)]
    }
}

/// A token that was enrolled long ago with a clock like most.
pub(super) fn standing(now: &TimeInterval, not_before: Option<Timestamp>) -> Standing {
    const VARIANCE_OF_FIVE_SECONDS: u64 = 25_000_000_000_000;
    Standing {
        token: TokenState {
            epoch: 0,
            watermark: None,
            nonce: [0; 8],
            drift: Drift::from_parts(SignedDuration::ZERO, VARIANCE_OF_FIVE_SECONDS, now.latest(), None),
        },
        budget: Budget::full(now.earliest()),
        not_before,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otp::Secret;
    use std::collections::HashSet;

    fn rows() -> StandIns {
        StandIns::new(Totp::builder(&Secret::from_bytes(&[7; 20]).unwrap()).build().unwrap())
    }

    #[test]
    fn a_flood_is_spread_over_all_rows_and_one_client_has_one() {
        let rows = rows();
        let nobodys: HashSet<_> = (0..ROWS).map(|_| rows.of_client(None)).collect();
        assert_eq!(nobodys.len(), ROWS);
        let names: Vec<_> = (0..1_000).map(|number| format!("client {number}")).collect();
        let theirs: HashSet<_> = names.iter().map(|name| rows.of_client(Some(name))).collect();
        assert!(theirs.len() > ROWS / 2, "{}", theirs.len());
        for name in &names {
            assert_eq!(rows.of_client(Some(name)), rows.of_client(Some(name)));
        }
    }

    #[test]
    fn every_row_is_one_that_no_store_shows() {
        for key in &rows().keys {
            assert!(
                TokenId::is_stand_in_name(key.token().as_str().as_bytes()) && key.owns_budget(),
                "{key:?}"
            );
            assert!(TokenId::new(key.token().as_str()).is_err(), "{key:?}");
        }
    }

    /// Which row it is must not be known outside: nobody should be able to crowd one.
    #[test]
    fn another_process_has_other_rows_for_the_same_clients() {
        let (one, other) = (rows(), rows());
        let differ = |name: &String| one.of_client(Some(name)) != other.of_client(Some(name));
        assert!((0..64).map(|number| number.to_string()).filter(differ).count() > 32);
    }
}
