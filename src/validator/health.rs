//! Could codes be judged now?

use std::time::Duration;

use crate::event::Outcome;
use crate::store::{Change, Failure, Written};
use crate::time::TimeInterval;
use crate::token::{Bucket, Charge, Odds, TokenId, TokenKey};

use super::decide::{self, Purpose, Standing};
use super::{Reason, Trace, Validator, stand_in};

impl Validator {
    /// Whether attempts can be judged at present: for a service's health check, some seconds apart.
    ///
    /// It is `Ok` where the store reads and takes changes, and true time is known well enough for tokens like most: six digits, 30 s, a clock that
    /// is right within seconds. Nobody's token is touched: one row is written that belongs to none. A store that finds itself restored is set right here, as it would be by the next attempt, with that
    /// attempt's event, [`Outcome::StoreReplaced`]; there are no others.
    ///
    /// ```
    /// use skewgate::store::MemoryStore;
    /// use skewgate::time::os::SystemTime;
    /// use skewgate::validator::{Reason, Validator};
    /// use std::{sync::Arc, time::Duration};
    ///
    /// let gate = |max_error| {
    ///     let clock = SystemTime::with_max_error(Duration::from_secs(max_error));
    ///     Validator::builder(Arc::new(MemoryStore::new()), Arc::new(clock)).build()
    /// };
    /// assert!(skewgate::block_on(gate(1)?.check()).is_ok());
    /// let error = skewgate::block_on(gate(600)?.check());
    /// assert!(matches!(error, Err(Reason::ClockUntrusted(_))), "nobody can be let in with a clock that may be ten minutes off");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What attempts are refused for: [`Reason::StoreFailed`] or, where the store is well, [`Reason::ClockUntrusted`].
    pub async fn check(&self) -> Result<(), Reason> {
        let inner = &*self.inner;
        let mut trace = Trace::default();
        // One more than attempts use.
        let key = TokenKey::from(TokenId::stand_in(stand_in::ROWS));
        let loaded = match inner.load(&key, &mut trace).await {
            Err(Reason::StoreReplaced) => {
                let _ = std::mem::take(&mut trace).end(inner, Outcome::StoreReplaced, None, None);
                inner.load(&key, &mut trace).await?
            }
            loaded => loaded?,
        };
        let now = inner.now(&mut trace);
        // What changes nothing is written nowhere: a full disk or a lost standby would go unseen.
        let about_now = || TimeInterval::around(inner.time.system_clock(), Duration::ZERO);
        let standing = stand_in::standing(now.as_ref().unwrap_or(&about_now()), loaded.not_before);
        let Standing { token: state, budget, .. } = standing;
        let charge = Charge { bucket: Bucket::Blind, cost: Odds::ZERO };
        let failure = Failure { charge, from: budget.full_at(Bucket::Blind), burn: None, epoch: state.epoch };
        if inner.store.write(&key, Change::Fail(failure)).await? == Written::Missing {
            inner.store.write(&key, Change::Enrol { state, budget }).await?;
        }
        let now = now?;
        match decide::admit(&standing, &inner.policy, inner.stand_ins.totp(), &now, Purpose::LogIn, 1) {
            Err(reason) if reason.is_outage() => Err(reason),
            _ => Ok(()),
        }
    }
}
