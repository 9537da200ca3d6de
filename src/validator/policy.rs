//! What a validator lets in: which windows, and how many failures.

use std::num::NonZeroU32;

use crate::window::WindowPolicy;

/// SP 800-63B-4 §3.2.2: "no more than 100" failures in a row on one account.
const NIST_FAILURES: NonZeroU32 = NonZeroU32::new(100).unwrap();

/// A [`WindowPolicy`], and a limit of consecutive failures where there is one.
///
/// ```
/// use skewgate::validator::Policy;
/// use skewgate::window::WindowPolicy;
/// use std::time::Duration;
///
/// assert_eq!(Policy::default().failure_limit(), None);
/// assert_eq!(Policy::nist().failure_limit().map(u32::from), Some(100));
///
/// let patient = WindowPolicy::builder().entry_delay(Duration::from_secs(60)).build()?;
/// let policy = Policy::from(patient);
/// # Ok::<(), skewgate::window::PolicyError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    window: WindowPolicy,
    failure_limit: Option<NonZeroU32>,
}

impl Policy {
    /// For consoles of administrators: [`WindowPolicy::strict`], without a limit of failures.
    #[must_use]
    pub fn strict() -> Self {
        WindowPolicy::strict().into()
    }

    /// For tokens whose clock nobody sets and which are seldom used: [`WindowPolicy::hardware_tokens`], without a limit of failures.
    #[must_use]
    pub fn hardware_tokens() -> Self {
        WindowPolicy::hardware_tokens().into()
    }

    /// For services that must meet NIST SP 800-63B-4: [`WindowPolicy::nist`] and at most 100 failures in a row, after which
    /// only an administrator lets the user in again. That is what the guideline demands, and it lets any stranger lock an
    /// account for good; without such a demand the default's budget is the better protection.
    #[must_use]
    pub fn nist() -> Self {
        Self { window: WindowPolicy::nist(), failure_limit: Some(NIST_FAILURES) }
    }

    /// After so many failures without a success in between, nothing is accepted until an administrator resets the token. `None`:
    /// no limit.
    ///
    /// The failures of all tokens that share a budget count together. Several processes may look at attempts at the same time
    /// when the limit is reached; none of those is accepted, neither as a login nor as a resynchronisation. (A renewal that was under way
    /// is done.)
    #[must_use]
    pub const fn with_failure_limit(mut self, failure_limit: Option<NonZeroU32>) -> Self {
        self.failure_limit = failure_limit;
        self
    }

    /// Which windows may be.
    #[must_use]
    pub const fn window(&self) -> &WindowPolicy {
        &self.window
    }

    /// How many failures in a row lock an account.
    #[must_use]
    pub const fn failure_limit(&self) -> Option<NonZeroU32> {
        self.failure_limit
    }
}

/// Without a limit of failures: the budget throttles.
impl From<WindowPolicy> for Policy {
    fn from(window: WindowPolicy) -> Self {
        Self { window, failure_limit: None }
    }
}
